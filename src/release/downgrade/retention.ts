/**
 * Retention: how long the database as it was stays on its server once a run is over, and what is dropped next.
 *
 *   verified copy            until keepUntil, which was set when it was verified
 *   after the return       the copy is the database again; what it put aside stays as long as the copy would have
 *   begun, never verified    goes as soon as the run is over: it is of no use to anybody
 *
 * What is not on the server stays: the next dump on a volume removes those of ours whose term is over (src/inside), and
 * objects that others made are data that only a person deletes.
 *
 * The records themselves: of each release the newest are kept, and every one that tells of a backup which may still be there.
 */
import { type DowngradeObject, isOurs, readRun } from '../kubernetes/downgrade.ts';
import type { Act } from '../model/act.ts';
import { asideName, hasCopy } from '../model/backup-names.ts';
import { isMade } from '../model/policy.ts';
import type { Expired, Release, Surplus } from '../model/release.ts';
import type { Backup, Run, RunStatus } from '../model/run.ts';

/** The database could not be dropped, or must not be: one sentence, without any secret. It stays where it is. */
export class CopyKept extends Error {
  override name = 'CopyKept';
}

const firstPauseMs = 10 * 60_000;
const longestPauseMs = 60 * 60_000;

/** What to drop next of a release: of all that is due what has been so for longest. */
export function expired(downgrades: readonly DowngradeObject[], release: string, now: Date): Expired | undefined {
  const due = downgrades
    .filter((object) => object.spec.release === release)
    .flatMap((object) => {
      const at = dropDue(object);
      return at && at <= now ? [{ at, run: readRun(object) }] : [];
    });
  due.sort((a, b) => a.at.getTime() - b.at.getTime() || a.run.name.localeCompare(b.run.name));
  return due[0] && leftBy(due[0].run);
}

/** When what a Downgrade left is to be dropped, or that tried again; undefined: never, as far as is known now. */
export function dropDue(object: DowngradeObject): Date | undefined {
  const { status } = readRun(object);
  const { backup, completedAt } = status;
  if (!completedAt || !backup || !databaseOf(backup) || backup.droppedAt) return undefined;
  const over = Date.parse(completedAt);
  // A verified copy without its term is kept: not known is no reason to drop what somebody may need.
  const due = hasServerCopy(status) ? Math.max(over, Date.parse(backup.keepUntil ?? '')) : over;
  const tried = backup.triedAt === undefined ? undefined : Date.parse(backup.triedAt);
  const at = tried === undefined ? due : Math.max(due, tried + pauseMs(tried - due));
  return Number.isNaN(at) ? undefined : new Date(at);
}

/** The longer it has failed, the rarer it is tried: what keeps it will hardly pass by itself. */
function pauseMs(failedForMs: number): number {
  return Math.min(Math.max(failedForMs, firstPauseMs), longestPauseMs);
}

function hasServerCopy(status: RunStatus): boolean {
  return status.backup?.way === 'ServerCopy' && hasCopy(status);
}

/** The database that a run made, if it made one. An older record keeps the name of a copy beside a person's word. */
function databaseOf({ way, name, left }: Backup): string | undefined {
  if (way === 'ServerCopy' || !isMade(way)) return name ?? left;
  return left;
}

function leftBy(run: Run): Expired {
  const { backup, outcome, plan } = run.status;
  const verified = hasServerCopy(run.status);
  const database = verified && outcome === 'Returned' ? asideName(run) : databaseOf(backup!)!;
  const failure = backup?.triedAt && backup.failure ? { failure: backup.failure } : {};
  const read = run.resourceVersion ? { resourceVersion: run.resourceVersion } : {};
  return {
    run: run.name,
    uid: run.uid,
    database,
    cluster: plan?.identity.cluster ?? '',
    verified,
    ...failure,
    ...read,
  };
}

/** How many finished records of a release are kept in any case. */
export const keptRecords = 20;

/** The oldest record of a release beyond those that are kept; undefined: none. One that people made is theirs. */
export function surplus(downgrades: readonly DowngradeObject[], release: string, now: Date): Surplus | undefined {
  const finished = downgrades
    .filter((object) => object.spec.release === release && object.status?.record?.completedAt && isOurs(object))
    .map(readRun)
    .sort((a, b) => b.createdAt.localeCompare(a.createdAt) || a.name.localeCompare(b.name));
  const gone = finished.slice(keptRecords).findLast((run) => !mayBeThere(run.status.backup, now));
  if (!gone) return undefined;
  return { run: gone.name, uid: gone.uid, ...(gone.resourceVersion ? { resourceVersion: gone.resourceVersion } : {}) };
}

/** A database is there until it is dropped; what is elsewhere at least to the end of its term, and where that is not known. */
function mayBeThere(backup: Backup | undefined, now: Date): boolean {
  if (!backup) return false;
  if (databaseOf(backup) && !backup.droppedAt) return true;
  if (backup.way === 'ServerCopy' || !isMade(backup.way)) return false;
  return !(Date.parse(backup.keepUntil ?? '') <= now.getTime());
}

/** The next act where nothing is under way and nothing held; undefined: nothing to drop, or nobody to do it by. */
export function dropping({ name, expired: due, workloads, pods }: Release): Act | undefined {
  if (!due) return undefined;
  // Said once; the release's return is a change of its workloads, and looks again.
  if (workloads.length === 0 && due.failure === notDropped(due, nobodyLeft(name))) return undefined;
  if (pods.some((p) => p.role === 'runner' && !p.ended))
    return { act: 'wait', reason: 'Blocked', message: `${due.database} is dropped once the runner has ended` };
  return { act: 'dropCopy', expired: due };
}

/** What the record says of a database that could not be dropped. */
export function notDropped({ database }: Expired, why: string): string {
  return `database ${database} could not be dropped: ${why}`;
}

/** Why nothing can be dropped without workloads. */
export function nobodyLeft(release: string): string {
  return `no workload of release ${release} is left by whose connection it could be done; drop it by hand`;
}
