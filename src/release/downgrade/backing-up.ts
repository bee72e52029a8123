/**
 * Backing up: nobody writes any more, nothing is changed yet. A copy or a dump is made and checked by the runner; a
 * snapshot is asked for and awaited; a person's word is written down. What can't be made opens the release again: the next
 * way is taken, or a person asked, while the old version serves.
 */
import { backupVolume } from '../kubernetes/helper-pods.ts';
import type { Act } from '../model/act.ts';
import { backupName, failedTries } from '../model/backup-names.ts';
import { secondsSince } from '../model/elapsed.ts';
import { same } from '../model/json.ts';
import { type BackupWay, isMade, type MadeWay, type SnapshotWay } from '../model/policy.ts';
import type { Release } from '../model/release.ts';
import type { Backup, Run, RunStatus } from '../model/run.ts';
import { bringRunner, progressOf, resultOf } from './orders.ts';
import { paceOf } from './pace.ts';
import { countedBy, counting } from './rows.ts';
import { askedObject, makingOf, sourceOf } from './snapshots.ts';

/** The next act of the backup; undefined when it stands. */
export function backingUp(release: Release, run: Run): Act | undefined {
  const { plan, backup } = run.status;
  if (!plan || plan.steps.length === 0) return undefined;
  if (backup?.verifiedAt) return counting(release, run);
  const { way, named } = plan.backup;
  const now = release.now.toISOString();
  if (!isMade(way)) {
    const given = { ...begun(run, way, now), verifiedAt: now, ...(named ? { named } : {}) };
    return { act: 'record', status: { backup: given } };
  }
  // One that failed is only begun anew when a person has asked for it (failedWays).
  if (backup?.way !== way || backup.name !== backupName(run, way) || backup.failure)
    return { act: 'record', status: { backup: { ...begun(run, way, now), ...intended(release, run, way, now) } } };
  return making[way](release, run, backup);
}

/** The next act while a backup is made, by its way. */
const making: Record<MadeWay, (release: Release, run: Run, backup: Backup) => Act> = {
  ServerCopy: copying,
  Dump: copying,
  VolumeSnapshot: (...of) => snapshotting('VolumeSnapshot', ...of),
  CNPGBackup: (...of) => snapshotting('CNPGBackup', ...of),
};

/** Nothing that was said of the way before counts for this one, but for the database that a copy left. */
function begun({ status: { backup } }: Run, way: Backup['way'], startedAt: string): Backup {
  const gone = { name: null, namespace: null, volume: null, path: null, named: null, failure: null };
  const unknown = { verifiedAt: null, stale: null, keepUntil: null, bytes: null, tables: null, rows: null };
  const left = backup?.way === 'ServerCopy' && backup.name ? { left: backup.name } : {};
  return { ...gone, ...unknown, ...left, way, startedAt };
}

function intended(release: Release, run: Run, way: MadeWay, now: string): Partial<Backup> {
  const { rules, namespace } = release;
  const { volumeSnapshot, cnpg } = rules.backup;
  const name = backupName(run, way);
  // A copy of that name may stand there from before another way was taken.
  if (way === 'ServerCopy') return { name, ...(run.status.backup?.left ? { stale: true } : {}) };
  if (way === 'Dump') return { name, keepUntil: termFrom(release, now), ...mounted(release) };
  return { name, namespace: (way === 'VolumeSnapshot' ? volumeSnapshot : cnpg)?.namespace ?? namespace };
}

/** Not by the policy, which may name another volume by now. */
function mounted({ pods }: Release): Partial<Backup> {
  const runner = pods.find((pod) => pod.role === 'runner' && !pod.terminating);
  const volume = runner && backupVolume(runner.object);
  return volume ? { volume } : {};
}

function termFrom({ rules }: Release, from: string): string {
  return new Date(Date.parse(from) + rules.backup.keepHours * 3_600_000).toISOString();
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
  if (result) return { act: 'record', status: notMade(backup, result.error.message) };
  const progress = progressOf(runner, run, 'copy');
  if (!progress) return { act: 'order', part: 'copy' };
  if (!same(progress, run.status.progress)) return { act: 'record', status: { progress } };
  const asks = paceOf(release, run)?.asks;
  return asks ? { act: 'wait', ...asks } : { act: 'wait', reason: 'BackingUp', message: progress.message };
}

/** Undrained and planned anew, without this way. */
export function notMade(backup: Backup, failure: string): Partial<RunStatus> {
  const failed = { ...backup.failed, [backup.way]: failure };
  return {
    backup: { ...backup, failure, failed, tries: (backup.tries ?? 0) + 1 },
    drainStartedAt: null,
    drainedAt: null,
    progress: null,
  };
}

/** Why ways could not be taken in this run, unless someone asked to try again; older records know of the copy alone. */
export function failedWays(run: Run): Partial<Record<BackupWay, string>> {
  const { backup } = run.status;
  if (failedTries(run) === 0) return {};
  return backup?.failed ?? (backup?.failure ? { ServerCopy: backup.failure } : {});
}

function verified(release: Release, backup: Backup, facts: Record<string, unknown> | null | undefined): Backup {
  const number = (name: string) => (typeof facts?.[name] === 'number' ? { [name]: facts[name] } : {});
  const now = release.now.toISOString();
  return {
    ...backup,
    stale: null,
    verifiedAt: now,
    // A dump's stands in its own mark, too.
    keepUntil: (backup.way === 'Dump' && backup.keepUntil) || termFrom(release, now),
    ...(typeof facts?.path === 'string' ? { path: facts.path } : {}),
    ...number('bytes'),
    ...number('tables'),
    ...number('rows'),
  };
}

/** An error may pass, since its maker goes on trying; longer than this nobody waits for that without Airflow. */
const errorPatienceSeconds = 60;

function snapshotting(way: SnapshotWay, release: Release, run: Run, backup: Backup): Act {
  const { rules, namespace, asked: stored, now } = release;
  const source = sourceOf(way, rules.backup, namespace);
  if (!source)
    return { act: 'record', status: notMade(backup, 'no DowngradePolicy names any more what it is made of') };
  const asked = askedObject(run, way, rules.backup, namespace);
  // Asked for twice there would be two.
  if (stored === 'unread') return { act: 'wait', reason: 'BackingUp', message: 'looks whether it was asked for' };
  const made = stored && makingOf(way, stored, asked);
  if (made?.state === 'ready')
    return { act: 'record', status: { backup: verified(release, backup, { bytes: made.bytes }) } };
  if (made?.state === 'failed') return { act: 'record', status: notMade(backup, made.message) };
  const seconds = secondsSince(backup.startedAt, now);
  const most = source.minutes * 60;
  const message = made?.message ?? `${asked.kind} ${asked.metadata.namespace}/${asked.metadata.name} is asked for`;
  if (made?.state === 'erring' && seconds > errorPatienceSeconds)
    return { act: 'record', status: notMade(backup, message) };
  if (seconds > most)
    return {
      act: 'record',
      status: notMade(backup, `not ready after ${Math.round(seconds / 60)} minutes: ${message}`),
    };
  if (!made) return { act: 'askBackup', object: asked };
  return { act: 'wait', reason: 'BackingUp', message };
}
