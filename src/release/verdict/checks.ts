/**
 * What each check of a verdict looks at. One that has nothing to say returns undefined, and the next one is asked: in which
 * order stands in judge.ts. None relies on it: what an earlier check would have answered, a later one does not answer.
 */
import { isCertain, tagOf } from '../airflow/images.ts';
import {
  compareRevisions,
  coreTable,
  describeRevision,
  headOf,
  lowestSupported,
  type Relation,
} from '../airflow/revisions.ts';
import { isBelow } from '../airflow/versions.ts';
import type { DatabaseState } from '../model/database.ts';
import type { ImageKnowledge, ImageUnknown } from '../model/image.ts';
import { nameOf } from '../model/kubernetes.ts';
import type { Run } from '../model/run.ts';
import { isRestored, type Question, restored, type Verdict } from './question.ts';

/** G2: containers of one pod that need different schemas; one of them would wait for ever, whatever the database is. */
export function disagreement({ workload, image, others = [] }: Question): Verdict | undefined {
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
export function elsewhere({ workload, connectionChanged, database }: Question): Verdict | undefined {
  if (!connectionChanged || database.state === 'read') return undefined;
  return {
    verdict: 'hold',
    reason: 'ConnectionChanged',
    message: `${nameOf(workload)}: the change names another database, which is checked once the change is stored; running pods are not affected`,
  };
}

/** The image that ran before the hold still runs: going back to it changes nothing, whatever the database says. */
export function unreadable(question: Question): Verdict | undefined {
  const { workload, image, database } = question;
  if (database.state === 'read') return undefined;
  if (isRestored(question)) return restored;
  return {
    verdict: 'hold',
    reason: 'DatabaseUnreadable',
    message: `${nameOf(workload)}: the database can't be read (${database.why}), so whether ${tagOf(image.image)} fits it is not known; running pods are not affected`,
  };
}

/** Airflow's tables without a version: migrating would stamp an old schema as new. */
export function emptied({ workload, database }: Question): Verdict | undefined {
  if (database.state !== 'read') return undefined;
  const rows = database.versionTables[coreTable];
  if ((rows && rows.length > 0) || !database.airflowTables) return undefined;
  return {
    verdict: 'deny',
    reason: 'VersionTableEmptied',
    message: `${nameOf(workload)}: alembic_version is ${rows ? 'empty' : 'missing'} but tables of Airflow exist; migrating now would stamp an old schema as new. Put the revision back (INSERT INTO alembic_version) or restore a backup, then deploy again`,
  };
}

/** A version table with more than one head: scripts of two releases met in one database. */
export function severalHeads({ workload, database }: Question): Verdict | undefined {
  if (database.state !== 'read') return undefined;
  const table = Object.entries(database.versionTables).find(([, rows]) => rows.length > 1);
  if (!table) return undefined;
  return {
    verdict: 'deny',
    reason: 'SeveralHeads',
    message: `${nameOf(workload)}: ${table[0]} holds ${table[1].length} heads (${table[1].join(', ')}), one is needed; find out which one the schema is at and delete the others, then deploy again`,
  };
}

/** The core schema's one revision; undefined where it can't be told or there is none. */
function coreOf(database: DatabaseState): string | undefined {
  const rows = database.state === 'read' ? (database.versionTables[coreTable] ?? []) : [];
  return rows.length === 1 ? rows[0] : undefined;
}

/** No Airflow was here yet: any image may make its tables. */
export function newDatabase({ database }: Question): Verdict | undefined {
  if (database.state !== 'read' || database.airflowTables || database.versionTables[coreTable]?.length)
    return undefined;
  return { verdict: 'allow', reason: 'NewDatabase' };
}

/** Nothing is known of the image, so it is asked first; what ran here before may go on. */
export function unknownImage(question: Question): Verdict | undefined {
  const { workload, image, database } = question;
  const core = coreOf(database);
  if (image.source !== 'unknown' || core === undefined) return undefined;
  if (isRestored(question)) return restored;
  return {
    verdict: 'hold',
    reason: 'ImageUnknown',
    message: `${nameOf(workload)}: the Airflow in ${image.image} is not known (${image.why}); the database is at ${describeRevision(core)}`,
  };
}

/** Reverse scripts below 2.7.0 are in no image of Airflow 3; an upgrade from there is still none of our business. */
export function tooOld({ workload, image, database }: Question): Verdict | undefined {
  const core = coreOf(database);
  if (image.source === 'unknown' || core === undefined) return undefined;
  if (!isBelow(image.version, lowestSupported)) return undefined;
  const floor = headOf(lowestSupported);
  if (!floor || !['same', 'ahead'].includes(compareRevisions(core, floor))) return undefined;
  return {
    verdict: 'deny',
    reason: 'TargetTooOld',
    message: `${nameOf(workload)}: image ${image.version} is below ${lowestSupported}, the lowest that a database at ${describeRevision(core)} can be downgraded to; choose ${lowestSupported} or newer, or restore a backup made before the upgrade`,
  };
}

/** How the database's revision stands to the one that the image needs. Two revisions are the same where one stands for the other. */
function relationTo(
  { coreHead, version }: ImageKnowledge,
  core: string,
): { needed: string | undefined; relation: Relation } {
  const needed = coreHead ?? headOf(version);
  const relation = needed === undefined ? 'unknown' : needed === core ? 'same' : compareRevisions(core, needed);
  return { needed, relation };
}

/** The revision that the image needs beside the database's. */
export function coreSchema({ workload, image, database }: Question): Verdict | undefined {
  const core = coreOf(database);
  if (image.source === 'unknown' || core === undefined) return undefined;
  const { needed, relation } = relationTo(image, core);
  if (relation === 'same') return undefined;
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
      message: `${nameOf(workload)}: ${at}, and ${needed}, which image ${image.version} needs, is no ancestor of it; choose a release that came before it, or restore a backup`,
    };
  return {
    verdict: 'hold',
    reason: needed === undefined ? 'ImageUnknown' : 'RevisionUnknown',
    message: `${nameOf(workload)}: ${at}, image ${image.version} needs ${needed ?? 'a head that downdraft does not know'}; downdraft asks the images`,
  };
}

/** The database is where the image needs it. */
export function sameCore({ image, database }: Question): Verdict | undefined {
  const core = coreOf(database);
  if (image.source === 'unknown' || core === undefined) return undefined;
  return relationTo(image, core).relation === 'same' ? { verdict: 'allow', reason: 'Fits' } : undefined;
}

/**
 * Once the reverse scripts run, only two ends are whole states. What ran before may be asked for again (helm --atomic does
 * so): the database is returned first. Nothing else may, and once the target's pods start that is an upgrade again.
 */
export function withdrawnTooLate(question: Question): Verdict | undefined {
  const { workload, image, run } = question;
  if (!run?.status.schemaStartedAt || run.status.returnedAt || image.image === run.to) return undefined;
  const { progress, verifiedAt, resumeStartedAt } = run.status;
  if (!resumeStartedAt && isFromBefore(question, run)) {
    const message = `${nameOf(workload)}: the older version is no longer requested; the database returns first`;
    return { verdict: 'hold', reason: 'NewerImageRequested', message };
  }
  const done = progress && !verifiedAt ? ` (${progress.done} of ${progress.of} revisions)` : '';
  const watch = `(kubectl -n ${workload.namespace} get downgrade ${run.name} -w)`;
  const how = verifiedAt
    ? `the database has been downgraded for ${run.to}, whose pods are starting; let that end ${watch}, then upgrade again. If they never get Ready, delete that Downgrade first`
    : `the database is being downgraded for ${run.to}${done}; let it end ${watch}, or set the image back to ${run.status.from?.image ?? 'the one from before'}`;
  return { verdict: 'deny', reason: 'DowngradeUnderWay', message: `${nameOf(workload)}: ${how}` };
}

/** The image that ran before, or one that needs the same schema. */
function isFromBefore({ image, from }: Question, { status }: Run): boolean {
  if (image.image === status.from?.image || image.image === from) return true;
  if (!isCertain(image)) return false;
  const needs = image.coreHead ?? headOf(image.version);
  return needs !== undefined && needs === status.before?.[coreTable]?.[0];
}

/** The same change was returned before: a tool that repeats it must not start it all over again. */
export function returnedBefore({ workload, image, returned }: Question): Verdict | undefined {
  if (!returned || returned.to !== image.image) return undefined;
  const why = `the downgrade ${returned.name} to ${image.image} was ${returned.aborted ? 'aborted' : 'returned after a failure'}`;
  const how = `keep the newer image, or ask again: kubectl -n ${workload.namespace} delete downgrade ${returned.name}, then deploy again`;
  return { verdict: 'deny', reason: 'ReturnedBefore', message: `${nameOf(workload)}: ${why}; ${how}` };
}
