/**
 * Troubles: what fails look after look, before anything could be decided or shown, is said where people look: by an event
 * on what is held, and on the Downgrade, which is Stalled with it.
 */
import { activeRun, type DowngradeObject, downgradeApi } from '../../release/kubernetes/downgrade.ts';
import { readWorkload } from '../../release/kubernetes/workloads.ts';
import type { Reason } from '../../release/model/reasons.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Pod, Workload } from '../../release/model/workload.ts';
import type { Reads, Writes } from '../ports.ts';
import { stalledBy } from './downgrade.ts';

/** A conflict, or an API server that restarts, passes by itself. Said anew at each doubling, since events are forgotten. */
const patience = 3;

/** Whether the failure of this many looks in a row is to be said. */
export function isDue(times: number): boolean {
  return times % patience === 0 && Number.isInteger(Math.log2(times / patience));
}

interface Place {
  reads: Reads;
  writes: Writes;
  now: Date;
}

/** Says it as far as it can be said. Throws nothing: the failure itself is what its caller throws. */
export async function sayFailure(
  { namespace, name }: { namespace: string; name: string },
  error: unknown,
  { reads, writes, now }: Place,
): Promise<void> {
  const message = `downdraft can't go on with release ${name}: ${wordsOfThrown(error)}; it keeps trying, and running pods are not affected`;
  await Promise.allSettled([
    sayOnHeld(namespace, name, message, reads, writes),
    sayOnRun(namespace, name, { message, words: wordsOfThrown(error) }, { reads, writes, now }),
  ]);
}

async function sayOnHeld(namespace: string, release: string, message: string, reads: Reads, writes: Writes) {
  const workloads = (await reads.workloads(namespace)).map(readWorkload);
  const held = workloads.filter((w): w is Workload => w?.release === release && w.hold !== undefined);
  await warnOn(held, 'Blocked', message, writes);
}

async function sayOnRun(
  namespace: string,
  release: string,
  { message, words }: { message: string; words: string },
  { reads, writes, now }: Place,
) {
  const objects = await reads.downgrades(namespace);
  const run = activeRun(objects, release);
  const object = objects.find(({ metadata }) => run && metadata.name === run.name);
  if (!object || String(object.status?.message).includes(words)) return;
  await writes.patchDowngradeStatus(namespace, object.metadata.name, stalledBy(object, message, now), object.metadata);
  await writes.event({ object: subjectOf(object), type: 'Warning', reason: 'Blocked', message });
}

/** What an event of a Downgrade is about. */
export function subjectOf({ apiVersion, metadata: { namespace, name, uid } }: DowngradeObject) {
  return { apiVersion, kind: downgradeApi.kind, namespace, name, ...(uid ? { uid } : {}) };
}

/** One event on each of these workloads and pods. */
export async function warnOn(
  all: readonly (Workload | Pod)[],
  reason: Reason,
  message: string,
  writes: Writes,
): Promise<void> {
  for (const one of all) {
    const [apiVersion, kind] = 'kind' in one ? ['apps/v1', one.kind] : ['v1', 'Pod'];
    const { namespace = 'default', name, uid } = one.object.metadata;
    const object = { apiVersion, kind, namespace, name, ...(uid ? { uid } : {}) };
    await writes.event({ object, type: 'Warning', reason, message });
  }
}
