/** Kills the controller (SIGKILL) as a node's out-of-memory killer would. */
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from '../../src/cluster/client/client.ts';
import * as paths from '../../src/cluster/client/paths.ts';
import { watch } from '../../src/cluster/client/watch.ts';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import type { Place } from './place.ts';

/** Kills the leader once in each of these phases, as soon as a Downgrade of the namespace says it, until stopped. */
export function killIn(place: Place, namespace: string, phases: string[]): () => Promise<string[]> {
  const client = connect({ kubeconfig: place.cluster.kubeconfig });
  const stopping = new AbortController();
  const killedIn: string[] = [];
  let before: Promise<unknown> = Promise.resolve();
  const kill = async (phase: string) => {
    if (phases.includes(phase) && !killedIn.includes(phase) && (await killLeader(place))) killedIn.push(phase);
  };
  void watch<DowngradeObject & { metadata: { name: string } }>(client, paths.downgradesOf(namespace), {
    signal: stopping.signal,
    onChange: ({ object }) => {
      before = before.then(() => kill(String(object.status?.phase)));
    },
  });
  return async () => {
    stopping.abort();
    await before;
    client.close();
    return killedIn;
  };
}

/** Answers whether there was a leader whose process could be killed. */
async function killLeader(place: Place): Promise<boolean> {
  const lease = await place.get<{ spec: { holderIdentity?: string } }>('lease', 'downdraft', 'downdraft');
  const holder = lease?.spec.holderIdentity?.split('_')[0];
  const pid = holder && readdirSync('/proc').find((name) => environmentOf(name).includes(`POD_NAME=${holder}\0`));
  if (!pid) return false;
  process.kill(Number(pid), 'SIGKILL');
  return true;
}

/** Empty for what is no process; one may end while it is looked at. */
function environmentOf(name: string): string {
  try {
    return `${readFileSync(`/proc/${name}/environ`, 'utf8')}\0`;
  } catch {
    return '';
  }
}
