/** The test cluster for people: `npm run cluster -- up [--no-node] | status | images | down`. */

import { allImages, ensureImages } from './build/images.ts';
import { nodeAbsence } from './build/packages.ts';
import { startNode } from './node/node.ts';
import { startControlPlane } from './plane/controlplane.ts';
import { clearCluster, clearLeftovers, listClusters } from './run/leftovers.ts';

const onProgress = (message: string) => console.error(message);

const commands: Record<string, (args: string[]) => Promise<void>> = {
  /** Starts a cluster that stays when this command ends. */
  up: async (args) => {
    const options = { onProgress, keep: true, purpose: 'started by hand' };
    const withNode = !args.includes('--no-node') && nodeAbsence() === undefined;
    const cluster = withNode ? await startNode({ ...options, images: allImages }) : await startControlPlane(options);
    console.log(`export KUBECONFIG=${cluster.kubeconfig} PATH=${cluster.bin}:$PATH`);
  },
  status: async () => {
    const clusters = await listClusters();
    for (const { dir, owner, ownerAlive } of clusters) {
      const whose = owner.keep ? 'kept' : ownerAlive ? `of process ${owner.pid}` : 'left over';
      console.log(`${dir}  ${owner.purpose}, ${whose}`);
    }
    if (clusters.length === 0) console.log('no cluster');
    console.log(nodeAbsence() ?? 'a node can run here');
  },
  images: async () => {
    const references = await ensureImages(undefined, onProgress);
    for (const reference of Object.values(references)) console.log(reference);
  },
  /** Ends the clusters that were kept or left over; those of a living process are its own to end. */
  down: async ([id]) => {
    const named = id ? (await listClusters()).filter((cluster) => cluster.id === id) : [];
    for (const cluster of named) await clearCluster(cluster.id, cluster.dir);
    const cleared = id ? named.map((cluster) => cluster.id) : await clearLeftovers({ kept: true });
    console.log(cleared.length > 0 ? `ended ${cleared.join(', ')}` : 'nothing to end');
  },
};

const [name = '', ...args] = process.argv.slice(2);
const command = commands[name];
if (command) {
  await command(args);
} else {
  console.error(`usage: npm run cluster -- ${Object.keys(commands).join(' | ')}`);
  process.exitCode = 2;
}
