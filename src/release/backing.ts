/**
 * Backing up: nobody writes any more, nothing is changed yet. The copy is made and checked by the runner; a person's word
 * is written down. What can't be made opens the release again and asks, since the old version can still serve.
 */
import { copyName } from './backup.ts';
import type { Act } from './next.ts';
import { bringRunner, progressOf, resultOf } from './orders.ts';
import { paceOf } from './pace.ts';
import type { Backup, Release, Run } from './release.ts';
import { same } from './same.ts';
import { countedBy, counting } from './verifying.ts';

/** The next act of the backup; undefined when it stands. */
export function backingUp(release: Release, run: Run): Act | undefined {
  const { plan, backup } = run.status;
  if (!plan || plan.steps.length === 0) return undefined;
  if (backup?.verifiedAt) return counting(release, run);
  const { way, named } = plan.backup;
  const now = release.now.toISOString();
  if (way !== 'ServerCopy') {
    const given = { way, startedAt: now, verifiedAt: now, ...(named ? { named } : {}) };
    return { act: 'record', status: { backup: given } };
  }
  // One that failed is only begun anew when a person has asked for it (planning.ts).
  if (backup?.way !== 'ServerCopy' || backup.failure) {
    const begun = { way, name: copyName(run), startedAt: now, failure: null, tries: (backup?.tries ?? 0) + 1 };
    return { act: 'record', status: { backup: begun } };
  }
  return copying(release, run, backup);
}

function copying(release: Release, run: Run, backup: Backup): Act {
  const { runner } = release;
  const absent = bringRunner(release, run, 'RunnerNotStarted');
  if (absent) return absent;
  const result = resultOf(runner, run, 'copy');
  if (result?.ok)
    return {
      act: 'record',
      status: { backup: verified(release, backup, result.facts?.at(-1)), ...countedBy(run, result), progress: null },
    };
  // Undrained and planned anew: the next way is taken, or a person asked, while the old version serves.
  if (result) {
    const failure = result.error.message;
    const reopened = { drainStartedAt: null, drainedAt: null, progress: null };
    return { act: 'record', status: { backup: { ...backup, failure }, ...reopened } };
  }
  const progress = progressOf(runner, run, 'copy');
  if (!progress) return { act: 'order', part: 'copy' };
  if (!same(progress, run.status.progress)) return { act: 'record', status: { progress } };
  const asks = paceOf(release, run)?.asks;
  return asks ? { act: 'wait', ...asks } : { act: 'wait', reason: 'BackingUp', message: progress.message };
}

function verified({ now, rules }: Release, backup: Backup, facts: Record<string, unknown> | null | undefined): Backup {
  const number = (name: string) => (typeof facts?.[name] === 'number' ? { [name]: facts[name] } : {});
  const keepUntil = new Date(now.getTime() + rules.backup.keepHours * 3_600_000).toISOString();
  return {
    ...backup,
    stale: null,
    verifiedAt: now.toISOString(),
    keepUntil,
    ...number('bytes'),
    ...number('tables'),
    ...number('rows'),
  };
}
