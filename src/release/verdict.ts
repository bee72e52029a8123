/**
 * judge: may this image run on this database?  allow | hold | deny, the last two with a reason and a sentence.
 *
 * The list `checks`, in order, is the policy. A check that has nothing to say returns undefined and the next one is
 * asked; what an earlier check established is handed on in the type, so none relies on the order unsaid.
 */
import {
  compareProviderRevisions,
  compareRevisions,
  coreTable,
  describeRevision,
  headOf,
  isLowestProviderRevision,
  lowestSupported,
  managerOf,
} from './heads.ts';
import { nameOf, type Reason } from './reasons.ts';
import type { Turned } from './record.ts';
import type { DatabaseRead, DatabaseState, ImageKnowledge, ImageUnknown, Run } from './release.ts';
import { turnedRound, withdrawnTooLate } from './turning.ts';
import { isBelow } from './versions.ts';

export type Verdict =
  | { verdict: 'allow'; reason: Reason }
  | { verdict: 'hold' | 'deny'; reason: Reason; message: string };

/** What is asked: this workload with this image, on this database, while this run (if any) is under way. */
export interface Question {
  workload: { kind: string; namespace: string; name: string; release: string };
  image: ImageKnowledge | ImageUnknown;
  /** Images of the pod's further containers that open the database. */
  others?: readonly (ImageKnowledge | ImageUnknown)[];
  /** The change names another database than `database`, or the one before a hold was another. */
  connectionChanged?: boolean;
  database: DatabaseState;
  run: Run | undefined;
  /** The last run that was turned round, while none is under way. */
  turned?: Turned | undefined;
  /** Main image before the workload was held, if it is. */
  from?: string | undefined;
}

/** Judges one change. Pure; the answer depends on nothing but the question. */
export function judge(question: Question): Verdict {
  const disagreeing = disagreement(question);
  if (disagreeing) return disagreeing;
  const back = isRestored(question);
  const verdicts = [question.image, ...(question.others ?? [])].map((image) =>
    judgeOne({ ...question, image, from: back ? image.image : question.from }),
  );
  const rank = { deny: 0, hold: 1, allow: 2 };
  return verdicts.reduce((worst, verdict) => (rank[verdict.verdict] < rank[worst.verdict] ? verdict : worst));
}

/** An annotation is anyone's word, and stays when the image is changed: it may hold or refuse, and lets nothing through. */
function judgeOne(question: Question): Verdict {
  const verdict = judgeKnown(question);
  const { image } = question;
  if (image.source !== 'annotation' || !['Fits', 'Upgrade'].includes(verdict.reason)) return verdict;
  const why = `only the annotation downdraft.dev/airflow-version says that it is ${image.version}`;
  return judgeKnown({ ...question, image: { image: image.image, source: 'unknown', why } });
}

function judgeKnown(question: Question): Verdict {
  const { database, image } = question;
  const early = withdrawnTooLate(question) ?? turnedRound(question) ?? elsewhere(question) ?? unreadable(question);
  if (early) return early;
  if (database.state !== 'read') throw new Error('unreadable database was not answered');
  const state = emptied(question, database) ?? severalHeads(question, database);
  if (state) return state;
  const heads = database.versionTables[coreTable] ?? [];
  const core = heads[0];
  if (core === undefined) return { verdict: 'allow', reason: 'NewDatabase' };
  if (image.source === 'unknown') return isRestored(question) ? restored : unknownImage(question, image, core);
  return tooOld(question, image, core) ?? compareCore(question, image, core, database);
}

/** G2: containers of one pod that need different schemas; one of them would wait for ever, whatever the database is. */
function disagreement({ workload, image, others = [] }: Question): Verdict | undefined {
  const needs = (of: ImageKnowledge | ImageUnknown) =>
    of.source === 'unknown' ? undefined : (of.coreHead ?? headOf(of.version));
  const needed = needs(image);
  const other = others.find((o) => needed !== undefined && needs(o) !== undefined && needs(o) !== needed);
  if (!other || image.source === 'unknown' || other.source === 'unknown') return undefined;
  return {
    verdict: 'deny',
    reason: 'ImagesDisagree',
    message: `${nameOf(workload)}: its containers carry Airflow ${image.version} and ${other.version}, which need different schemas, so its pods could never start; set all of them at once (kubectl set image ${nameOf(workload)} '*=${image.image}')`,
  };
}

/** The stored connection says nothing about the database that the new pods would use. */
function elsewhere({ workload, connectionChanged, database }: Question): Verdict | undefined {
  if (!connectionChanged || database.state === 'read') return undefined;
  return {
    verdict: 'hold',
    reason: 'ConnectionChanged',
    message: `${nameOf(workload)}: the change names another database; it is looked at once stored, what runs goes on`,
  };
}

/** The image that ran before the hold, on the database that it ran on. */
function isRestored({ from, image, connectionChanged }: Question): boolean {
  return from === image.image && !connectionChanged;
}

/** What ran before the hold, and does not contradict the database, runs there still. */
const restored = { verdict: 'allow', reason: 'Restored' } as const;

/** The image that ran before the hold still runs: going back to it changes nothing, whatever the database says. */
function unreadable(question: Question): Verdict | undefined {
  const { workload, image, database } = question;
  if (database.state === 'read') return undefined;
  if (isRestored(question)) return restored;
  return {
    verdict: 'hold',
    reason: 'DatabaseUnreadable',
    message: `${nameOf(workload)}: the database can't be read (${database.why}), so whether ${tagOf(image.image)} fits it is not known; what runs goes on`,
  };
}

function emptied({ workload }: Question, database: DatabaseRead): Verdict | undefined {
  const rows = database.versionTables[coreTable];
  if ((rows && rows.length > 0) || !database.airflowTables) return undefined;
  return {
    verdict: 'deny',
    reason: 'VersionTableEmptied',
    message: `${nameOf(workload)}: alembic_version is ${rows ? 'empty' : 'missing'} but tables of Airflow exist; migrating now would stamp an old schema as new. Put the revision back (INSERT INTO alembic_version) or restore a backup, then deploy again`,
  };
}

function severalHeads({ workload }: Question, database: DatabaseRead): Verdict | undefined {
  const table = Object.entries(database.versionTables).find(([, rows]) => rows.length > 1);
  if (!table) return undefined;
  return {
    verdict: 'deny',
    reason: 'SeveralHeads',
    message: `${nameOf(workload)}: ${table[0]} holds ${table[1].length} heads (${table[1].join(', ')}), one is needed; find out which one the schema is at and delete the others, then deploy again`,
  };
}

function unknownImage({ workload }: Question, image: ImageUnknown, core: string): Verdict {
  return {
    verdict: 'hold',
    reason: 'ImageUnknown',
    message: `${nameOf(workload)}: the Airflow in ${image.image} is not known (${image.why}); the database is at ${describeRevision(core)}`,
  };
}

/** Reverse scripts below 2.7.0 are in no image of Airflow 3; an upgrade from there is still none of our business. */
function tooOld({ workload }: Question, image: ImageKnowledge, core: string): Verdict | undefined {
  if (!isBelow(image.version, lowestSupported)) return undefined;
  const floor = headOf(lowestSupported);
  if (!floor || !['same', 'ahead'].includes(compareRevisions(core, floor))) return undefined;
  return {
    verdict: 'deny',
    reason: 'TargetTooOld',
    message: `${nameOf(workload)}: image ${image.version} is below ${lowestSupported}, the lowest that a database at ${describeRevision(core)} can be taken back to; choose ${lowestSupported} or newer, or restore a backup made before the upgrade`,
  };
}

function compareCore(question: Question, image: ImageKnowledge, core: string, database: DatabaseRead): Verdict {
  const { workload } = question;
  const needed = image.coreHead ?? headOf(image.version);
  const relation = needed === undefined ? 'unknown' : needed === core ? 'same' : compareRevisions(core, needed);
  if (relation === 'same') return compareProviders(question, image, database);
  if (relation === 'behind') return { verdict: 'allow', reason: 'Upgrade' };
  const at = `the database is at ${describeRevision(core)}`;
  if (relation === 'ahead')
    return {
      verdict: 'hold',
      reason: 'DatabaseAhead',
      message: `${nameOf(workload)}: ${at}, image ${image.version} needs ${needed}`,
    };
  if (relation === 'unrelated')
    return {
      verdict: 'deny',
      reason: 'NotAnAncestor',
      message: `${nameOf(workload)}: ${at}, and ${needed}, which image ${image.version} needs, is not on the way back from there; choose a release that came before it, or restore a backup`,
    };
  return {
    verdict: 'hold',
    reason: needed === undefined ? 'ImageUnknown' : 'RevisionUnknown',
    message: `${nameOf(workload)}: ${at}, image ${image.version} needs ${needed ?? 'a head that downdraft does not know'}; downdraft asks the images`,
  };
}

/** Same core head; a provider that the image enforces may still be ahead, and then no pod of it ever starts. */
function compareProviders(question: Question, image: ImageKnowledge, database: DatabaseRead): Verdict {
  for (const [table, [revision]] of Object.entries(database.versionTables)) {
    if (table === coreTable || revision === undefined) continue;
    const verdict = compareProvider(question, image, table, revision);
    if (verdict) return verdict;
  }
  return { verdict: 'allow', reason: 'Fits' };
}

function compareProvider(
  question: Question,
  image: ImageKnowledge,
  table: string,
  revision: string,
): Verdict | undefined {
  const { workload } = question;
  if (image.managers === undefined) {
    if (isRestored(question)) return restored;
    if (isLowestProviderRevision(table, revision)) return undefined;
    return {
      verdict: 'hold',
      reason: 'ImageUnknown',
      message: `${nameOf(workload)}: ${table} is at ${revision}, and which provider schemas ${tagOf(image.image)} enforces is not known yet; downdraft asks the image`,
    };
  }
  const needed = image.managers.find((m) => m.versionTable === table)?.heads[0];
  if (needed === undefined) return notAmong(question, image, table, revision);
  if (needed === revision) return undefined;
  if (compareProviderRevisions(table, revision, needed) === 'behind') return undefined;
  return {
    verdict: 'hold',
    reason: 'ProviderAhead',
    message: `${nameOf(workload)}: ${table} is at ${revision}, image ${image.version} needs ${needed}`,
  };
}

/** Which providers an image enforces is configuration: one that it did not enforce when it was asked, it may enforce by now. */
function notAmong(
  question: Question,
  { fresh, image, version }: ImageKnowledge,
  table: string,
  revision: string,
): Verdict | undefined {
  if (fresh || !couldEnforce(table, version) || isLowestProviderRevision(table, revision)) return undefined;
  if (isRestored(question)) return restored;
  return {
    verdict: 'hold',
    reason: 'ImageUnknown',
    message: `${nameOf(question.workload)}: ${table} is at ${revision}, and whether ${tagOf(image)} enforces it depends on the configuration of now; downdraft asks the image`,
  };
}

/** From 3.0 on an image enforces what it is configured to; which managers there are is in the table. */
function couldEnforce(table: string, version: string): boolean {
  return managerOf(table) !== undefined && !isBelow(version, '3.0.0.dev0');
}

function tagOf(image: string): string {
  return `image ${image.slice(image.lastIndexOf('/') + 1)}`;
}
