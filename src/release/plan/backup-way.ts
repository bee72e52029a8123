/**
 * Backup: how the database as it is now is kept. The policy's ways are tried in their order. A copy on the server and a
 * dump are made, checked and restored by downdraft; a VolumeSnapshot and a backup of CloudNativePG are asked for, and a
 * person restores from them; the others are a person's word.
 */
import type { PlannedBackup } from '../model/plan.ts';
import { type BackupWay, isMade, type MadeWay, nouns, type Places } from '../model/policy.ts';
import type { Outlook } from '../model/release.ts';
import type { Inspection } from '../model/runner.ts';

/** What decides which way is taken. */
export interface Means {
  /** Ways of the policy, the best first. What a person names who may approve counts after them in any case. */
  ways: readonly BackupWay[];
  /** Where the policy wants those kept that need a place. */
  places?: Places;
  /** What a person wrote into the Downgrade. */
  named?: { reference?: string; waivedBy?: string };
  /** Why a way could not be taken, when it was tried, or can't be tried at all. */
  failed?: Partial<Record<BackupWay, string>>;
  /** What stands in the way of those that others make. */
  outlook?: Outlook;
}

/** The first way that can be taken, with what stood in the way of those before it. */
export function chooseBackup(inspection: Inspection, means: Means): PlannedBackup {
  const { ways, places = {}, named = {}, failed = {} } = means;
  const why: string[] = [];
  for (const way of new Set([...ways, 'Reference', 'Waiver'] as const)) {
    if (!isMade(way)) {
      const word = named[wordOf[way]];
      if (word) return { way, named: word, why };
      continue;
    }
    const obstacles = failed[way] === undefined ? obstaclesTo[way](inspection, means) : [failed[way]];
    const place = placeOf[way](places);
    if (obstacles.length === 0) return { way, ...(place ? { place } : {}), why };
    why.push(`${nouns[way]}: ${obstacles.join('; ')}`);
  }
  return { way: 'None', why };
}

/** Where a person's word for a way stands. */
const wordOf = { Reference: 'reference', Waiver: 'waivedBy' } as const;

const obstaclesTo: Record<MadeWay, (inspection: Inspection, means: Means) => string[]> = {
  ServerCopy: ({ copy, database }) => {
    if (!copy) return [`that is built for PostgreSQL only, and this is ${database.backend}`];
    return unlessPossible(copy, "the server can't copy this database");
  },
  Dump: ({ dump }, { places }) => {
    if (!places?.dump) return [unnamed('backup.dump.claim')];
    if (!dump) return [`the runner has no folder on volume claim ${places.dump.claim}`];
    return unlessPossible(dump, "the runner can't write one");
  },
  VolumeSnapshot: (_, { places, outlook }) =>
    places?.volumeSnapshot ? (outlook?.VolumeSnapshot ?? [unasked]) : [unnamed('backup.volumeSnapshot.claim')],
  CNPGBackup: (_, { places, outlook }) =>
    places?.cnpg ? (outlook?.CNPGBackup ?? [unasked]) : [unnamed('backup.cnpg.cluster')],
};

const unasked = 'whether it can be made is not known';

function unnamed(field: string): string {
  return `no DowngradePolicy of this namespace sets ${field}, or they set different ones`;
}

/** Where the runner gives no reason, there is one all the same. */
function unlessPossible({ possible, why }: { possible: boolean; why: string[] }, otherwise: string): string[] {
  if (possible) return [];
  return why.length > 0 ? why : [otherwise];
}

const placeOf: Record<MadeWay, (places: Places) => string | undefined> = {
  ServerCopy: () => undefined,
  Dump: ({ dump }) => dump && `volume claim ${dump.claim}${dump.subPath ? `, folder ${dump.subPath}` : ''}`,
  VolumeSnapshot: ({ volumeSnapshot: at }) => at && `volume claim ${at.claim}${within(at.namespace)}`,
  CNPGBackup: ({ cnpg: at }) => at && `cluster ${at.cluster}${within(at.namespace)}`,
};

function within(namespace: string | undefined): string {
  return namespace ? ` in namespace ${namespace}` : '';
}

const byPerson = 'going back to it is work of a person; downdraft itself only migrates up again';

/** The line of the plan. */
export function backupInWords({ way, named, place, why }: PlannedBackup): string {
  const before = why.length > 0 ? ` (${why.join('; ')})` : '';
  const line: Record<PlannedBackup['way'], string> = {
    ServerCopy: 'a verified copy of the database on its own server, made after the drain',
    Dump: `a verified dump on ${place}, made after the drain; a return loads it again`,
    VolumeSnapshot: `a VolumeSnapshot of ${place}, made after the drain; ${byPerson}`,
    CNPGBackup: `a Backup of CloudNativePG, of ${place}, made after the drain; ${byPerson}`,
    Reference: `${named}, on the word of who approved it`,
    Waiver: `none, on the word of ${named}`,
    None: 'none',
  };
  return `backup: ${line[way]}${before}`;
}

/** What a person should know of the way that was chosen. */
export function backupNotes({ way }: PlannedBackup, { copy, dump }: Inspection): string[] {
  if (way === 'ServerCopy') return copy?.notes ?? [];
  if (way === 'Dump') return dump?.notes ?? [];
  // S2-8, S2-40: it is named while the newer version still serves, so it is older than the last write.
  if (way === 'Reference') return ['what is written after the named backup was taken is not in it'];
  if (way === 'VolumeSnapshot')
    return [
      'the server runs while its volume is snapshotted: the snapshot is as after a power cut, and good only if data and log are on that one volume',
    ];
  return [];
}
