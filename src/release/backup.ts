/**
 * Backup: how the database as it is now is kept. The policy's ways are tried in their order; a copy on the server is made
 * and checked by downdraft itself and can be taken back in seconds, the others are a person's word.
 */
import type { Inspection, PlannedBackup } from './inspection.ts';
import type { Run, RunStatus } from './release.ts';
import type { BackupWay } from './rules.ts';

/** What decides which way is taken. */
export interface Means {
  /** Ways of the policy, the best first. What a person names who may approve counts after them in any case. */
  ways: readonly BackupWay[];
  /** What a person wrote into the Downgrade. */
  named?: { reference?: string; waivedBy?: string };
  /** Why the copy on the server could not be made, when it was tried. */
  failed?: string;
}

/** The first way that can be taken, with what stood in the way of those before it. */
export function chooseBackup(inspection: Inspection, { ways, named = {}, failed }: Means): PlannedBackup {
  const why: string[] = [];
  for (const way of new Set([...ways, 'Reference', 'Waiver'] as const)) {
    if (way === 'ServerCopy') {
      if (inspection.copy?.possible && failed === undefined) return { way, why };
      why.push(
        `no copy on the server: ${failed ?? (inspection.copy ? inspection.copy.why.join('; ') : noCopy(inspection))}`,
      );
    }
    if (way === 'Reference' && named.reference) return { way, named: named.reference, why };
    if (way === 'Waiver' && named.waivedBy) return { way, named: named.waivedBy, why };
  }
  return { way: 'None', why };
}

function noCopy({ database }: Inspection): string {
  return `that is built for PostgreSQL only, and this is ${database.backend}`;
}

/** The line of the plan. */
export function backupInWords({ way, named, why }: PlannedBackup): string {
  const before = why.length > 0 ? ` (${why.join('; ')})` : '';
  if (way === 'ServerCopy') return 'backup: a verified copy of the database on its own server, made after the drain';
  if (way === 'Reference') return `backup: ${named}, on the word of who approved it${before}`;
  if (way === 'Waiver') return `backup: none, on the word of ${named}${before}`;
  return `backup: none${before}`;
}

/** Name of the copy: of this run alone, within PostgreSQL's 63 bytes. */
export function copyName(run: Run): string {
  return databaseName('downdraft', run);
}

/** Name under which the reversed database is put aside when the copy takes its place. */
export function asideName(run: Run): string {
  return databaseName('downdraft_aside', run);
}

function databaseName(prefix: string, { name, uid }: Run): string {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_');
  return `${prefix}_${plain(name).slice(0, 36).replace(/_+$/, '')}_${plain(uid).slice(-8)}`;
}

/** How often the copy has failed when nobody has asked since that it is tried again; 0 otherwise. */
export function failedTries({ spec, status: { backup } }: Run): number {
  const tries = backup?.failure ? (backup.tries ?? 1) : 0;
  return (spec.backup?.copyAgain ?? 0) < tries ? tries : 0;
}

/** Whether a verified copy stands on the server, which can be taken back. */
export function hasCopy({ backup }: RunStatus): boolean {
  return backup?.way === 'ServerCopy' && Boolean(backup.verifiedAt);
}
