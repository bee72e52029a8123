/** The one-word summary for people, derived from facts. No code reads it back. */

import { secondsSince } from '../model/elapsed.ts';
import type { Phase } from '../model/phase.ts';
import type { Run, RunStatus } from '../model/run.ts';
import { factsOf } from '../model/step-kinds.ts';
import type { Pace } from './pace.ts';

/** Phase of a run, from the timestamps of what has happened. */
export function phaseOf(status: RunStatus): Phase {
  if (status.completedAt) return phaseAfter(status.outcome);
  if (status.resumeStartedAt) return 'Resuming';
  if (status.returnStartedAt) return 'Returning';
  if (status.verifiedAt) return 'Verifying';
  if (status.schemaStartedAt) return inSchemaStep(status);
  if (status.drainStartedAt) return isBackingUp(status) ? 'BackingUp' : 'Draining';
  return 'Planning';
}

/** Two ends are none of what was asked for, and say so. */
function phaseAfter(outcome: RunStatus['outcome']): Phase {
  return outcome === 'Canceled' || outcome === 'Returned' ? outcome : 'Done';
}

/** By what the runner is at; what was last told of the backup is over. */
function inSchemaStep({ progress }: RunStatus): Phase {
  const { part, phase } = factsOf(progress?.kind ?? '');
  return part === 'reverse' ? phase : 'Downgrading';
}

function isBackingUp({ drainedAt, backup, progress }: RunStatus): boolean {
  const begun = !backup?.verifiedAt || progress?.kind === 'count';
  return Boolean(drainedAt && backup && begun && !backup.failure);
}

const busy: Phase[] = ['BackingUp', 'Converting', 'Downgrading', 'Verifying', 'Returning'];

/** What stepOf is told beside the status. */
interface Moment {
  /** Nothing is being done, whatever was told last. */
  idle?: boolean;
  pace?: Pace | undefined;
}

/** The column STEP: what is being done right now, in a few words, and of a long step how it gets on. */
export function stepOf(status: RunStatus, waitingFor: string, { idle = false, pace }: Moment = {}): string {
  const phase = phaseOf(status);
  const working = !idle && busy.includes(phase) && !(phase === 'Verifying' && status.verifiedAt);
  if (!working || status.failure) return status.failure?.message ?? waitingFor;
  const { progress } = status;
  if (!progress) return waitingFor;
  const { kind, done, of, message } = progress;
  const step = `${factsOf(kind).word} ${done}/${of}${message ? `: ${message}` : ''}`;
  return pace?.words ? `${step}, ${pace.words}` : step;
}

/** Seconds without the API between the first pod's end and now (or the end of the run); undefined before the drain. */
export function outageSeconds(run: Run, now: Date): number | undefined {
  const { drainStartedAt, completedAt, outageSeconds: final } = run.status;
  if (final !== undefined) return final;
  if (!drainStartedAt) return undefined;
  return Math.max(0, Math.round(secondsSince(drainStartedAt, completedAt ? new Date(completedAt) : now)));
}
