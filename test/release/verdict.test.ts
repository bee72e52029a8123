import { describe, expect, it } from 'vitest';
import type { DatabaseState } from '../../src/release/model/database.ts';
import type { ImageKnowledge, ImageUnknown } from '../../src/release/model/image.ts';
import type { Run } from '../../src/release/model/run.ts';
import { judge } from '../../src/release/verdict/judge.ts';
import type { Question } from '../../src/release/verdict/question.ts';
import { makeDatabase, makeImage, makeRun } from '../make/release.ts';

const workload = { kind: 'Deployment', namespace: 'air', name: 'af-scheduler', release: 'af' };
const tagged = (version: string, coreHead?: string): ImageKnowledge => ({
  image: `apache/airflow:${version}`,
  source: 'tag',
  version,
  ...(coreHead ? { coreHead } : {}),
});
const begun = { schemaStartedAt: '2026-11-21T12:00:30Z', before: { alembic_version: ['1d6611b6ab7c'] } };
const unknown: ImageUnknown = { image: 'acme/airflow:prod-42', source: 'unknown', why: 'its name does not tell' };
const core = (...rows: string[]) => makeDatabase({ tables: { alembic_version: rows } });

type Row = [string, ImageKnowledge | ImageUnknown, DatabaseState, string, string, Run?];

const rows: Row[] = [
  [
    'S0-11: an empty database is left to the migration Job',
    tagged('3.1.8'),
    makeDatabase({ tables: {}, airflowTables: false }),
    'allow',
    'NewDatabase',
  ],
  ['S0-12: the same heads fit', makeImage('3.2.1'), makeDatabase(), 'allow', 'Fits'],
  // Scripts were squashed: one revision stands for all up to the other, and the schema is the same.
  ...[
    ['4bc4d934e2bc', 'c804e5c76e3e'],
    ['c804e5c76e3e', '4bc4d934e2bc'],
  ].map(
    ([at, needed]): Row => [
      `S0-12: ${needed} fits a database at ${at}, which stands for it or is stood for`,
      makeImage('3.2.1', { coreHead: needed! }),
      core(at!),
      'allow',
      'Fits',
    ],
  ),
  [
    'S0-13: an upgrade is left to the release itself',
    makeImage('3.2.1'),
    makeDatabase({ version: '3.1.8' }),
    'allow',
    'Upgrade',
  ],
  [
    'S0-13: an upgrade known by its tag alone is allowed too',
    tagged('3.2.1'),
    makeDatabase({ version: '3.1.8' }),
    'allow',
    'Upgrade',
  ],
  ['S0-1: a database ahead of the image is held', makeImage('3.1.8'), makeDatabase(), 'hold', 'DatabaseAhead'],
  [
    'G1: ahead is told from our own chain, not from the target’s map',
    tagged('3.1.8'),
    makeDatabase(),
    'hold',
    'DatabaseAhead',
  ],
  [
    'S0-16: two patch releases apart is a downgrade too',
    tagged('3.1.7'),
    makeDatabase({ version: '3.1.8' }),
    'hold',
    'DatabaseAhead',
  ],
  [
    'S3-14: a provider that the image enforces is ahead',
    makeImage('3.1.8'),
    makeDatabase({ tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: ['02ca36b0235b'] } }),
    'hold',
    'ProviderAhead',
  ],
  [
    'G9: same core head and providers not known: the image is asked',
    tagged('3.2.2'),
    makeDatabase(),
    'hold',
    'ImageUnknown',
  ],
  [
    'a provider at its very first revision can not be ahead of any image',
    tagged('3.1.8'),
    makeDatabase({ version: '3.1.8' }),
    'allow',
    'Fits',
  ],
  [
    'a provider that the image was just asked about, and does not enforce, may be ahead',
    makeImage('3.1.8', { managers: [], fresh: true }),
    makeDatabase({ tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: ['02ca36b0235b'] } }),
    'allow',
    'Fits',
  ],
  [
    'a provider that the image did not enforce when it was asked, it may be configured to enforce by now',
    makeImage('3.1.8', { managers: [] }),
    makeDatabase({ tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: ['02ca36b0235b'] } }),
    'hold',
    'ImageUnknown',
  ],
  [
    'no image of 2.x enforces a provider, whatever its configuration',
    makeImage('2.11.0'),
    makeDatabase({ tables: { alembic_version: ['5f2621c13b39'], alembic_version_fab: ['02ca36b0235b'] } }),
    'allow',
    'Fits',
  ],
  [
    'a version table of which nothing is known belongs to nobody that Airflow enforces',
    makeImage('3.1.8', { managers: [] }),
    makeDatabase({ tables: { alembic_version: ['509b94a1042d'], alembic_version_acme: ['1'] } }),
    'allow',
    'Fits',
  ],
  [
    'by its annotation alone nothing fits',
    makeImage('3.1.8', { source: 'annotation' }),
    makeDatabase({ version: '3.1.8' }),
    'hold',
    'ImageUnknown',
  ],
  [
    'by its annotation alone nothing is an upgrade',
    makeImage('3.2.1', { source: 'annotation' }),
    makeDatabase({ version: '3.1.8' }),
    'hold',
    'ImageUnknown',
  ],
  [
    'an annotation holds what it says is too old',
    makeImage('3.1.8', { source: 'annotation' }),
    makeDatabase(),
    'hold',
    'DatabaseAhead',
  ],
  [
    'a provider behind is taken forward by the release itself',
    makeImage('3.2.1'),
    makeDatabase({ tables: { alembic_version: ['1d6611b6ab7c'], alembic_version_fab: ['6709f7a774b9'] } }),
    'allow',
    'Fits',
  ],
  ['G3: an image whose name does not tell is asked', unknown, makeDatabase(), 'hold', 'ImageUnknown'],
  [
    'G6: a revision in no release is never a direction',
    makeImage('3.1.8'),
    core('deadbeef0000'),
    'hold',
    'RevisionUnknown',
  ],
  [
    'G8: an emptied version table beside tables of Airflow is denied',
    tagged('3.1.8'),
    core(),
    'deny',
    'VersionTableEmptied',
  ],
  [
    'G8: a dropped version table beside tables of Airflow is denied',
    tagged('3.2.1'),
    makeDatabase({ tables: {} }),
    'deny',
    'VersionTableEmptied',
  ],
  [
    'G7: several heads are denied with their names',
    tagged('3.1.8'),
    core('1d6611b6ab7c', '509b94a1042d'),
    'deny',
    'SeveralHeads',
  ],
  ['G12: a target below 2.7.0 is denied', tagged('2.6.3'), makeDatabase(), 'deny', 'TargetTooOld'],
  ['an upgrade from 2.5 to 2.6 is none of our business', tagged('2.6.3'), core('290244fb8b83'), 'hold', 'ImageUnknown'],
  [
    'S1-15: an unreadable database is held, never taken for fresh',
    tagged('3.1.8'),
    { state: 'unreadable', why: 'connection refused' },
    'hold',
    'DatabaseUnreadable',
  ],
  [
    'a third version after the schema step has begun is denied',
    makeImage('2.11.0'),
    makeDatabase(),
    'deny',
    'DowngradeUnderWay',
    makeRun({ status: { schemaStartedAt: '2026-11-21T12:00:30Z' } }),
  ],
  [
    'the target itself may be set again in mid-run',
    makeImage('3.1.8'),
    makeDatabase(),
    'hold',
    'DatabaseAhead',
    makeRun({ status: { schemaStartedAt: '2026-11-21T12:00:30Z' } }),
  ],
  [
    'G34: nor what ran before, once the target starts: helm --atomic goes back up without a migration Job',
    makeImage('3.2.1'),
    makeDatabase({ version: '3.1.8' }),
    'deny',
    'DowngradeUnderWay',
    makeRun({ status: { ...begun, verifiedAt: '2026-11-21T12:00:40Z', resumeStartedAt: '2026-11-21T12:00:41Z' } }),
  ],
  [
    'G34: what ran before, wanted again in the schema step, is held until the database is returned',
    makeImage('3.2.1'),
    makeDatabase({ version: '3.1.8' }),
    'hold',
    'NewerImageRequested',
    makeRun({ status: begun }),
  ],
];

describe('S0-22: judge', () => {
  it.each<[string, ImageKnowledge | ImageUnknown, DatabaseState]>([
    ['on a database that cannot be read', tagged('3.2.1'), { state: 'unreadable', why: 'connection refused' }],
    ['whose providers are not known', tagged('3.2.1'), makeDatabase()],
    ['whose version is not known', unknown, makeDatabase()],
  ])('a rescue is not denied: the image that ran before the hold, %s', (_, image, database) => {
    const question = { workload, image, database, run: undefined };
    expect(judge(question)).toMatchObject({ verdict: 'hold' });
    expect(judge({ ...question, from: image.image })).toEqual({ verdict: 'allow', reason: 'PreviousImage' });
  });

  it.each(rows)('%s', (_, image, database, verdict, reason, run) => {
    expect(judge({ workload, image, database, run })).toMatchObject({ verdict, reason });
  });

  it('says what, what was seen and what is needed', () => {
    const verdict = judge({ workload, image: tagged('3.1.8'), database: makeDatabase(), run: undefined });
    expect(verdict).toMatchObject({
      message: 'deployment/af-scheduler: the database is at 3.2.x (1d6611b6ab7c), image 3.1.8 needs 509b94a1042d',
    });
  });

  it('a denial says what to do', () => {
    for (const [, image, database, verdict, , run] of rows.filter((r) => r[3] === 'deny')) {
      const said = judge({ workload, image, database, run });
      expect(said.verdict).toBe(verdict);
      expect('message' in said && said.message).toMatch(
        /; (choose|find|let it end|let that end)|Put the revision back/,
      );
    }
  });
});

const read = makeDatabase;
const unreadable: DatabaseState = { state: 'unreadable', why: 'connection refused' };
const provider = (revision: string) =>
  read({ tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: [revision] } });

/** Every row of the design's table of verdicts that is the database's and the image's to say; the others: decide.test.ts. */
const designed: [row: string, Omit<Question, 'workload' | 'run'>, verdict: string, reason: string][] = [
  [
    'no version table and no tables of Airflow',
    { image: makeImage('3.1.8'), database: read({ tables: {}, airflowTables: false }) },
    'allow',
    'NewDatabase',
  ],
  [
    'an empty version table and nothing else',
    { image: makeImage('3.1.8'), database: read({ tables: { alembic_version: [] }, airflowTables: false }) },
    'allow',
    'NewDatabase',
  ],
  [
    'same core head, every provider head known',
    { image: makeImage('3.1.8'), database: read({ version: '3.1.8' }) },
    'allow',
    'Fits',
  ],
  ['behind the image’s head', { image: makeImage('3.2.1'), database: read({ version: '3.1.8' }) }, 'allow', 'Upgrade'],
  ['ahead of the image’s head', { image: makeImage('3.1.8'), database: read() }, 'hold', 'DatabaseAhead'],
  [
    'G10: same core head, an enforced provider ahead',
    { image: makeImage('3.1.8'), database: provider('02ca36b0235b') },
    'hold',
    'ProviderAhead',
  ],
  [
    'a provider at a revision that nobody knows',
    { image: makeImage('3.1.8'), database: provider('feedfeedfeed') },
    'hold',
    'ProviderAhead',
  ],
  ['the version can’t be learned', { image: unknown, database: read() }, 'hold', 'ImageUnknown'],
  ['a release newer than our table', { image: tagged('99.1.0'), database: read() }, 'hold', 'ImageUnknown'],
  ['a release candidate', { image: tagged('3.2.0rc1'), database: read() }, 'hold', 'ImageUnknown'],
  [
    'revision not in our table',
    { image: makeImage('3.1.8'), database: core('deadbeef0000') },
    'hold',
    'RevisionUnknown',
  ],
  [
    'revision not in our table, but the image’s own head',
    { image: makeImage('3.2.1', { coreHead: 'deadbeef0000' }), database: core('deadbeef0000') },
    'allow',
    'Fits',
  ],
  [
    'version table empty, tables of Airflow exist',
    { image: makeImage('3.1.8'), database: core() },
    'deny',
    'VersionTableEmptied',
  ],
  ['the same for an image that nobody knows', { image: unknown, database: core() }, 'deny', 'VersionTableEmptied'],
  [
    'several heads in the core table',
    { image: makeImage('3.2.1'), database: core('1d6611b6ab7c', 'x') },
    'deny',
    'SeveralHeads',
  ],
  [
    'several heads in a provider’s table',
    {
      image: makeImage('3.1.8'),
      database: read({ tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: ['a', 'b'] } }),
    },
    'deny',
    'SeveralHeads',
  ],
  ['target below 2.7.0', { image: tagged('2.6.3'), database: read() }, 'deny', 'TargetTooOld'],
  ['the lowest target that there is', { image: tagged('2.7.0'), database: read() }, 'hold', 'DatabaseAhead'],
  ['database not readable', { image: makeImage('3.1.8'), database: unreadable }, 'hold', 'DatabaseUnreadable'],
  [
    'the change also alters the connection',
    { image: makeImage('3.2.1'), database: unreadable, connectionChanged: true },
    'hold',
    'ConnectionChanged',
  ],
  [
    'the connection alone, back to the image that ran',
    { image: makeImage('3.2.1'), database: unreadable, connectionChanged: true, from: 'apache/airflow:3.2.1' },
    'hold',
    'ConnectionChanged',
  ],
  [
    'the connection was altered, and the new database can be read',
    { image: makeImage('3.1.8'), database: read({ version: '3.1.8' }), connectionChanged: true },
    'allow',
    'Fits',
  ],
  [
    'the same, and it is ahead',
    { image: makeImage('3.1.8'), database: read(), connectionChanged: true, from: 'apache/airflow:3.1.8' },
    'hold',
    'DatabaseAhead',
  ],
  [
    'the same image as ran, of which nothing is known, on another database',
    { image: unknown, database: read(), connectionChanged: true, from: unknown.image },
    'hold',
    'ImageUnknown',
  ],
  [
    'the same image as ran, whose providers are not known, on another database',
    { image: tagged('3.2.1'), database: read(), connectionChanged: true, from: 'apache/airflow:3.2.1' },
    'hold',
    'ImageUnknown',
  ],
  [
    'two containers that need different schemas',
    { image: makeImage('3.1.8'), others: [makeImage('3.2.1')], database: read() },
    'deny',
    'ImagesDisagree',
  ],
  [
    'two versions that need the same schema',
    {
      image: tagged('3.2.0'),
      others: [makeImage('3.2.1')],
      database: read({ tables: { alembic_version: ['1d6611b6ab7c'] } }),
    },
    'allow',
    'Fits',
  ],
  [
    'a second container of an image that nobody knows',
    { image: makeImage('3.2.1'), others: [unknown], database: read() },
    'hold',
    'ImageUnknown',
  ],
  [
    'back to what ran, the second container too',
    { image: makeImage('3.2.1'), others: [unknown], database: read(), from: 'apache/airflow:3.2.1' },
    'allow',
    'Fits',
  ],
  [
    'the worst of several containers counts',
    { image: unknown, others: [tagged('2.6.3')], database: read() },
    'deny',
    'TargetTooOld',
  ],
];

describe('design, section 3', () => {
  it.each(designed)('%s', (_, question, verdict, reason) => {
    expect(judge({ workload, run: undefined, ...question })).toMatchObject({ verdict, reason });
  });

  it.each(designed.filter(([, , verdict]) => verdict !== 'allow'))(
    '%s: the sentence begins with what it is about, in one line',
    (_, question) => {
      const said = judge({ workload, run: undefined, ...question });
      expect('message' in said && said.message).toMatch(/^deployment\/af-scheduler: [^\n]+$/);
      expect(JSON.stringify(said)).not.toMatch(/undefined|\[object/);
    },
  );
});
