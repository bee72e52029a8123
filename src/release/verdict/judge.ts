/**
 * judge: may this image run on this database?  allow | hold | deny, the last two with a reason and a sentence.
 */
import { coreTable } from '../airflow/revisions.ts';
import {
  compareCore,
  disagreement,
  elsewhere,
  emptied,
  isRestored,
  restored,
  severalHeads,
  tooOld,
  turnedRound,
  unknownImage,
  unreadable,
  withdrawnTooLate,
} from './checks.ts';
import type { Question, Verdict } from './question.ts';

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
