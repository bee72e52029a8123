/** What breaks things on the real node, from outside of the cluster: disk, network, memory. Each is undone by its answer. */
import { mkdir, readFile, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { stateDir } from '../cluster/node/containerd.ts';
import { run } from '../cluster/run/command.ts';
import type { NodePlace } from './node.ts';

const host = { env: process.env, timeoutMs: 20_000 };

/** A disk of this many MB in the cluster's folder, with which it goes away. */
export async function smallDisk({ cluster }: NodePlace, megabytes: number): Promise<string> {
  const disk = join(cluster.dir, 'disk');
  await mkdir(disk);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', disk], host);
  return disk;
}

/** Fills a disk but for so many MB. Answers what makes room again. */
export async function fill(disk: string, leave: number): Promise<() => Promise<void>> {
  const { bavail, bsize } = await statfs(disk);
  const filler = join(disk, 'filler');
  await run('fallocate', ['-l', String(bavail * bsize - leave * 1_000_000), filler], host);
  return async () => await rm(filler, { force: true });
}

/** Resets all that the API server says to the kubelet, open streams and new ones: no exec, no log. Answers the undoing. */
export async function cutKubelet({ cluster: { enter } }: NodePlace): Promise<() => Promise<void>> {
  return await filter(enter, 'OUTPUT', '--dport', '10250', '-j', 'REJECT', '--reject-with', 'tcp-reset');
}

/** Drops all that comes to a pod's port from other pods and the node, as a network that is gone does. Answers the undoing. */
export async function cutPort(place: NodePlace, container: Container, port: number): Promise<() => Promise<void>> {
  const enter = ['nsenter', `--net=/proc/${await pidOf(place, container)}/ns/net`, '--'];
  return await filter(enter, 'INPUT', '!', '-i', 'lo', '--dport', String(port), '-j', 'DROP');
}

async function filter(enter: string[], chain: string, ...rule: string[]): Promise<() => Promise<void>> {
  const iptables = async (verb: '-I' | '-D') => {
    const [command, ...args] = [...enter, 'iptables', '-w', verb, chain, '-p', 'tcp', ...rule];
    await run(command!, args, host);
  };
  await iptables('-I');
  return async () => await iptables('-D');
}

/** A container of a pod, as kubelet names it. */
export interface Container {
  namespace: string;
  pod: string;
  name: string;
}

interface PodSeen {
  status: { containerStatuses?: { name: string; containerID?: string }[] };
}

/** The number of a container's first process on the host. Throws when it does not run. */
async function pidOf({ cluster, get }: NodePlace, { namespace, pod, name }: Container): Promise<number> {
  const seen = await get<PodSeen>('pod', pod, namespace);
  const id = seen?.status.containerStatuses?.find((c) => c.name === name)?.containerID?.replace('containerd://', '');
  if (!id) throw new Error(`container ${name} of pod/${pod} does not run`);
  const file = join(stateDir(cluster.id), 'io.containerd.runtime.v2.task/k8s.io', id, 'init.pid');
  return Number(await readFile(file, 'utf8'));
}

/**
 * Lowers a container's memory limit to what it has and lets it ask for more: the kernel ends its biggest process, and
 * kubelet says OOMKilled.
 */
export async function runOutOfMemory(place: NodePlace, container: Container): Promise<void> {
  const { namespace, pod, name } = container;
  const group = await memoryGroupOf(await pidOf(place, container));
  const used = Number(await readFile(join(group.path, group.usage), 'utf8'));
  await run('sh', ['-c', 'echo "$1" > "$2"', 'sh', String(used + 8_000_000), join(group.path, group.limit)], host);
  // Ends by the same kernel, or with the pod.
  await place.kubectl(['-n', namespace, 'exec', pod, '-c', name, '--', 'sh', '-c', 'head -c 200m /dev/zero | tail']);
}

async function memoryGroupOf(pid: number): Promise<{ path: string; usage: string; limit: string }> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8');
  const first = /^\d+:memory:(.*)$/m.exec(groups)?.[1];
  if (first)
    return {
      path: join('/sys/fs/cgroup/memory', first),
      usage: 'memory.usage_in_bytes',
      limit: 'memory.limit_in_bytes',
    };
  const second = /^0::(.*)$/m.exec(groups)?.[1] ?? '';
  return { path: join('/sys/fs/cgroup', second), usage: 'memory.current', limit: 'memory.max' };
}
