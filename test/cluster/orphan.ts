/** Starts a cluster for a test that then kills this very process: `node orphan.ts plane|node`. Prints its id. */

import { startNode } from './node/node.ts';
import { startControlPlane } from './plane/controlplane.ts';

const start = process.argv[2] === 'node' ? startNode : startControlPlane;
const cluster = await start({ purpose: 'orphan' });
if (process.argv[2] === 'node') {
  const { run } = await import('./run/command.ts');
  await run('kubectl', ['run', 'pod', '--image=pause:1'], { env: cluster.env });
  await run('kubectl', ['wait', '--for=condition=Ready', 'pod/pod', '--timeout=60s'], { env: cluster.env });
}
console.log(cluster.id);
setInterval(() => {}, 60_000);
