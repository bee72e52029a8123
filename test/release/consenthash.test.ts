/** When consent to one plan is none to another (G24): what the hash stands for, and counts that change meanwhile. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Approvable, keepCeilings, planHash } from '../../src/release/plan/consent.ts';
import { deadlines, makeApprovable as makePlan, plannedBackups, plannedSteps } from '../make/policy.ts';

const { none, waived } = plannedBackups;
const { core, fab } = plannedSteps;

describe('the hash', () => {
  const one = makePlan({
    losses: [deadlines, { what: 'notes of 3 runs', count: 3 }],
    hazards: [{ id: 'a', what: 'x' }],
  });
  const other: [string, Partial<Approvable>][] = [
    ['another database', { identity: { database: 'airflow', oid: '16999', cluster: '7300000000000000001' } }],
    ['another place to start from', { steps: [{ ...core, from: '82dbd68e6171' }, fab] }],
    ['another place to end', { steps: [core, { ...fab, toRevision: '000000000000' }] }],
    ['one step less', { steps: [core] }],
    ['one step more', { steps: [core, fab, { kind: 'repair', crossed: [], command: 'repair' }] }],
    ['another order', { steps: [fab, core] }],
    ['another loss', { losses: [deadlines] }],
    ['more of a loss than its ceiling', { losses: [{ ...deadlines, count: 15 }, one.losses[1]!] }],
    ['another hazard', { hazards: [{ id: 'b', what: 'x' }] }],
    ['no hazard', { hazards: [] }],
    ['no backup', { backup: none }],
    ['a waiver', { backup: waived }],
  ];
  it.each(other)('is another for %s', (_, shape) => expect(makePlan({ ...one, ...shape }).hash).not.toBe(one.hash));

  const same: [string, Partial<Approvable>][] = [
    ['other words for the steps', { steps: [{ ...core, command: 'x', revisions: 3 }, fab] }],
    ['fields in another order', { identity: { cluster: '7300000000000000001', oid: '16384', database: 'airflow' } }],
    ['losses in another order', { losses: one.losses.toReversed() }],
    [
      'another number in the words alone',
      { losses: [{ ...deadlines, what: '1,013 rows of deadline are deleted' }, one.losses[1]!] },
    ],
    ['other words for a hazard', { hazards: [{ id: 'a', what: 'y' }] }],
    ['another name or reason of the backup', { backup: { way: 'ServerCopy', why: ['x'] } }],
  ];
  it.each(same)('is the same for %s', (_, shape) => expect(makePlan({ ...one, ...shape }).hash).toBe(one.hash));

  it('counts rows to convert for no loss, but the step that converts them', () => {
    const converting = (rows: number) =>
      makePlan({ steps: [{ kind: 'convert', rows, command: `convert ${rows}` }, core] }).hash;
    expect(converting(0)).toBe(converting(1_000_000));
    expect(converting(0)).not.toBe(makePlan({ steps: [core] }).hash);
  });

  it('is 12 hex digits, as the schema wants them', () => expect(one.hash).toMatch(/^[0-9a-f]{12}$/));

  it('keeps a revision in the words of a loss apart from its numbers', () => {
    const at = (revision: string) => makePlan({ losses: [{ what: `2 rows that ${revision} drops`, count: 2 }] }).hash;
    expect(at('1d6611b6ab7c')).not.toBe(at('509b94a1042d'));
    expect(at('0123')).not.toBe(makePlan().hash);
  });
});

describe('counts that change while the newer version serves', () => {
  const hashAfter = (...counts: number[]) => {
    let before: Approvable | undefined;
    for (const count of counts) {
      const losses = count > 0 ? [{ what: `${count} rows of deadline are deleted`, count }] : [];
      before = keepCeilings(makePlan({ losses }), before);
    }
    return planHash(before!);
  };
  it.each([
    ['less of it', [120, 60, 1]],
    ['a little more than was counted', [120, 140]],
    ['none any more', [120, 0]],
    ['less of it, then as much as before', [120, 3, 0, 140]],
  ])('leave a plan the same: %s', (_, counts) => expect(hashAfter(...counts)).toBe(hashAfter(120)));
  it.each([
    ['more than its ceiling', [120, 141]],
    ['a loss where there was none', [0, 1]],
    ['more, however it got there', [120, 60, 141]],
  ])('make another plan: %s', (_, counts) => expect(hashAfter(...counts)).not.toBe(hashAfter(counts[0]!)));

  it('settle: the same count again changes nothing, so the record is not written again', () => {
    const once = keepCeilings(makePlan({ losses: [deadlines] }));
    expect(keepCeilings(makePlan({ losses: [deadlines] }), once)).toEqual(once);
    const gone = keepCeilings(makePlan(), once);
    expect(keepCeilings(makePlan(), gone)).toEqual(gone);
  });

  it('never let more be lost than was agreed to', () => {
    const counts = fc.array(fc.nat(2_000_000), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(counts, (all) => {
        let plan: Approvable | undefined;
        let agreed: { hash: string; upTo: number } | undefined;
        for (const count of all) {
          plan = keepCeilings(makePlan({ losses: [{ what: 'rows', count }] }), plan);
          const hash = planHash(plan);
          agreed ??= { hash, upTo: plan.losses[0]!.upTo! };
          if (hash === agreed.hash) expect(count).toBeLessThanOrEqual(agreed.upTo);
          if (count <= agreed.upTo && all.every((c) => c <= agreed!.upTo)) expect(hash).toBe(agreed.hash);
        }
        expect(agreed!.upTo).toBeLessThanOrEqual(Math.ceil(all[0]! * 1.22) + 1);
      }),
    );
  });
});
