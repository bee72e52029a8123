/**
 * What Ctrl-C leaves behind, and who takes it away.
 *
 * Commands that we wait for run in process groups of their own, so a terminal's Ctrl-C reaches none of them. The
 * cluster's own programs are our children, too, but a cluster that is whole outlives us.
 */

import { readdir, readFile } from 'node:fs/promises';
import { startedIn } from '../cluster/run/folder.ts';
import { clearCluster, listClusters } from '../cluster/run/leftovers.ts';
import { endProcess, identify, type ProcessId } from '../cluster/run/proc.ts';
import { purpose } from './site.ts';

const GRACE_MS = 20_000;

/** Ends what this process waits for, gives `work` time to tidy up, and clears clusters that it made half. */
export async function tidyUp(work: Promise<unknown> | undefined, whole: boolean): Promise<void> {
  await endCommands();
  const mine = async () =>
    (await listClusters()).filter(({ owner }) => owner.pid === process.pid && !(whole && owner.purpose === purpose));
  // Their ends make what waits for them fail, and so `work` come to its own end.
  for (const { id, dir } of await mine()) await clearCluster(id, dir);
  await Promise.race([work?.catch(() => {}), new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref())]);
  await endCommands();
  for (const { id, dir } of await mine()) await clearCluster(id, dir);
}

/** Ends our children that are no cluster's program, with their groups. */
async function endCommands(): Promise<void> {
  if (process.platform !== 'linux') return;
  const kept = new Set<number>();
  for (const { dir } of await listClusters()) for (const { pid } of await startedIn(dir)) kept.add(pid);
  for (const child of await children()) {
    if (kept.has(child.pid)) continue;
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await endProcess(child, 5000);
  }
}

async function children(): Promise<ProcessId[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      // proc(5): the name in parentheses may hold anything, so count from the last one; the parent is field 4.
      const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      return Number(parent) === process.pid ? await identify(Number(pid)) : undefined;
    }),
  );
  return found.filter((child) => child !== undefined);
}
