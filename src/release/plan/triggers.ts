/**
 * Triggers: what waits for one, whether the target image can take it up, and what that means for the plan. Pure.
 *
 * A triggerer imports the class of a trigger and makes it with the arguments that are stored. Where that fails, in 2.7 to
 * 3.3, each task that waits for it is sent to a worker to fail with "Trigger failure" (Trigger.submit_failure), which
 * counts as an ordinary failure: its own retries follow. Nobody is told for a watcher or a callback.
 */
import type { AskedTrigger, TakeUp, WaitingTrigger } from '../model/runner.ts';

/** Characters of all questions of one run together: they travel in a variable of a pod and are kept in the record. */
const roomForQuestions = 60_000;

/** What the target has not been asked about yet, the most awaited first, as far as there is room. */
export function unasked(waiting: readonly WaitingTrigger[] = [], known: readonly TakeUp[] = []): AskedTrigger[] {
  let room = roomForQuestions - known.reduce((sum, one) => sum + lengthOf(one), 0);
  return waiting.flatMap((entry) => {
    if (!isWhole(entry) || answerTo(entry, known)) return [];
    room -= lengthOf(entry);
    return room < 0 ? [] : [{ class: entry.class, arguments: entry.arguments }];
  });
}

/** One answer for each question, whatever was said beside: what was asked and not answered is not known. */
export function answersTo(asked: readonly AskedTrigger[], said: readonly TakeUp[]): TakeUp[] {
  return asked.map((one) => answerTo(one, said) ?? { ...one, notKnown: 'the image gave no answer to it' });
}

/** The answers so far with those that came; of two about the same thing the earlier stays. */
export function withAnswers(known: readonly TakeUp[] = [], came: readonly TakeUp[] = []): TakeUp[] {
  return [...known, ...came.filter((one) => !answerTo(one, known))];
}

/** Losses and notes of a plan towards this version, which reverses the revisions in `crossed`. */
export function triggersOfPlan(
  waiting: readonly WaitingTrigger[] = [],
  known: readonly TakeUp[] = [],
  { version, crossed }: { version: string; crossed: ReadonlySet<string> },
): { losses: { what: string; count: number }[]; notes: string[] } {
  const losses = new Map<string, { sentence: (count: number) => string; count: number }>();
  const open = new Map<string, number>();
  for (const entry of waiting)
    for (const kind of kinds.filter(({ goneWith }) => !goneWith || !crossed.has(goneWith))) {
      const count = entry[kind.who];
      const answer = count > 0 ? judged(entry, known) : {};
      const about = entry.class ?? 'triggers of other kinds';
      const fault = faultInWords(answer, version);
      if (answer.notKnown) {
        const why = `whether ${version} can take up ${about}, for which {count} ${kind.called} wait (${answer.notKnown})`;
        open.set(why, (open.get(why) ?? 0) + count);
      } else if (fault) {
        const sentence = (n: number) => `${n} ${kind.called} wait for ${about}, ${fault}: ${kind.consequence}`;
        const before = losses.get(sentence(0))?.count ?? 0;
        losses.set(sentence(0), { sentence, count: before + count });
      }
    }
  return {
    losses: [...losses.values()].map(({ sentence, count }) => ({ what: sentence(count), count })),
    notes: [...open].map(([why, count]) => `not known: ${why.replace('{count}', String(count))}`),
  };
}

/** Who waits, what becomes of it, and the revision without which the older version has nothing of the kind. */
const kinds = [
  {
    who: 'tasks',
    called: 'deferred tasks',
    consequence:
      'there they fail with "Trigger failure" as soon as the triggerer runs, and start anew if they have retries left; let them finish before, or clear them afterwards',
    goneWith: undefined,
  },
  {
    who: 'watchers',
    called: 'asset watchers',
    consequence: 'they see no events there; bring the class into the older image, or take them out of their Dags',
    goneWith: '9fc3fc5de720',
  },
  {
    who: 'callbacks',
    called: 'callbacks of deadlines',
    consequence: 'they are not run there; let them finish before',
    goneWith: '237cef8dfea1',
  },
] as const;

function judged(entry: WaitingTrigger, known: readonly TakeUp[]): Omit<TakeUp, keyof AskedTrigger> {
  if (entry.class === null) return { notKnown: 'there are too many kinds to list' };
  if (!isWhole(entry)) return { notKnown: 'its arguments could not be read' };
  return answerTo(entry, known) ?? { notKnown: 'the image was not asked about it' };
}

function faultInWords({ lacks, refuses = [], needs = [] }: Omit<TakeUp, keyof AskedTrigger>, version: string): string {
  if (lacks) return `which ${version} can't import (${lacks})`;
  const faults = [
    ...(refuses.length > 0 ? [`takes no ${refuses.join(', ')}`] : []),
    ...(needs.length > 0 ? [`can't be made without ${needs.join(', ')}`] : []),
  ];
  return faults.length > 0 ? `which in ${version} ${faults.join(' and ')}` : '';
}

function isWhole(entry: WaitingTrigger): entry is WaitingTrigger & AskedTrigger {
  return entry.class !== null && entry.arguments !== null;
}

function answerTo(asked: AskedTrigger, known: readonly TakeUp[]): TakeUp | undefined {
  return known.find((one) => one.class === asked.class && one.arguments.join() === asked.arguments.join());
}

function lengthOf(entry: AskedTrigger): number {
  return entry.class.length + entry.arguments.join().length + 100;
}
