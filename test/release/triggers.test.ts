import { describe, expect, it } from 'vitest';
import type { TakeUp, WaitingTrigger } from '../../src/release/model/runner.ts';
import { planHash } from '../../src/release/plan/consent.ts';
import { triggersOfPlan, unasked, withAnswers } from '../../src/release/plan/triggers.ts';

const wait = (name: string | null, names: string[] | null, counts: Partial<WaitingTrigger> = {}): WaitingTrigger => ({
  class: name,
  arguments: names,
  tasks: 0,
  watchers: 0,
  callbacks: 0,
  ...counts,
});
const answer = (name: string, names: string[], told: Partial<TakeUp> = {}): TakeUp => ({
  class: name,
  arguments: names,
  ...told,
});

const to = (...crossed: string[]) => ({ version: '2.9.3', crossed: new Set(crossed) });
const moment = 'airflow.triggers.temporal.DateTimeTrigger';
const failing =
  'there they fail with "Trigger failure" as soon as the triggerer runs, and start anew if they have retries left; let them finish before, or clear them afterwards';

describe('losses', () => {
  it.each<[string, WaitingTrigger, Partial<TakeUp>, string[]]>([
    ['taken up', wait(moment, ['moment'], { tasks: 3 }), {}, []],
    [
      'refused an argument',
      wait(moment, ['end_from_trigger', 'moment'], { tasks: 3 }),
      { refuses: ['end_from_trigger'] },
      [`3 deferred tasks wait for ${moment}, which in 2.9.3 takes no end_from_trigger: ${failing}`],
    ],
    [
      'missing',
      wait('x.Y', [], { tasks: 1 }),
      { lacks: "No module named 'x'" },
      [`1 deferred tasks wait for x.Y, which 2.9.3 can't import (No module named 'x'): ${failing}`],
    ],
    [
      'made with more, and with less',
      wait('x.Y', ['a', 'b'], { tasks: 2 }),
      { refuses: ['a', 'b'], needs: ['c'] },
      [`2 deferred tasks wait for x.Y, which in 2.9.3 takes no a, b and can't be made without c: ${failing}`],
    ],
    [
      'awaited by watchers and callbacks',
      wait('x.Y', [], { watchers: 1, callbacks: 2 }),
      { lacks: 'gone' },
      [
        expect.stringMatching(
          /^1 asset watchers wait for x\.Y, which 2\.9\.3 can't import \(gone\): they see no events/,
        ),
        expect.stringMatching(/^2 callbacks of deadlines wait for x\.Y, .*: they are not run there/),
      ],
    ],
  ])('%s', (_, waiting, told, expected) => {
    const known = [answer(waiting.class!, waiting.arguments!, told)];
    const { losses, notes } = triggersOfPlan([waiting], known, to());
    expect(losses.map(({ what }) => what)).toEqual(expected);
    expect(notes).toEqual([]);
  });

  it('what the older version has no place for is lost with its table, which the hazards tell', () => {
    const waiting = wait('x.Y', [], { watchers: 1, callbacks: 2 });
    const known = [answer('x.Y', [], { lacks: 'gone' })];
    expect(triggersOfPlan([waiting], known, to('9fc3fc5de720', '237cef8dfea1')).losses).toEqual([]);
  });

  it('of one class that is refused for the same reason are counted together', () => {
    const waiting = [wait('x.Y', ['a', 'c'], { tasks: 2 }), wait('x.Y', ['b', 'c'], { tasks: 3 })];
    const known = waiting.map((one) => answer('x.Y', one.arguments!, { refuses: ['c'] }));
    expect(triggersOfPlan(waiting, known, to()).losses).toMatchObject([
      { count: 5, what: expect.stringMatching(/^5 /) },
    ]);
  });

  it('a tenth more of them is covered by what was agreed to, another class is not', () => {
    const hashOf = (tasks: number, name = 'x.Y') => {
      const { losses } = triggersOfPlan([wait(name, [], { tasks })], [answer(name, [], { lacks: 'gone' })], to());
      const backup = { way: 'ServerCopy' as const, why: [] };
      return planHash({ identity: {}, steps: [], losses: losses.map((one) => ({ ...one, upTo: 110 })), backup });
    };
    expect(hashOf(101)).toBe(hashOf(100));
    expect(hashOf(100, 'x.Z')).not.toBe(hashOf(100));
  });
});

describe('not known', () => {
  it.each<[string, WaitingTrigger, TakeUp[], RegExp]>([
    ['arguments that no key opens', wait('x.Y', null, { tasks: 2 }), [], /x\.Y, for which 2 deferred .*not be read/],
    ['too many kinds', wait(null, null, { tasks: 9 }), [], /triggers of other kinds, for which 9 .*too many kinds/],
    ['not asked about', wait('x.Y', [], { watchers: 1 }), [], /1 asset watchers wait \(the image was not asked/],
    [
      'an import that did not end',
      wait('x.Y', [], { tasks: 1 }),
      [answer('x.Y', [], { notKnown: 'importing it took too long' })],
      /whether 2\.9\.3 can take up x\.Y.*importing it took too long/,
    ],
  ])('%s is a note, and neither a loss nor a blocker', (_, waiting, known, words) => {
    const { losses, notes } = triggersOfPlan([waiting], known, to());
    expect(losses).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(words)]);
  });

  it('an older runner, which does not list them, says nothing', () => {
    expect(triggersOfPlan(undefined, undefined, to())).toEqual({ losses: [], notes: [] });
    expect(unasked(undefined, undefined)).toEqual([]);
  });
});

describe('questions', () => {
  it('are asked once, only of what has a name', () => {
    const waiting = [wait('x.Y', ['a']), wait('x.Y', ['b']), wait('x.Z', null), wait(null, null)];
    expect(unasked(waiting, [answer('x.Y', ['a'])])).toEqual([{ class: 'x.Y', arguments: ['b'] }]);
  });

  it('of one run fit into 64 KB together, however many kinds there are', () => {
    const waiting = Array.from({ length: 2000 }, (_, n) => wait(`x.Y${n}`, [`a${'b'.repeat(50)}`]));
    const asked = unasked(waiting);
    expect(asked.length).toBeGreaterThan(300);
    expect(JSON.stringify(asked).length).toBeLessThan(65_536);
    expect(unasked(waiting, asked).length).toBeLessThan(2);
  });

  it('that came twice keep their first answer, so that a plan stays what it was', () => {
    const known = [answer('x.Y', [], { lacks: 'gone' })];
    expect(withAnswers(known, [answer('x.Y', []), answer('x.Z', [])])).toEqual([...known, answer('x.Z', [])]);
  });
});
