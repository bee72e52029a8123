/**
 * Counting before and comparing after: what is foreseen of the rows, by rows.json alone; and the steps `count` and
 * `verify` of a real runner on a real PostgreSQL (S4-4, S4-13). test/matrix shows that rows.json is true of 13 pairs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../cluster/command.ts';
import { packageEnv, textInside } from '../make/inside.ts';
import { fabManager, type Runner } from './airflow.ts';
import { type Outcome, type Scene, type Stage, startStage } from './copies.ts';
import { ensureVenv } from './venv.ts';

const { checked, effects } = JSON.parse(textInside('downdraft/steps/rows.json')) as {
  checked: string[];
  effects: Record<string, { drops?: string[] }>;
};

type Counts = Record<string, number>;

interface Case {
  before: Counts;
  after: Counts;
  crossed: string[];
  counted: object;
  backend: string;
}

/** What verify.py says of rows before and after, of each case. */
async function judged(cases: Case[]): Promise<string[][]> {
  const program = `import json, sys
from downdraft.steps import verify
verify.is_own = lambda name, own: name != 'theirs'
def judged(case):
    expected, _ = verify.foresee(dict(case, counts=case["before"]), case["backend"], ())
    return verify.differences(expected, case["after"], {}, ())
print(json.dumps([judged(case) for case in json.load(sys.stdin)]))`;
  const env = { ...process.env, ...packageEnv };
  return JSON.parse((await run('python3', ['-c', program], { env, input: JSON.stringify(cases) })).stdout);
}

describe('what is foreseen', () => {
  const undated = ['1cdc775ca98f'];
  const found = { 'undated-runs': 2, 'undated-tasks': 3 };
  const rows: [string, Counts, Counts, string[], string[], object?, string?][] = [
    ['as many as before', { 'a.dag': 2 }, { 'a.dag': 2 }, [], []],
    ['fewer', { 'a.dag': 2 }, { 'a.dag': 1 }, [], ['a.dag had 2 rows and has 1']],
    ['more', { 'a.dag': 2 }, { 'a.dag': 3 }, [], ['a.dag had 2 rows and has 3']],
    ['a table is gone that no script drops', { 'a.dag': 2 }, {}, [], ['a.dag had 2 rows and is gone']],
    ['a table is gone that one drops', { 'a.team': 2 }, {}, ['a3c7f2b18d4e'], []],
    ['one that was empty', { 'a.dag': 0 }, {}, [], []],
    ["other people's table", { 'a.theirs': 2 }, {}, [], []],
    ['emptied', { 'a.dag_code': 2 }, { 'a.dag_code': 0 }, ['2b47dc6bc8df'], []],
    [
      'not emptied',
      { 'a.dag_code': 2 },
      { 'a.dag_code': 1 },
      ['2b47dc6bc8df'],
      ['a.dag_code had 2 rows and has 1 (planned: 0)'],
    ],
    ['renamed', { 'a.asset': 2 }, { 'a.dataset': 2 }, ['05234396c6fc'], []],
    [
      'renamed, with fewer',
      { 'a.asset': 2 },
      { 'a.dataset': 1 },
      ['05234396c6fc'],
      ['a.asset had 2 rows and a.dataset, its older name, has 1'],
    ],
    ['emptied and renamed', { 'a.callback': 2 }, { 'a.callback_request': 0 }, ['e812941398f4', 'b87d2135fa50'], []],
    ['renamed and dropped', { 'a.asset_alias': 2 }, {}, ['05234396c6fc', '05e19f3176be'], []],
    ['exactly as many gone as were counted', { 'a.dag_run': 5 }, { 'a.dag_run': 3 }, undated, [], found],
    [
      'more gone than were counted',
      { 'a.dag_run': 5 },
      { 'a.dag_run': 2 },
      undated,
      ['a.dag_run had 5 rows and has 2 (planned: 3)'],
      found,
    ],
    ['rows of those that went', { 'a.xcom': 5 }, { 'a.xcom': 1 }, undated, [], found],
    [
      'rows although none went',
      { 'a.xcom': 5 },
      { 'a.xcom': 4 },
      undated,
      ['a.xcom had 5 rows and has 4'],
      { 'undated-runs': 0 },
    ],
    [
      'what could not be counted beforehand',
      { 'a.dag_run': 5 },
      { 'a.dag_run': 1 },
      undated,
      [],
      { 'undated-runs': null },
    ],
    [
      'more, where some may be gone',
      { 'a.xcom': 5 },
      { 'a.xcom': 6 },
      undated,
      ['a.xcom had 5 rows and has 6 (planned: 0 to 5)'],
      found,
    ],
    ['assets of one URI', { 'a.dataset': 5 }, { 'a.dataset': 4 }, ['0d9e73a75ee4'], [], { 'assets-of-one-uri': 1 }],
    [
      'assets of one URI on MySQL, which deletes both',
      { 'a.dataset': 5 },
      { 'a.dataset': 3 },
      ['0d9e73a75ee4'],
      [],
      { 'assets-of-one-uri': 1 },
      'mysql',
    ],
  ];
  let answers: string[][];
  beforeAll(async () => {
    answers = await judged(
      rows.map(([, before, after, crossed, , counted = {}, backend = 'postgresql']) => {
        return { before, after, crossed, counted, backend };
      }),
    );
  });
  it.each(rows.map(([name, , , , expected], at) => ({ name, expected, at })))('$name', ({ expected, at }) =>
    expect(answers[at]).toEqual(expected),
  );

  it('of 3.2.1 all scripts are in the list, with all tables that they drop', async () => {
    const folder = join(await ensureVenv('3.2.1'), '../lib/python3.11/site-packages/airflow/migrations/versions');
    for (const name of readdirSync(folder).filter((file) => /^(?!0000)\d.*\.py$/.test(file))) {
      const text = readFileSync(join(folder, name), 'utf8');
      const [, revision = name] = /^revision\s*=\s*["'](\w+)/m.exec(text) ?? [];
      expect(checked, name).toContain(revision);
      const [downgrade = ''] = text.slice(text.indexOf('\ndef downgrade(') + 1).split('\ndef ', 1);
      const dropped = [...downgrade.matchAll(/op\.drop_table\("(\w+)"\)/g)].map(([, table]) => table!);
      // The one does so on SQLite only, the other without alembic's function.
      if (revision !== '5f2621c13b39' && revision !== 'eed27faa34e3')
        expect(effects[revision]?.drops ?? [], name).toEqual(dropped);
    }
  });
});

describe('on a real database', () => {
  let stage: Stage;
  let scene: Scene;
  let runner: Runner;
  let before: Counts;
  const query = async (sql: string) => await stage.postgres.query(scene.name, sql);
  const verify = async (over: object = {}): Promise<Outcome> =>
    await scene.obey(runner, { kind: 'verify', counts: before, crossed: [], ...over });

  beforeAll(async () => {
    stage = await startStage();
    scene = await stage.scene({ DOWNDRAFT_LOCK_TIMEOUT_SECONDS: '1' });
    runner = await scene.start();
    await query('CREATE TABLE theirs AS SELECT 1 AS one');
    await query('ALTER TABLE theirs OWNER TO airflow');
    const counted = await scene.obey(runner, { kind: 'count' });
    expect(counted).toMatchObject({ ok: true, facts: [{ uncounted: {} }] });
    before = counted.facts![0]!.counts as Counts;
  }, 900_000);
  afterAll(async () => {
    stage?.clear();
    await stage?.stop();
  });

  it("counts exactly, Airflow's and FAB's tables and no others; the copy counts the same", async () => {
    expect(before).toMatchObject({ 'public.slot_pool': 1, 'public.ab_user': 0, 'public.dag': 0 });
    for (const table of ['theirs', 'alembic_version']) expect(before[`public.${table}`]).toBeUndefined();
    const copied = await scene.obey(runner, scene.copyStep());
    expect(copied.facts![0]!.counts).toEqual(before);
    const again = await scene.obey(runner, scene.copyStep());
    expect(again.facts![0]!.counts).toEqual(before);
  });

  it('finds nothing where nothing changed, whatever became of other tables', async () => {
    await query('DROP TABLE theirs');
    const facts = [{ tables: Object.keys(before).length, gone: {}, told: [] }];
    expect(await verify({ readable: true })).toMatchObject({ ok: true, facts });
  });

  it('RowsDiffer: names the tables, before and after; told only where a person has accepted it', async () => {
    await query(`INSERT INTO variable (key, val, is_encrypted) VALUES ('late', 'x', false)`);
    const [said, both] = ['public.variable had 0 rows and has 1', 'either somebody else writes to this database'];
    expect(await verify()).toMatchObject({
      ok: false,
      error: { kind: 'RowsDiffer', message: expect.stringContaining(`${said}: ${both}`) },
    });
    expect(await verify({ accept: true })).toMatchObject({ ok: true, facts: [{ told: [`accepted: ${said}`] }] });
    await query('DELETE FROM variable');
  });

  it('a revision newer than the list makes differences words, not failures', async () => {
    const counts = { ...before, 'public.dag': 7 };
    const { ok, facts } = await verify({ counts, crossed: ['fedcba987654'] });
    expect(ok).toBe(true);
    const words = facts![0]!.told as string[];
    expect(words[0]).toContain('newer than downdraft');
    expect(words[1]).toBe('public.dag had 7 rows and has 0');
    const managers = { [fabManager]: ['fedcba987654'] };
    expect(await verify({ counts: { ...before, 'public.ab_user': 7 }, managers })).toMatchObject({ ok: true });
    expect(await verify({ counts, managers })).toMatchObject({ ok: false, error: { kind: 'RowsDiffer' } });
  });

  it('a table that can not be counted in time is told, and the others are compared', async () => {
    const somebody = await stage.session(scene.name);
    await somebody.query('BEGIN; LOCK TABLE xcom');
    const { ok, facts } = await verify();
    await somebody.end();
    expect(ok).toBe(true);
    expect(facts![0]!.told).toEqual([expect.stringMatching(/^public\.xcom could not be counted: .*lock timeout/)]);
    expect(facts![0]!.tables).toBe(Object.keys(before).length - 1);
  });

  it('RowsLeftUnreadable: a row in the newer form came in after they were converted', async () => {
    await query(`INSERT INTO trigger (classpath, kwargs, created_date) VALUES ('c', '{"a": "the secret"}', now())`);
    const counts = { ...before, 'public.trigger': 1 };
    const { error } = await verify({ counts, readable: true });
    expect(error).toMatchObject({ kind: 'RowsLeftUnreadable' });
    expect(error!.message).toContain("trigger.kwargs has 1 rows that the older version can't read");
    expect(await verify({ counts })).toMatchObject({ ok: true });
    await query('DELETE FROM trigger');
  });

  it('a runner that died after the core: another one compares with what was counted before', async () => {
    await query(`INSERT INTO team (name) VALUES ('blue')`);
    const counts = { ...before, 'public.team': 1 };
    const core = { kind: 'core', toRevision: '29ce7909c52b' };
    expect(await scene.obey(runner, core)).toMatchObject({ ok: true });
    runner.child.kill('SIGKILL');
    await runner.ended();
    runner = await scene.start();
    const crossed = checked.slice(checked.indexOf('29ce7909c52b') + 1, checked.indexOf('1d6611b6ab7c') + 1).reverse();
    const last = (over = {}) => ({ kind: 'verify', counts, crossed, readable: true, ...over });
    expect(await scene.obey(runner, core, last())).toMatchObject({
      ok: true,
      facts: [null, { gone: { 'public.team': 1 }, told: [] }],
    });
    const wrong = { ...counts, 'public.log': 7 };
    expect(await scene.obey(runner, core, last({ counts: wrong }))).toMatchObject({ error: { kind: 'RowsDiffer' } });
  }, 120_000);
});
