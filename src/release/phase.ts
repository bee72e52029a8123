/** The one-word summary for people, derived from facts. No code reads it back. */
import type { Run, RunStatus } from './release.ts';

export type Phase = 'Planning' | 'Draining' | 'Downgrading' | 'Verifying' | 'Resuming' | 'Done' | 'Reverted';

/** Phase of a run, from the timestamps of what has happened. */
export function phaseOf(status: RunStatus): Phase {
  if (status.completedAt) return status.outcome === 'Reverted' ? 'Reverted' : 'Done';
  if (status.resumeStartedAt) return 'Resuming';
  if (status.verifiedAt) return 'Verifying';
  if (status.schemaStartedAt) return 'Downgrading';
  if (status.drainStartedAt) return 'Draining';
  return 'Planning';
}

/** The column STEP: what is being done right now, in a few words. */
export function stepOf(status: RunStatus, waitingFor: string): string {
  if (phaseOf(status) !== 'Downgrading' || status.failure) return status.failure?.message ?? waitingFor;
  const { progress } = status;
  if (!progress) return waitingFor;
  return `${progress.kind === 'core' ? 'core' : 'provider'} ${progress.done}/${progress.of}${progress.message ? `: ${progress.message}` : ''}`;
}

/** Seconds without the API between the first pod's end and now (or the end of the run); undefined before the drain. */
export function outageSeconds(run: Run, now: Date): number | undefined {
  const { drainStartedAt, completedAt, outageSeconds: final } = run.status;
  if (final !== undefined) return final;
  if (!drainStartedAt) return undefined;
  const end = completedAt ? Date.parse(completedAt) : now.getTime();
  return Math.max(0, Math.round((end - Date.parse(drainStartedAt)) / 1000));
}
