/** From the drain on a run goes by the rules that its record keeps, and a stricter policy may still ask. */
import { describe, expect, it } from 'vitest';
import type { SnapshotPlace } from '../../src/release/model/policy.ts';
import { defaultRules, type Rules } from '../../src/release/model/policy.ts';
import type { RunStatus } from '../../src/release/model/run.ts';
import { carefulRules, rulesFor } from '../../src/release/policy/frozen.ts';
import { makeRun } from '../make/release.ts';

const at = '2026-11-21T12:00:00Z';
const kept: Rules = {
  approval: 'WhenLossy',
  backup: { ways: ['Dump'], keepHours: 24, required: false, dump: { claim: 'backups', subPath: 'dumps' } },
  onFailure: 'Return',
  runner: 'Copy',
};
const strict: Rules = { ...defaultRules, approval: 'Always', onFailure: 'Ask', runner: 'OldPod' };
const drained = (more: RunStatus = {}): RunStatus => ({ drainStartedAt: at, rules: kept, ...more });

describe('the rules in force', () => {
  it.each<[string, RunStatus | undefined, Rules, Rules]>([
    ['without a run: the policy', undefined, strict, strict],
    ['before the drain: the policy', {}, strict, strict],
    ['after a drain that was opened again: the policy', drained({ drainStartedAt: null }), strict, strict],
    ['in the drain: the record', drained(), defaultRules, kept],
    [
      'in the drain, when the policy asks by now: the record, and it is asked',
      drained(),
      strict,
      { ...kept, approval: 'Always' },
    ],
    ['in the schema step: the record alone', drained({ schemaStartedAt: at }), strict, kept],
    ['of a record from before rules were kept: the policy', { drainStartedAt: at }, strict, strict],
  ])('%s', (_, status, now, expected) => {
    expect(rulesFor(now, status && makeRun({ status }), 'air')).toEqual(expected);
  });

  it.each<[string, unknown, object]>([
    ['a word that is none', { ...kept, onFailure: 'Explode' }, { approval: 'Always', onFailure: 'Ask' }],
    ['a way that is none', { ...kept, backup: { ...kept.backup, ways: ['Hope'] } }, { approval: 'Always' }],
    [
      'a path out of the volume',
      { ...kept, backup: { ways: ['Dump'], dump: { claim: 'c', subPath: '../x' } } },
      { backup: { ways: ['Dump'], keepHours: 168, required: true } },
    ],
    ['nothing in it', {}, {}],
  ])('what the record keeps is checked as a policy is: %s counts for nothing, and asks', (_, rules, expected) => {
    const run = makeRun({ status: drained({ rules: rules as Rules }) });
    expect(rulesFor(defaultRules, run, 'air')).toMatchObject(expected);
  });

  it.each(['text', 7, null, ['x']])('a record with %j for rules has none', (rules) => {
    expect(rulesFor(strict, makeRun({ status: drained({ rules: rules as never }) }), 'air')).toEqual(strict);
  });

  describe('a place in another namespace that the record keeps', () => {
    const elsewhere = { claim: 'data-db-0', namespace: 'db', className: 'fast' };
    const placed = (volumeSnapshot: SnapshotPlace): Rules => ({
      ...defaultRules,
      backup: { ...defaultRules.backup, ways: ['VolumeSnapshot'], volumeSnapshot },
    });

    it.each<[string, SnapshotPlace, Rules, SnapshotPlace | undefined]>([
      ['that no policy names', elsewhere, defaultRules, undefined],
      ['where the policy names another claim', elsewhere, placed({ claim: 'other', namespace: 'db' }), undefined],
      ['where the policy names another namespace', elsewhere, placed({ claim: 'data-db-0' }), undefined],
      [
        'that the policy names: as the policy has it',
        elsewhere,
        placed({ claim: 'data-db-0', namespace: 'db' }),
        { claim: 'data-db-0', namespace: 'db' },
      ],
      [
        "that is the release's own, whoever names it",
        { claim: 'own', namespace: 'air' },
        defaultRules,
        { claim: 'own', namespace: 'air' },
      ],
      ['of a claim beside the release', { claim: 'own' }, defaultRules, { claim: 'own' }],
    ])('%s', (_, place, now, expected) => {
      for (const more of [{}, { schemaStartedAt: at }]) {
        const run = makeRun({ status: drained({ rules: placed(place), ...more }) });
        expect(rulesFor(now, run, 'air').backup.volumeSnapshot).toEqual(expected);
      }
    });
  });

  it('of which nothing is known are the most careful ones', () => {
    expect(carefulRules).toMatchObject({ approval: 'Always', onFailure: 'Ask', backup: { required: true } });
  });
});
