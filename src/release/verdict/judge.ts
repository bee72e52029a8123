/**
 * judge: may this image run on this database?  allow | hold | deny, the last two with a reason and a sentence.
 */
import {
  coreSchema,
  disagreement,
  elsewhere,
  emptied,
  newDatabase,
  returnedBefore,
  sameCore,
  severalHeads,
  tooOld,
  unknownImage,
  unreadable,
  withdrawnTooLate,
} from './checks.ts';
import { providerSchemas } from './provider-schemas.ts';
import { isRestored, type Question, type Verdict } from './question.ts';

/** The policy, from the top: the first check that has something to say gives the verdict on an image. */
const checks: readonly ((question: Question) => Verdict | undefined)[] = [
  withdrawnTooLate,
  returnedBefore,
  elsewhere,
  unreadable,
  emptied,
  severalHeads,
  newDatabase,
  unknownImage,
  tooOld,
  coreSchema,
  providerSchemas,
  sameCore,
];

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

/** Throws when no check has an answer: nothing is ever let through because nobody objected. */
function judgeKnown(question: Question): Verdict {
  for (const check of checks) {
    const verdict = check(question);
    if (verdict) return verdict;
  }
  throw new Error(`no check has an answer for ${question.image.image}`);
}
