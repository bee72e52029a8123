/** What programs in pods print is anyone's word: of another shape or size it is no answer, and says what is wrong. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestsIn, inspectionIn, probeIn, progressIn, resultIn, takeUpsIn } from '../../src/release/model/messages.ts';
import { digested } from '../../src/release/model/runner.ts';
import { running } from '../controller/place.ts';
import { work } from '../make/containers.ts';
import { makeDatabase, makeImage } from '../make/release.ts';

const probe = { airflowVersion: '3.1.8', coreHeads: ['509b94a1042d'], managers: makeImage('3.1.8').managers };
const progress = { token: 1, run: 'u', step: 0, steps: 2, kind: 'core', done: 1, of: 2, revision: '', message: '' };
const result = { token: 1, run: 'u', ok: true, versionTables: { alembic_version: ['509b94a1042d'] } };
const failed = { token: 1, run: 'u', ok: false, error: { kind: 'NoCopy', message: 'why' }, versionTables: {} };
const takeUps = { triggers: [{ class: 'x.Moment', arguments: ['moment'], lacks: 'no such module' }] };

/** inspect.json as the runner of a world in memory writes it. */
function inspected(): Record<string, unknown> {
  const world = running('apache/airflow:3.2.1');
  Object.assign(world, { triggers: [{ class: null, arguments: null, tasks: 1, watchers: 0, callbacks: 0 }] });
  const folder = new Map<string, string>();
  work(folder, '3.2.1', makeDatabase(), world, { claim: 'c' });
  return JSON.parse(folder.get('inspect.json')!);
}

const digests = Object.fromEntries(digested.map((name) => [name, 'a1'.repeat(32)]));

const readers = {
  digests: digestsIn,
  probe: probeIn,
  triggers: takeUpsIn,
  inspection: inspectionIn,
  progress: progressIn,
  result: resultIn,
};
const whole: [keyof typeof readers, object][] = [
  ['probe', probe],
  ['probe', { ...probe, fernetKeys: ['abc'], python: '3.12' }],
  ['probe', { ...probe, fernetKeys: null, managers: [] }],
  ['triggers', takeUps],
  ['digests', { digests }],
  ['digests', { digests: { ...digests, fernet_key: null } }],
  ['inspection', inspected()],
  ['progress', progress],
  [
    'progress',
    { ...progress, server: { state: 'working', seconds: 1, quietSeconds: 0, part: { what: 'x', percent: null } } },
  ],
  ['result', result],
  ['result', { ...result, facts: [null, { counts: { 'public.dag': 3 }, tables: 1 }, { gone: {}, told: ['a'] }] }],
  ['result', failed],
];

describe('an answer', () => {
  it.each(whole)('of the %s is read as it is', (name, said) => {
    expect(readers[name](JSON.stringify(said))).toEqual({ told: said });
  });

  it.each<[string, keyof typeof readers, object, RegExp]>([
    ['without its heads', 'probe', { ...probe, coreHeads: undefined }, /coreHeads is missing/],
    [
      'with heads that are no list',
      'probe',
      { ...probe, coreHeads: '509b94a1042d' },
      /coreHeads is "509b94a1042d" and no list/,
    ],
    ['without a digest', 'digests', { digests: { ...digests, fernet_key: undefined } }, /fernet_key is no digest/],
    [
      'with a value for a digest',
      'digests',
      { digests: { ...digests, fernet_key: 'secret' } },
      /fernet_key is no digest/,
    ],
    ['with a list of digests', 'digests', { digests: [digests] }, /digests is .*no object|sql_alchemy_conn/],
    ['with a version that is none', 'probe', { ...probe, airflowVersion: 'latest' }, /which is no version/],
    [
      'with a manager without heads',
      'probe',
      { ...probe, managers: [{ class: 'x', versionTable: 'y' }] },
      /heads is missing/,
    ],
    [
      'with a manager that wants no head',
      'probe',
      { ...probe, managers: [{ class: 'x', versionTable: 'y', heads: [] }] },
      /heads has 0 entries/,
    ],
    ['with a list that does not end', 'probe', { ...probe, coreHeads: Array(5000).fill('a') }, /has 5000 entries/],
    ['with a head that is a novel', 'probe', { ...probe, coreHeads: ['x'.repeat(5000)] }, /has 5000 characters/],
    ['with words for a head', 'probe', { ...probe, coreHeads: ['a b'] }, /no name/],
    ['with an error of its own', 'probe', { error: 'no module named airflow' }, /^no module named airflow$/],
    ['without triggers', 'triggers', {}, /triggers is missing/],
    ['with triggers of numbers', 'triggers', { triggers: [1] }, /triggers\[0\] is 1 and no object/],
    ['without a database', 'inspection', { ...inspected(), database: undefined }, /database is missing/],
    [
      'without an identity',
      'inspection',
      { ...inspected(), database: { versionTables: {} } },
      /airflowTables is missing/,
    ],
    ['with rows that are a number', 'inspection', { ...inspected(), rows: 7 }, /rows is 7 and no list/],
    ['without a step', 'progress', { ...progress, step: undefined }, /step is missing/],
    ['that is neither good nor bad', 'result', { ...result, ok: undefined }, /ok is missing/],
    ['that failed without an error', 'result', { ...result, ok: false }, /error is missing/],
    [
      'whose facts are told by a text',
      'result',
      { ...result, facts: [{ gone: {}, told: 'x' }] },
      /told is "x" and no list/,
    ],
  ])('%s is none', (_, name, said, fault) => {
    expect(readers[name](JSON.stringify(said))).toEqual({ fault: expect.stringMatching(fault) });
  });

  it.each(Object.entries(readers))('of the %s that is cut off, or no object, is none', (_, read) => {
    expect(read('{"a": 1')).toEqual({ fault: 'its answer is cut off or no JSON' });
    for (const text of ['null', '7', '"x"', '[]', ''])
      expect(read(text)).toEqual({ fault: expect.stringMatching(/its answer is/) });
    expect(read(' '.repeat(5_000_000))).toEqual({ fault: 'its answer has 5000000 characters' });
  });

  it('of any shape throws nothing', () => {
    const mutated = fc
      .constantFrom(...whole)
      .chain(([name, said]) =>
        fc.tuple(fc.constant(name), fc.constantFrom(...Object.keys(said)), fc.jsonValue(), fc.constant(said)),
      );
    fc.assert(
      fc.property(mutated, ([name, field, value, said]) => {
        const read = readers[name](JSON.stringify({ ...said, [field]: value }));
        expect('told' in read || typeof read.fault === 'string').toBe(true);
      }),
    );
  });
});
