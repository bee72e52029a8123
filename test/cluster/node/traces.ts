import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clustersDir } from '../run/folder.ts';
import { stateDir } from './containerd.ts';
import { netnsOf } from './netns.ts';

/** Everything on this machine that names this cluster: folders, processes, mounts, network namespace and devices. */
export async function tracesOf(id: string): Promise<string[]> {
  const folder = join(clustersDir(), id);
  const paths = [folder, stateDir(id), `/run/netns/${netnsOf(id)}`, `/sys/class/net/ddh${id}`];
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').filter((line) => {
    return line.includes(`${folder}/`) || line.includes(`${stateDir(id)}/`);
  });
  const records = existsSync('/var/lib/cni/results') ? await readdir('/var/lib/cni/results') : [];
  return [
    ...paths.filter((path) => existsSync(path)),
    ...mounts.map((line) => `mount ${line}`),
    ...records.filter((name) => name.startsWith(`downdraft-${id}-`)),
    ...(await processesNaming([folder, stateDir(id)])),
  ];
}

async function processesNaming(texts: string[]): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map(async (pid) => ({ pid, line: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') })),
  );
  return lines
    .filter(({ line }) => texts.some((text) => line.includes(text)))
    .map(({ pid, line }) => `process ${pid} ${line.replaceAll('\0', ' ')}`);
}
