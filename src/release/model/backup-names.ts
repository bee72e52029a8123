/** Names of backups, and which of them are there. */
import { type DumpPlace, isMade, type MadeWay, type Rules } from './policy.ts';
import type { Run, RunStatus } from './run.ts';

/** Name of the copy: of this run alone, within PostgreSQL's 63 bytes. */
export function copyName(run: Run): string {
  return databaseName('downdraft', run);
}

/** Name under which the reversed database is put aside when the copy takes its place. */
export function asideName(run: Run): string {
  return databaseName('downdraft_aside', run);
}

/**
 * Name of what a way leaves behind. A copy is made anew under its name; the others have one for each drain, within the 63
 * characters of a label, since CloudNativePG labels by it.
 */
export function backupName(run: Run, way: MadeWay): string {
  if (way === 'ServerCopy') return copyName(run);
  const drained = (run.status.drainedAt ?? '').replaceAll(/\D/g, '').slice(0, 14);
  return `${nameOfDrains(run)}${drained}`;
}

function nameOfDrains(run: Run): string {
  return `${databaseName('downdraft', run, 28)}_`.replaceAll('_', '-');
}

/** Whether a run gives this name to what it leaves behind, whichever drain it is of. */
export function isOwnName(run: Run, way: string, name: string): boolean {
  const drains = nameOfDrains(run);
  // A record of before keeps the name of a copy beside a person's word.
  if (way === 'ServerCopy' || !isMade(way)) return name === copyName(run);
  return typeof name === 'string' && name.startsWith(drains) && /^\d{0,14}$/.test(name.slice(drains.length));
}

/** How often backups have failed when nobody has asked since that they are tried again; 0 otherwise. */
export function failedTries({ spec, status: { backup } }: Run): number {
  const tries = backup?.failed || backup?.failure ? (backup.tries ?? 1) : 0;
  return (spec.backup?.copyAgain ?? 0) < tries ? tries : 0;
}

function databaseName(prefix: string, { name, uid }: Run, most = 36): string {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_');
  return `${prefix}_${plain(name).slice(0, most).replace(/_+$/, '')}_${plain(uid).slice(-8)}`;
}

/** Whether there is something verified that the runner itself can restore: a copy on the server, or a dump. */
export function hasCopy({ backup }: RunStatus): boolean {
  return (backup?.way === 'ServerCopy' || backup?.way === 'Dump') && Boolean(backup.verifiedAt);
}

/** The volume that the runner must have: that of a dump that was begun, else the one that the policy wants dumps on. */
export function dumpPlace({ backup }: Rules, { status }: Run): DumpPlace | undefined {
  if (status.drainStartedAt && status.backup?.way === 'Dump') return status.backup.volume ?? undefined;
  return backup.ways.includes('Dump') ? backup.dump : undefined;
}
