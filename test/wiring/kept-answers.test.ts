/** Answers of the API server that are kept for a moment: for whom, for how long, how many, and what is never kept. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { keptAnswers } from '../../src/cluster/kept-answers.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

/** A source that counts how often it is asked. */
function counting() {
  const kept = keptAnswers<number>();
  let asked = 0;
  return { ask: (key: string) => kept(key, async () => ++asked), asked: () => asked };
}

it('who asks together or soon again gets one answer, of its own key', async () => {
  const { ask } = counting();
  expect(await Promise.all([ask('a'), ask('a'), ask('b')])).toEqual([1, 1, 2]);
  vi.advanceTimersByTime(19_999);
  expect(await ask('a')).toBe(1);
});

it('an answer is asked for again after 20 s', async () => {
  const { ask } = counting();
  await ask('a');
  vi.advanceTimersByTime(20_000);
  expect(await ask('a')).toBe(2);
});

it('a failure is told to who waits for it, and asked anew by the next', async () => {
  const kept = keptAnswers<string>();
  const failing = () => kept('a', async () => await Promise.reject(new Error('no')));
  await expect(Promise.all([failing(), failing()])).rejects.toThrow('no');
  expect(await kept('a', async () => 'yes')).toBe('yes');
});

it('a failure that comes late takes no newer answer away', async () => {
  const kept = keptAnswers<string>();
  const late = Promise.withResolvers<string>();
  const first = kept('a', async () => await late.promise);
  vi.advanceTimersByTime(20_000);
  await kept('a', async () => 'newer');
  late.reject(new Error('late'));
  await expect(first).rejects.toThrow('late');
  expect(await kept('a', async () => 'asked again')).toBe('newer');
});

it('however many keys there are, some 500 are kept', async () => {
  const { ask, asked } = counting();
  for (let key = 0; key < 2000; key++) await ask(`${key}`);
  expect(await ask('0')).toBe(2001);
  await ask('1999');
  expect(asked()).toBe(2001);
});
