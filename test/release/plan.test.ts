import { describe, expect, it } from 'vitest';
import type { ImageKnowledge } from '../../src/release/model/image.ts';
import type { ChainLink, Inspection } from '../../src/release/model/runner.ts';
import { distance } from '../../src/release/plan/chain.ts';
import { planDowngrade as plan3, planInWords } from '../../src/release/plan/plan.ts';
import { makeDatabase, makeImage } from '../make/release.ts';

const chain = (...revisions: string[]): ChainLink[] =>
  revisions.map((revision, at) => ({ revision, down: revisions[at + 1] ?? null }));

function makeInspection(shape: Partial<Inspection> = {}): Inspection {
  return {
    at: '2026-11-21T12:00:05.000Z',
    airflowVersion: '3.2.1',
    core: { heads: ['1d6611b6ab7c'], chain: chain('1d6611b6ab7c', 'b', 'a', '509b94a1042d', 'z') },
    managers: [
      {
        class: 'airflow.providers.fab.auth_manager.models.db.FABDBManager',
        versionTable: 'alembic_version_fab',
        heads: ['02ca36b0235b'],
        chain: chain('02ca36b0235b', '6709f7a774b9'),
        command: 'fab-db',
        canDowngrade: true,
      },
    ],
    database: { ...makeDatabase(), backend: 'postgresql' },
    rows: [{ table: 'trigger', column: 'kwargs', count: 0, examples: [] }],
    unconvertible: [],
    copy: { possible: true, why: [], notes: [], bytes: 8_000_000 },
    ...shape,
  };
}

const given = { ways: ['ServerCopy'] } as const;

const planDowngrade = (...[inspection, target]: [Inspection, ImageKnowledge]) => plan3(inspection, target, given);

const kinds = (plan: ReturnType<typeof planDowngrade>) => plan.steps.map((s) => s.kind);
const blockers = (plan: ReturnType<typeof planDowngrade>) => plan.blockers.map((b) => b.reason);

describe('planDowngrade', () => {
  it('S3-15, S3-18, S3-19: rows first, then the core, then FAB, each by revision', () => {
    const plan = planDowngrade(makeInspection(), makeImage('3.1.8'));
    expect(plan.steps).toMatchObject([
      { kind: 'convert', rows: 0 },
      { kind: 'core', from: '1d6611b6ab7c', toRevision: '509b94a1042d', revisions: 3 },
      { kind: 'manager', versionTable: 'alembic_version_fab', toRevision: '6709f7a774b9', revisions: 1 },
      { kind: 'repair', crossed: ['1d6611b6ab7c', 'b', 'a'] },
      { kind: 'verify', crossed: ['1d6611b6ab7c', 'b', 'a'], readable: true },
    ]);
    expect(plan.blockers).toEqual([]);
  });

  it('a half-done downgrade is planned from where the database is (G6)', () => {
    const database = {
      ...makeDatabase({ tables: { alembic_version: ['a'], alembic_version_fab: ['02ca36b0235b'] } }),
      backend: 'postgresql',
    };
    expect(planDowngrade(makeInspection({ database }), makeImage('3.1.8')).steps[1]).toMatchObject({
      from: 'a',
      revisions: 1,
    });
  });

  it('S3-14: a provider alone is downgraded when the core fits already', () => {
    const database = {
      ...makeDatabase({ tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: ['02ca36b0235b'] } }),
      backend: 'postgresql',
    };
    expect(kinds(planDowngrade(makeInspection({ database }), makeImage('3.1.8')))).toEqual([
      'manager',
      'repair',
      'verify',
    ]);
  });

  it('S3-4: a provider that the target does not enforce stays where it is', () => {
    expect(kinds(planDowngrade(makeInspection(), makeImage('3.1.8', { managers: [] })))).toEqual([
      'convert',
      'core',
      'repair',
      'verify',
    ]);
  });

  const managerAt = (change: object) => [{ ...makeInspection().managers[0]!, ...change }];
  const commands = (change: object) =>
    planInWords(planDowngrade(makeInspection({ managers: managerAt(change) }), makeImage('3.1.8'))).join('\n');

  it('S3-15: the command of a provider is one that exists: its own, the general one, or none', () => {
    expect(commands({})).toContain('airflow fab-db downgrade --to-revision 6709f7a774b9 --yes  (from 02ca36b0235b');
    expect(commands({ command: 'db-manager', class: 'edge.Manager' })).toContain(
      'airflow db-manager downgrade edge.Manager --to-revision 6709f7a774b9 --yes  (from',
    );
    const own = commands({ command: null, class: 'edge.Manager' });
    expect(own).toContain('reverse edge.Manager to 6709f7a774b9 by its own scripts, for which Airflow has no command');
    expect(own).not.toMatch(/db-manager|fab-db/);
  });

  it('S3-7: a version table that neither version knows is named in the plan, and nothing waits for it', () => {
    const tables = { ...makeDatabase().versionTables, alembic_version_drt: ['0123abcd'], alembic_version_empty: [] };
    const database = { ...makeDatabase({ tables }), backend: 'postgresql' };
    const plan = planDowngrade(makeInspection({ database }), makeImage('3.1.8'));
    const notes = plan.notes.filter((note) => note.includes('belongs to no manager'));
    expect(notes).toEqual([
      'alembic_version_drt (at 0123abcd) belongs to no manager that either version knows; its tables stay as they are',
      'alembic_version_empty (at no revision) belongs to no manager that either version knows; its tables stay as they are',
    ]);
    expect(plan.blockers).toEqual([]);
    expect(planDowngrade(makeInspection(), makeImage('3.1.8')).notes.join()).not.toContain('belongs to no manager');
  });

  it('S3-9: so does one that has tables of core', () => {
    const managers = managerAt({ class: 'company.Manager', coreTables: ['job', 'log'] });
    const { blockers } = planDowngrade(makeInspection({ managers }), makeImage('3.1.8'));
    expect(blockers).toEqual([
      {
        reason: 'ProviderNotReversible',
        message: expect.stringMatching(/^company\.Manager keeps its data in job, log, a name of Airflow's core/),
      },
    ]);
  });

  it('S3-9: a manager in the version table of core stops the plan, whichever version has it', () => {
    const claiming = { class: 'company.Manager', versionTable: 'alembic_version' };
    const message = expect.stringMatching(/^company\.Manager keeps its revision in alembic_version/);
    const managers = [...makeInspection().managers, ...managerAt({ ...claiming })];
    expect(planDowngrade(makeInspection({ managers }), makeImage('3.1.8')).blockers).toEqual([
      { reason: 'ProviderNotReversible', message },
    ]);
    const target = makeImage('3.1.8', { managers: [{ ...claiming, heads: ['x'] }] });
    expect(planDowngrade(makeInspection(), target).blockers).toEqual([{ reason: 'ProviderNotReversible', message }]);
  });

  it('S3-16: nothing is ever reset', () => {
    expect(planInWords(planDowngrade(makeInspection(), makeImage('2.11.0'))).join()).not.toMatch(/reset/);
  });

  it('G15: a target that the running image has no scripts for is a blocker', () => {
    const plan = planDowngrade(makeInspection(), makeImage('3.1.8', { coreHead: 'elsewhere' }));
    expect(blockers(plan)).toEqual(['NotAnAncestor']);
  });

  it('S3-8: a manager without reverse scripts is a blocker that names it', () => {
    const [fab] = makeInspection().managers;
    const plan = planDowngrade(makeInspection({ managers: [{ ...fab!, canDowngrade: false }] }), makeImage('3.1.8'));
    expect(plan.blockers[0]).toMatchObject({
      reason: 'ProviderNotReversible',
      message: expect.stringContaining('FABDBManager'),
    });
  });

  it('S4-5, S4-15: rows that the older version cannot read are converted, told by table, column and count', () => {
    const rows = [{ table: 'task_instance', column: 'next_kwargs', count: 2, examples: ['019a'] }];
    const plan = planDowngrade(makeInspection({ rows }), makeImage('3.1.8'));
    expect(plan.conversions).toEqual([{ table: 'task_instance', column: 'next_kwargs', count: 2 }]);
    expect(planInWords(plan)[0]).toMatch(/^convert 2 rows of task_instance\.next_kwargs to the form/);
    expect(plan.blockers).toEqual([]);
  });

  it('S4-16: rows that cannot be rewritten block, with table, count, ids and why', () => {
    const unconvertible = [{ table: 'trigger', column: 'kwargs', count: 3, ids: '7, 8, 9', why: 'no key opens them' }];
    expect(planDowngrade(makeInspection({ unconvertible }), makeImage('3.1.8')).blockers).toEqual([
      {
        reason: 'RowsUnreadable',
        message: expect.stringMatching(
          /^3 rows of trigger\.kwargs \(ids 7, 8, 9\) can't be rewritten for the older version: no key opens them/,
        ),
      },
    ]);
  });

  it('S4-5: where the older version reads the newer form as well nothing is converted, by heads and not by versions', () => {
    const rows = [{ table: 'trigger', column: 'kwargs', count: 7, examples: [1] }];
    expect(planDowngrade(makeInspection({ rows }), makeImage('3.1.8', { coreHead: 'a' })).conversions).toEqual([]);
    expect(planDowngrade(makeInspection({ rows }), makeImage('3.1.8', { coreHead: 'z' })).conversions).toHaveLength(1);
  });

  it('says in words what is done, what stands in the way and what is not', () => {
    const words = planInWords(planDowngrade(makeInspection(), makeImage('3.1.8')));
    expect(words[1]).toBe('airflow db downgrade --to-revision 509b94a1042d --yes  (from 1d6611b6ab7c, 3 revisions)');
    expect(words.at(-1)).toBe('backup: a verified copy of the database on its own server, made after the drain');
  });
});

describe('distance', () => {
  it.each([
    ['to itself', 'c', 'c', 0],
    ['two down', 'c', 'a', 2],
    ['up is no way down', 'a', 'c', undefined],
    ['elsewhere', 'c', 'x', undefined],
  ])('%s', (_, from, to, expected) => {
    expect(distance(chain('c', 'b', 'a'), from, to)).toBe(expected);
  });

  it('goes through a merge by either parent', () => {
    const merged: ChainLink[] = [
      { revision: 'm', down: ['l', 'r'] },
      { revision: 'l', down: 'o' },
      { revision: 'r', down: 'o' },
      { revision: 'o', down: null },
    ];
    expect(distance(merged, 'm', 'o')).toBe(2);
  });
});
