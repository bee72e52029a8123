import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../run/command.ts';
import { unmountBelow } from '../run/mounts.ts';
import { endProcess, identify, type ProcessId } from '../run/proc.ts';
import { stateDir } from './containerd.ts';
import { deleteNetwork, netnsOf } from './netns.ts';

/**
 * Takes away what a node's cluster leaves outside its recorded processes: containers and their shims (known by this
 * cluster's own containerd state), mounts, the pods' and the cluster's network namespaces. Fine when there is nothing.
 */
export async function clearNodeLeftovers(id: string, dir: string): Promise<void> {
  if (!existsSync(stateDir(id)) && !existsSync(`/run/netns/${netnsOf(id)}`)) return;
  const containers = await containersOf(id);
  for (const shim of await shimsOf(id)) await endProcess(shim, 0);
  for (const { init } of containers) if (init) await endProcess(init, 0);
  await unmountBelow([stateDir(id), dir]);
  await deletePodNetworks(id);
  await deleteNetwork(id);
  await deleteCgroups(containers.map(({ name }) => name));
  await deleteLogLinks(dir);
  await rm(stateDir(id), { recursive: true, force: true });
}

interface Container {
  name: string;
  init?: ProcessId;
}

/** The containers that containerd's runtime has a folder of, with their first process while it runs. */
async function containersOf(id: string): Promise<Container[]> {
  const tasks = join(stateDir(id), 'io.containerd.runtime.v2.task/k8s.io');
  return await Promise.all(
    (await listed(tasks)).map(async (name) => {
      const pid = Number(await readFile(join(tasks, name, 'init.pid'), 'utf8').catch(() => ''));
      // The number may have been given to someone else since: the container's own cgroup is named after it.
      const cgroup = pid ? await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '') : '';
      return { name, init: cgroup.includes(name) ? await identify(pid) : undefined };
    }),
  );
}

async function shimsOf(id: string): Promise<ProcessId[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      const ours = line[0]?.includes('containerd-shim') && line.includes(join(stateDir(id), 'containerd.sock'));
      return ours ? await identify(Number(pid)) : undefined;
    }),
  );
  return found.filter((shim) => shim !== undefined);
}

interface CniRecord {
  result?: { interfaces?: { sandbox?: string }[] };
}

/** The pods' network namespaces, as the CNI plugins' own record of this cluster's network names them. */
async function deletePodNetworks(id: string): Promise<void> {
  const records = '/var/lib/cni/results';
  for (const name of await listed(records)) {
    if (!name.startsWith(`downdraft-${id}-`)) continue;
    const record = JSON.parse(await readFile(join(records, name), 'utf8')) as CniRecord;
    for (const { sandbox = '' } of record.result?.interfaces ?? []) {
      const netns = /\/netns\/(cni-[0-9a-f-]+)$/.exec(sandbox)?.[1];
      if (netns && existsSync(`/run/netns/${netns}`)) await run('ip', ['netns', 'delete', netns], { env: process.env });
    }
    await rm(join(records, name), { force: true });
    const container = name.slice(`downdraft-${id}-`.length).replace(/-[^-]*$/, '');
    await rm(join(records, `cni-loopback-${container}-lo`), { force: true });
  }
}

/** Empty groups that killed containers leave behind. */
async function deleteCgroups(names: string[]): Promise<void> {
  const root = '/sys/fs/cgroup';
  const parents = ['', ...(await listed(root))].map((controller) => join(root, controller, 'k8s.io'));
  for (const parent of parents) {
    for (const name of names) {
      await rmdir(join(parent, name)).catch((error) => {
        if (!['ENOENT', 'ENOTDIR', 'EBUSY'].includes(error.code)) throw error;
      });
    }
  }
}

/** The kubelet links every log into this folder, whichever it writes to. */
async function deleteLogLinks(dir: string): Promise<void> {
  const links = '/var/log/containers';
  for (const name of await listed(links)) {
    const target = await readlink(join(links, name)).catch(() => '');
    if (target.startsWith(`${dir}/`)) await rm(join(links, name), { force: true });
  }
}

async function listed(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
