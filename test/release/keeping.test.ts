/** The store of what images said: for one release each, bounded, and nobody can push out what others have learned. */
import { describe, expect, it } from 'vitest';
import {
  crowdedOut,
  keyOf,
  mostLearned,
  mostLearnedBytes,
  readLearned,
  written,
} from '../../src/release/airflow/learned-images.ts';
import type { Learned } from '../../src/release/model/image.ts';
import { makeImage } from '../make/release.ts';

const of = { namespace: 'air', release: 'af' };
const entry = (shape: Partial<Learned> = {}, image = 'acme/airflow:1'): Learned => ({
  ...of,
  usedAt: '2026-11-21T12:00:00Z',
  knowledge: makeImage('3.1.8', { image }),
  ...shape,
});

/** As the ConfigMap has them. */
function dataOf(entries: Learned[]): Record<string, string> {
  return Object.fromEntries(entries.map((one) => [keyOf(one, one.knowledge.image), written(one)!]));
}

const many = (count: number, shape: (at: number) => Partial<Learned>): Learned[] =>
  Array.from({ length: count }, (_, at) => entry(shape(at), `acme/airflow:${at}`));
const time = (at: number) => new Date(Date.UTC(2026, 0, 1) + at * 1000).toISOString();

describe('an entry', () => {
  it('comes back as it was written', () => {
    expect(readLearned(written(entry())!)).toEqual(entry());
    const poor = entry({ knowledge: { image: 'a', source: 'probe', version: '3.1.8' } });
    expect(readLearned(written(poor)!)).toEqual(poor);
  });

  it('has a key that no other release, namespace or image can have', () => {
    const keys = [
      keyOf(of, 'a:1'),
      keyOf(of, 'a:2'),
      keyOf({ ...of, release: 'ag' }, 'a:1'),
      keyOf({ ...of, namespace: 'prod' }, 'a:1'),
      keyOf({ namespace: 'air/af', release: '' }, 'a:1'),
      keyOf({ namespace: 'air","af', release: 'x' }, 'a:1'),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it.each<[string, string]>([
    ['cut JSON', written(entry())!.slice(0, -5)],
    ['no object', '"text"'],
    ['null', 'null'],
    ['of nobody', JSON.stringify(makeImage('3.1.8'))],
    [
      'whose managers are none',
      JSON.stringify({ ...of, usedAt: '', ...makeImage('3.1.8'), managers: [{ class: 'x' }] }),
    ],
    [
      'with a manager that wants no head',
      JSON.stringify({
        ...of,
        usedAt: '',
        ...makeImage('3.1.8'),
        managers: [{ class: 'x', versionTable: 'y', heads: [] }],
      }),
    ],
    ['not from a probe', JSON.stringify({ ...of, usedAt: '', ...makeImage('3.1.8'), source: 'annotation' })],
    ['that is huge', JSON.stringify({ ...of, usedAt: 'x'.repeat(5000), ...makeImage('3.1.8') })],
  ])('%s counts as not learned', (_, text) => {
    expect(readLearned(text)).toBeUndefined();
  });

  it('that is too large is not written at all', () => {
    expect(written(entry({}, 'x'.repeat(5000)))).toBeUndefined();
  });
});

describe('what is too much', () => {
  const added = (one: Learned) => ({ key: keyOf(one, one.knowledge.image), text: written(one)! });

  it('is nothing while there is room', () => {
    expect(crowdedOut(dataOf(many(100, () => ({}))), added(entry({}, 'new')))).toEqual([]);
  });

  it('is first what nobody can read', () => {
    expect(crowdedOut({ old: '{"image":"a"}', cut: '{' }, added(entry()))).toEqual(['old', 'cut']);
  });

  it('is the longest unused of the namespace that has most, never the new one', () => {
    const own = many(1000, (at) => ({ namespace: 'full', usedAt: time(at) }));
    const others = many(mostLearned - 1000, (at) => ({ namespace: `team-${at}`, usedAt: time(-1000) }));
    const out = crowdedOut(dataOf([...own, ...others]), added(entry({ namespace: 'air', usedAt: time(-5000) }, 'new')));
    expect(out).toEqual([keyOf(own[0]!, own[0]!.knowledge.image)]);
  });

  it('stays within the bounds, and a namespace that writes without end keeps the others', () => {
    const others = many(20, (at) => ({ namespace: `team-${at}`, usedAt: time(-1000) }));
    const data = dataOf([...others, ...many(mostLearned - 20, (at) => ({ namespace: 'full', usedAt: time(at) }))]);
    for (let at = 0; at < 30; at++) {
      const one = added(entry({ namespace: 'full', usedAt: time(9000 + at) }, `flood:${at}${'x'.repeat(1500)}`));
      for (const key of crowdedOut(data, one)) delete data[key];
      data[one.key] = one.text;
      expect(Object.keys(data).length).toBeLessThanOrEqual(mostLearned);
    }
    const size = Object.entries(data).reduce((sum, [key, text]) => sum + key.length + text.length, 0);
    expect(size).toBeLessThanOrEqual(mostLearnedBytes);
    for (const one of others) expect(data[keyOf(one, one.knowledge.image)]).toBeDefined();
  });
});
