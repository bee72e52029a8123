import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../run/cache.ts';
import { run } from '../run/command.ts';
import { type Daemon, startDaemon } from '../run/folder.ts';
import { type Lock, tryLock } from '../run/lock.ts';
import { waitFor } from '../run/wait.ts';
import { bridge as bridgeName, podNetwork } from './netns.ts';

/** Where containerd keeps what lives as long as the machine's boot; short, for a socket's path has 107 bytes. */
export function stateDir(id: string): string {
  return `/run/downdraft-${id}`;
}

/** A containerd of the cluster's own. */
export interface Containerd {
  daemon: Daemon;
  socket: string;
}

/**
 * Starts containerd. Its store is the cache's, where images stay unpacked from one cluster to the next, or, while
 * another cluster has that, a new one in the cluster's folder.
 */
export async function startContainerd(id: string, dir: string, enter: string[]): Promise<Containerd> {
  const lock = await tryLock(join(cacheDir(), 'locks', 'containerd'));
  try {
    const root = lock ? join(cacheDir(), 'containerd') : join(dir, 'containerd');
    const socket = join(stateDir(id), 'containerd.sock');
    const config = await writeConfig(id, dir, root, socket);
    const start = async () => await launch(dir, [...enter, 'containerd', '-c', config], socket, lock);
    let daemon = await start();
    if (await deleteContainers(socket)) {
      // Left in the store by a crash; the kubelet's side of containerd learns of their end only by a new start.
      await daemon.end();
      daemon = await start();
    }
    return { daemon, socket };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

async function launch(dir: string, command: string[], socket: string, lock: Lock | undefined): Promise<Daemon> {
  const daemon = await startDaemon(dir, 'containerd', command);
  // The store is in use as long as this containerd lives, also when a kept cluster outlives us.
  await lock?.handTo(daemon);
  await waitFor('containerd', 30_000, async () => {
    await daemon.check();
    await ctr(socket, 'version');
    return true;
  });
  return daemon;
}

async function writeConfig(id: string, dir: string, root: string, socket: string): Promise<string> {
  const cni = join(dir, 'cni');
  const config = join(dir, 'containerd.toml');
  await mkdir(cni);
  await mkdir(stateDir(id), { recursive: true, mode: 0o711 });
  await writeFile(join(cni, '10-downdraft.conflist'), JSON.stringify(cniConfig(id, dir)));
  await writeFile(config, containerdConfig({ root, state: stateDir(id), socket, cni }));
  return config;
}

/** Ends and deletes every container that containerd still knows. Answers whether there were any. */
export async function deleteContainers(socket: string): Promise<boolean> {
  let found = false;
  await waitFor('the end of all containers', 60_000, async () => {
    // What the kubelet's side of containerd deletes at the same time is "not found", and is not there the next time.
    const tasks = await listed(socket, 'tasks');
    if (tasks.length > 0) await ctr(socket, 'tasks', 'rm', '-f', ...tasks);
    const containers = await listed(socket, 'containers');
    if (containers.length > 0) await ctr(socket, 'containers', 'rm', ...containers);
    found ||= tasks.length + containers.length > 0;
    return tasks.length + containers.length === 0;
  });
  return found;
}

async function listed(socket: string, what: 'tasks' | 'containers'): Promise<string[]> {
  return (await ctr(socket, what, 'ls', '-q')).split('\n').filter(Boolean);
}

async function ctr(socket: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('ctr', ['--address', socket, '--namespace', 'k8s.io', ...args], {
    env: process.env,
    timeoutMs: 60_000,
  });
  return stdout;
}

function cniConfig(id: string, dir: string): object {
  const ipam = {
    type: 'host-local',
    // Each cluster counts its own addresses.
    dataDir: join(dir, 'addresses'),
    ranges: [[{ subnet: podNetwork }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { type: 'bridge', bridge: bridgeName, isGateway: true, ipMasq: true, hairpinMode: true, ipam };
  const portmap = { type: 'portmap', capabilities: { portMappings: true } };
  return { cniVersion: '0.4.0', name: `downdraft-${id}`, plugins: [bridge, portmap] };
}

interface Paths {
  root: string;
  state: string;
  socket: string;
  cni: string;
}

function containerdConfig({ root, state, socket, cni }: Paths): string {
  const mirror = (host: string) =>
    `[plugins."io.containerd.grpc.v1.cri".registry.mirrors."${host}"]\nendpoint = ["http://127.0.0.1:5000"]`;
  return `version = 2
root = "${root}"
state = "${state}"
# It would make a folder outside of the cache.
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "${socket}"
[ttrpc]
address = "${socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
# Where CAP_SYS_RESOURCE is missing, a negative oom_score_adj can't be set, and every sandbox would die of it.
restrict_oom_score_adj = true
sandbox_image = "127.0.0.1:5000/pause:1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${cni}"
${mirror('127.0.0.1:5000')}
# So that pods may say apache/airflow:3.2.1 as they do elsewhere.
${mirror('docker.io')}
`;
}
