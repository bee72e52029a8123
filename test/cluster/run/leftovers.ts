import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clearNodeLeftovers } from '../node/leftovers.ts';
import { clearAbandoned } from './cache.ts';
import { clustersDir, deleteClusterFolder, type Owner, type Started, startedIn } from './folder.ts';
import { endProcess, isAlive } from './proc.ts';

/** A cluster whose folder is there. */
export interface KnownCluster {
  id: string;
  dir: string;
  owner: Owner;
  ownerAlive: boolean;
}

/** Every cluster that has a folder in the cache. */
export async function listClusters(): Promise<KnownCluster[]> {
  const ids = await readdir(clustersDir()).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const known = await Promise.all(ids.map(async (id) => await readCluster(id)));
  return known.filter((cluster) => cluster !== undefined);
}

/**
 * Clears what clusters with a dead owner left: ends exactly the processes recorded in their folders, takes away
 * mounts and network namespaces, deletes the folders. Clusters marked `keep` stay, unless `kept` says otherwise.
 * Answers the ids of the clusters that were cleared.
 */
export async function clearLeftovers(options: { kept?: boolean } = {}): Promise<string[]> {
  // Elsewhere a process can't be told from a later one with the same number, so nothing may be ended.
  if (process.platform !== 'linux') return [];
  await clearAbandoned();
  const dead = (await listClusters()).filter(({ ownerAlive, owner }) => (owner.keep ? options.kept : !ownerAlive));
  for (const { id, dir } of dead) await clearCluster(id, dir);
  return dead.map(({ id }) => id);
}

/** Ends and deletes one cluster by its folder, whoever started it. */
export async function clearCluster(id: string, dir: string): Promise<void> {
  const running = await stillTheirs(await startedIn(dir));
  // Newest first: kubelet before containerd, controllers before the API server, etcd last.
  for (const started of running.reverse()) await endProcess(started);
  await clearNodeLeftovers(id, dir);
  await deleteClusterFolder(dir);
}

async function readCluster(id: string): Promise<KnownCluster | undefined> {
  const dir = join(clustersDir(), id);
  try {
    const owner: Owner = JSON.parse(await readFile(join(dir, 'owner.json'), 'utf8'));
    return { id, dir, owner, ownerAlive: await isAlive(owner) };
  } catch (error) {
    // Deleted between the two reads, by its owner.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Those that still run as the process we started: same number, same start, same command line. */
async function stillTheirs(started: Started[]): Promise<Started[]> {
  const checked = await Promise.all(
    started.map(async (one) => {
      if (!(await isAlive(one))) return [];
      const arguments_ = (await readFile(`/proc/${one.pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      // nsenter replaces itself by the program, so the command line is the end of the recorded one.
      return one.command.endsWith(arguments_.join(' ').trim()) && arguments_.length > 1 ? [one] : [];
    }),
  );
  return checked.flat();
}
