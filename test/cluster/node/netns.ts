/**
 * A network of the cluster's own: a namespace, joined to the host by a veth pair.
 *
 * Fixed ports, iptables rules and the pods' bridge are private to it, so that clusters can run side by side; deleting
 * the namespace takes all of them away. Only the network is private: entered by `nsenter --net`, not `ip netns exec`,
 * which also makes a private mount namespace, where the kubelet's mounts would be invisible to containerd.
 */

import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { cacheDir } from '../run/cache.ts';
import { run } from '../run/command.ts';
import { withLock } from '../run/lock.ts';

/** A cluster's network as the host and its programs see it. */
export interface Network {
  /** What a command begins with to run in it. */
  enter: string[];
  /** Under this address the host reaches it. */
  address: string;
  /** The node's address, which is that of the pods' bridge. */
  nodeAddress: string;
}

/** The pods' and the Services' addresses: the same in each cluster, as no cluster sees another's. */
export const podNetwork = '10.88.0.0/16';

export const nodeAddress = '10.88.0.1';
const serviceNetwork = '10.96.0.0/16';
export const bridge = 'cni0';

/** The namespace's name. */
export function netnsOf(id: string): string {
  return `dd-${id}`;
}

/** Makes the namespace, the veth pair with a free /30 of 10.213.0.0/16, and the pods' bridge. */
export async function makeNetwork(id: string): Promise<Network> {
  const netns = netnsOf(id);
  const [outside, inside] = [`ddh${id}`, `ddn${id}`];
  await ip('netns', 'add', netns);
  const address = await withLock(
    join(cacheDir(), 'locks', 'addresses'),
    () => {},
    async () => {
      const prefix = freePrefix();
      await ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', netns);
      await ip('addr', 'add', `${prefix}.1/30`, 'dev', outside);
      await ip('link', 'set', outside, 'up');
      await ip('-n', netns, 'addr', 'add', `${prefix}.2/30`, 'dev', inside);
      return `${prefix}.2`;
    },
  );
  await ip('-n', netns, 'link', 'set', 'lo', 'up');
  await ip('-n', netns, 'link', 'set', inside, 'up');
  await ip('-n', netns, 'link', 'add', bridge, 'type', 'bridge');
  await ip('-n', netns, 'addr', 'add', `${nodeAddress}/16`, 'dev', bridge);
  await ip('-n', netns, 'link', 'set', bridge, 'up');
  // There is no default route, on purpose: nothing here is to reach the world. But a connection to a Service's address
  // needs some route before kube-proxy's rules turn it to a pod's.
  await ip('-n', netns, 'route', 'add', serviceNetwork, 'dev', bridge);
  const enter = ['nsenter', `--net=/run/netns/${netns}`, '--'];
  await run(enter[0]!, [...enter.slice(1), 'sysctl', '-qw', 'net.ipv4.ip_forward=1'], { env: process.env });
  return { enter, address, nodeAddress };
}

/** Deletes the namespace and, with it, its end of the veth pair and so the host's. Fine when it is not there. */
export async function deleteNetwork(id: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list'], { env: process.env });
  if (!stdout.split('\n').some((line) => line.split(' ')[0] === netnsOf(id))) return;
  await ip('netns', 'delete', netnsOf(id));
  // A namespace lives as long as a process or a kept socket in it, and so does its link: take it away by name.
  await run('ip', ['link', 'delete', `ddh${id}`], { env: process.env }).catch((error: Error) => {
    if (!error.message.includes('Cannot find device')) throw error;
  });
}

function freePrefix(): string {
  const taken = new Set(
    Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address)),
  );
  for (let n = 0; n < 256; n++) if (!taken.has(`10.213.${n}.1`)) return `10.213.${n}`;
  throw new Error('256 clusters run on this machine: no address left in 10.213.0.0/16');
}

async function ip(...args: string[]): Promise<void> {
  await run('ip', args, { env: process.env, timeoutMs: 20_000 });
}
