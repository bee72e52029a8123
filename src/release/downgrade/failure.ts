/**
 * A part of a run that failed. What may pass by itself (a server that restarts, a network that is gone, a lock, a session)
 * is tried again; all else waits for a person or for the policy. The release stays drained meanwhile.
 */
import type { Act } from '../model/act.ts';
import { secondsSince } from '../model/elapsed.ts';
import { consequenceOf } from '../model/error-kinds.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import type { WaitReason } from '../model/waits.ts';

const retrySeconds = 20;

/** Records the failure, then waits with it; a new runner tries again what may pass. */
export function failing({ now }: Release, run: Run, kind: string, message: string, reason: WaitReason): Act {
  const { failure } = run.status;
  if (failure?.message !== message)
    return { act: 'record', status: { failure: { reason: kind, message, at: now.toISOString() } } };
  if (!mayPass(run)) return { act: 'wait', reason, message };
  if (secondsSince(failure.at, now) > retrySeconds) return { act: 'restartRunner' };
  return { act: 'wait', reason, message: `${message}; it is tried again in ${retrySeconds} s` };
}

/** Whether what failed may go well the next time, as it is. */
export function mayPass({ status: { failure } }: Run): boolean {
  return failure !== undefined && failure !== null && consequenceOf(failure.reason) === 'passes';
}
