/** What may be asked for while a run's schema step is under way, and after one that was turned round. */
import { coreTable, headOf } from './heads.ts';
import { isCertain } from './images.ts';
import { nameOf } from './reasons.ts';
import type { Run } from './run.ts';
import type { Question, Verdict } from './verdict.ts';

/**
 * Once the reverse scripts run, only two ends are whole states. What ran before may be asked for again (helm --atomic does
 * so): the database is brought back first. Nothing else may, and once the target's pods start that is an upgrade again.
 */
export function withdrawnTooLate(question: Question): Verdict | undefined {
  const { workload, image, run } = question;
  if (!run?.status.schemaStartedAt || run.status.returnedAt || image.image === run.to) return undefined;
  const { progress, verifiedAt, resumeStartedAt } = run.status;
  if (!resumeStartedAt && isFromBefore(question, run)) {
    const message = `${nameOf(workload)}: the older version is not wanted any more; the database is brought back first`;
    return { verdict: 'hold', reason: 'WishWithdrawn', message };
  }
  const done = progress && !verifiedAt ? ` (${progress.done} of ${progress.of} revisions)` : '';
  const watch = `(kubectl -n ${workload.namespace} get downgrade ${run.name} -w)`;
  const how = verifiedAt
    ? `the database has been taken back for ${run.to}, whose pods are starting; let that end ${watch}, then upgrade again. If they never get Ready, delete that Downgrade first`
    : `the database is being taken back for ${run.to}${done}; let it end ${watch}, or set the image back to ${run.status.from?.image ?? 'the one from before'}`;
  return { verdict: 'deny', reason: 'DowngradeUnderWay', message: `${nameOf(workload)}: ${how}` };
}

/** The image that ran before, or one that needs the same schema. */
function isFromBefore({ image, from }: Question, { status }: Run): boolean {
  if (image.image === status.from?.image || image.image === from) return true;
  if (!isCertain(image)) return false;
  const needs = image.coreHead ?? headOf(image.version);
  return needs !== undefined && needs === status.before?.[coreTable]?.[0];
}

/** The same change was turned round before: a tool that repeats it must not start it all over again. */
export function turnedRound({ workload, image, turned }: Question): Verdict | undefined {
  if (!turned || turned.to !== image.image) return undefined;
  const why = `the downgrade ${turned.name} to ${image.image} was ${turned.aborted ? 'aborted' : 'turned round after a failure'}`;
  const how = `keep the newer image, or ask anew: kubectl -n ${workload.namespace} delete downgrade ${turned.name}, then deploy again`;
  return { verdict: 'deny', reason: 'TurnedRound', message: `${nameOf(workload)}: ${why}; ${how}` };
}
