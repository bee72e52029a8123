import { describe, expect, it } from 'vitest';
import type { Rollout } from '../../src/release/model/release.ts';
import { ageNotes, newerSince } from '../../src/release/plan/age.ts';

const running = 'acme/airflow:blue';
const old = { image: 'apache/airflow:3.1.8', version: '3.1.8' };
const newer = { image: 'apache/airflow:3.2.0', version: '3.2.0' };
const blue = { image: running };
const at = (day: number) => `2026-11-${String(day).padStart(2, '0')}T10:00:00Z`;

type Step = [revision: number, day: number, image: { image: string; version?: string }];
const history = (workload: string, ...steps: Step[]): Rollout[] =>
  steps.map(([revision, day, image]) => ({ workload, revision, createdAt: at(day), images: [image] }));

describe('S2-41: since when a version newer than the target has run here', () => {
  it.each<[string, Rollout[], object]>([
    ['from when its first template was made', history('deployment/a', [1, 1, old], [2, 5, newer]), { at: at(5) }],
    [
      'also through a change to another newer one',
      history('d/a', [1, 1, old], [2, 5, newer], [3, 9, blue]),
      { at: at(5) },
    ],
    [
      'of a held StatefulSet, whose history has the request',
      history('s/a', [1, 1, old], [2, 5, blue], [3, 9, old]),
      { at: at(5) },
    ],
    [
      'by the workload that had it first',
      [...history('d/a', [1, 1, old], [2, 6, blue]), ...history('d/b', [1, 1, old], [2, 5, blue])],
      { at: at(5) },
    ],
    [
      'at least, where the history begins with it',
      history('d/a', [4, 3, newer], [5, 9, blue]),
      { at: at(3), orBefore: true },
    ],
    ['not known, where an old template was taken up again', history('d/a', [3, 5, old], [4, 2, blue]), {}],
    ['not known, where only older ones are known', history('d/a', [1, 1, old]), {}],
    ['not known, without a history', [], {}],
  ])('%s', (_name, rollouts, since) => {
    expect(newerSince(rollouts, running, '3.1.8')).toEqual(since);
  });
});

describe('S2-42: the age in the plan', () => {
  const now = new Date('2026-11-21T12:00:00Z');
  const ago = (hours: number) => new Date(now.getTime() - hours * 3_600_000).toISOString();
  it.each<[string, Parameters<typeof ageNotes>[0], RegExp]>([
    ['hours', { at: ago(3.5) }, /^a version newer than 3\.1\.8 has run here for 3 h, since 2026-11-21T08:30:00\.000Z$/],
    ['just below a day, no advice', { at: ago(23.9) }, /for 23 h, since \S+$/],
    [
      'from a day on, three ways',
      { at: ago(26) },
      /for 26 h, since .*three ways: go on .*; go forward, .*; restore a backup/,
    ],
    ['days', { at: ago(24 * 9) }, /for 9 days, since/],
    ['where the history is cut off', { at: ago(5), orBefore: true }, /for at least 5 h/],
    ['not known is said', {}, /^since when a version newer than 3\.1\.8 has run here is not known$/],
    ['a clock ahead of ours', { at: ago(-1) }, /for 0 h/],
  ])('%s', (_name, since, note) => {
    expect(ageNotes(since, '3.1.8', now)).toEqual([expect.stringMatching(note)]);
  });

  it('says nothing before it was looked for', () => {
    expect(ageNotes(undefined, '3.1.8', now)).toEqual([]);
  });
});
