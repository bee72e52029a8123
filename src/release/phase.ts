/** The one-word summary for people, derived from facts. No code reads it back. */
import type { Pace } from './pace.ts';
import type { Run, RunStatus } from './release.ts';

export type Phase =
  | 'Planning'
  | 'Draining'
  | 'BackingUp'
  | 'Converting'
  | 'Downgrading'
  | 'Verifying'
  | 'Returning'
  | 'Resuming'
  | 'Done'
  | 'Reverted';

/** Phase of a run, from the timestamps of what has happened. */
export function phaseOf(status: RunStatus): Phase {
  if (status.completedAt) return status.outcome === 'Reverted' || status.outcome === 'Returned' ? 'Reverted' : 'Done';
  if (status.resumeStartedAt) return 'Resuming';
  if (status.returnStartedAt) return 'Returning';
  if (status.verifiedAt) return 'Verifying';
  if (status.schemaStartedAt) return during[status.progress?.kind ?? ''] ?? 'Downgrading';
  if (status.drainStartedAt) return isBackingUp(status) ? 'BackingUp' : 'Draining';
  return 'Planning';
}

/** What the runner is at in the schema step. */
const during: Record<string, Phase> = { convert: 'Converting', verify: 'Verifying' };

function isBackingUp({ drainedAt, backup, progress }: RunStatus): boolean {
  const begun = !backup?.verifiedAt || progress?.kind === 'count';
  return Boolean(drainedAt && backup && begun && !backup.failure);
}

const busy: Phase[] = ['BackingUp', 'Converting', 'Downgrading', 'Verifying', 'Returning'];

/** What the runner is at, where its own word for it is not the field's. */
const words: Record<string, string> = {
  manager: 'provider',
  takeBack: 'take the copy back',
  restore: 'load the dump',
  migrate: 'migrate up',
};

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
  const step = `${words[kind] ?? kind} ${done}/${of}${message ? `: ${message}` : ''}`;
  return pace?.words ? `${step}, ${pace.words}` : step;
}

/** Seconds without the API between the first pod's end and now (or the end of the run); undefined before the drain. */
export function outageSeconds(run: Run, now: Date): number | undefined {
  const { drainStartedAt, completedAt, outageSeconds: final } = run.status;
  if (final !== undefined) return final;
  if (!drainStartedAt) return undefined;
  const end = completedAt ? Date.parse(completedAt) : now.getTime();
  return Math.max(0, Math.round((end - Date.parse(drainStartedAt)) / 1000));
}
