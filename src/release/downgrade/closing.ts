/**
 * Closing the gate: the last thing before the drain. The intent is written, then the gate; the drain begins when the gate
 * is proved to be in force. One that can't be proved gates new pods and drains nothing, so it is taken away again.
 */
import type { Act } from '../model/act.ts';
import { secondsSince } from '../model/elapsed.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import { tidyGate } from './gates.ts';

/** How long a gate may stand unproved: API servers take a new webhook configuration up within a second or two. */
const proofSeconds = 30;

/** An intent older than this, without a gate, is of a try that was broken off. */
const freshSeconds = 10;

const longestPauseSeconds = 600;

/** The next act on the way to a gate that is in force; undefined when it is. */
export function closing(release: Release, run: Run): Act | undefined {
  const { gate, now } = release;
  const { gating } = run.status;
  const at = now.toISOString();
  const since = (time: string) => secondsSince(time, now);
  if (gating?.failedAt) {
    const opening = tidyGate(release);
    if (opening) return opening;
    const pause = Math.min(proofSeconds * 2 ** ((gating.tries ?? 1) - 1), longestPauseSeconds);
    const again: Act = { act: 'record', status: { gating: { ...gating, since: at, failedAt: null, failure: null } } };
    if (since(gating.failedAt) > pause) return again;
    const message = `${gating.failure}; the gate was taken away again after ${proofSeconds} s, nothing was drained, and it is tried again after ${pause} s`;
    return { act: 'wait', reason: 'GateNotProven', message };
  }
  if (gate === 'inForce') return undefined;
  if (!gating || (gate === 'absent' && since(gating.since) > freshSeconds))
    return { act: 'record', status: { gating: { ...gating, since: at } } };
  if (gate === 'absent') return { act: 'createGate' };
  if (since(gating.since) <= proofSeconds) return { act: 'wait', reason: 'Draining', message: gate.written };
  const tries = (gating.tries ?? 0) + 1;
  return { act: 'record', status: { gating: { ...gating, failedAt: at, failure: gate.written, tries } } };
}
