/**
 * Counting before and comparing after, by the steps `count` and `verify` of a real runner on a real PostgreSQL (S4-4,
 * S4-13). What is foreseen by rows.json alone is in src/inside/tests; test/matrix shows that it is true of 13 pairs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textInside } from '../make/inside.ts';
import { fabManager, type Runner } from './airflow.ts';
import { type Outcome, type Scene, type Stage, startStage } from './copies.ts';
import { ensureVenv } from './venv.ts';

const { checked, effects } = JSON.parse(textInside('downdraft/steps/rows.json')) as {
  checked: string[];
  effects: Record<string, { drops?: string[] }>;
};

type Counts = Record<string, number>;

describe('the list of effects', () => {
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
