import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Starts a cluster in a process of its own and kills that process, as a crash would. Answers the cluster's id. */
export async function orphanedCluster(kind: 'plane' | 'node'): Promise<string> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'orphan.ts'), kind], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [printed] = (await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data'),
    exited.then(([code]) => Promise.reject(new Error(`the process that starts a cluster ended with ${code}`))),
  ])) as [string];
  child.kill('SIGKILL');
  await exited;
  return printed.trim();
}
