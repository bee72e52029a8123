/**
 * The loop on the real control plane with a real PostgreSQL: a controller that is killed before and after each write it
 * makes always ends in the same place.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Death, Point } from './mortal.ts';
import { type Place, startPlace } from './place.ts';
import { makeSeed } from './release.ts';
import { type Outcome, runThrough } from './runs.ts';

/** Runs at a time: each mostly waits, but the API server, PostgreSQL and all controllers share the machine. */
const lanes = 8;

let place: Place;

beforeAll(async () => {
  place = await startPlace('the loop');
  await makeSeed(place);
}, 180_000);

afterAll(async () => await place?.stop(), 60_000);

it('G20, G28: a controller killed before and after every write always ends in the same place', async () => {
  // Two, since a few writes (how far the runner is) depend on when the controller happens to look.
  const whole = await Promise.all(['whole1', 'whole2'].map((name) => runThrough(place, name)));
  for (const { faults } of whole) expect(faults).toEqual([]);
  const points = [...new Set(whole.flatMap(({ diary }) => diary.written))];
  expect(points.length).toBeGreaterThan(30);
  const deaths = points.flatMap((point): Death[] => [
    { point, when: 'before' },
    { point, when: 'after' },
  ]);
  const outcomes = await inLanes(deaths, (death, at) => runThrough(place, `run${at}`, death));
  tell(whole, points, outcomes);
  const wrong = outcomes.flatMap(({ faults }, at) => (faults.length > 0 ? [{ ...deaths[at]!, faults }] : []));
  expect(wrong).toEqual([]);
  const notMet = deaths.filter((_, at) => !outcomes[at]!.diary.died).map(({ point, when }) => `${when} ${point}`);
  expect(notMet.length, `writes that did not come again: ${notMet.join(', ')}`).toBeLessThan(deaths.length / 10);
  expect(place.kubelet.faults).toEqual([]);
}, 900_000);

async function inLanes<T, R>(list: T[], act: (item: T, at: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = [...list.entries()];
  const lane = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) results[next[0]] = await act(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

function tell(whole: Outcome[], points: Point[], outcomes: Outcome[]): void {
  const seconds = outcomes.map((o) => o.seconds).sort((a, b) => a - b);
  const troubles = new Map<string, number>();
  for (const text of outcomes.flatMap((o) => o.troubles)) troubles.set(text, (troubles.get(text) ?? 0) + 1);
  console.info(
    [
      `${whole.map((o) => o.diary.written.length).join(' and ')} writes in an unharmed run of ${whole[0]!.seconds} s`,
      `${points.length} different ones, ${outcomes.filter((o) => o.diary.died).length} deaths in ${outcomes.length} runs`,
      `seconds per run, ${lanes} at a time: median ${seconds[seconds.length >> 1]}, longest ${seconds.at(-1)}`,
      ...[...troubles].map(([text, count]) => `tried again ${count} times after: ${text}`),
    ].join('\n'),
  );
}
