import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../cluster/run/wait.ts';
import { pgbouncerAbsence, startPgbouncer } from '../database/pgbouncer.ts';
import type { Runner } from './airflow.ts';
import { connectionSetting, heads321, runId, type Scene, type Stage, startStage } from './copies.ts';

const absence = await pgbouncerAbsence();
const canMount = process.platform === 'linux' && process.getuid?.() === 0;

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 900_000);
afterEach(() => stage.clear());
afterAll(async () => await stage?.stop());

/** A scene with one runner that has inspected. */
async function ready(): Promise<{ scene: Scene; runner: Runner }> {
  const scene = await stage.scene();
  return { scene, runner: await scene.start() };
}

const mark = async (name: string) => JSON.parse(String((await stage.database(name))?.comment));

describe('what the inspection tells of a copy', () => {
  it('is what stands in its way, each thing in a sentence, and nothing where nothing does (S2-9)', async () => {
    const { scene, runner } = await ready();
    const on = async (sql: string) => void (await stage.postgres.query(scene.name, sql));
    const possible = await scene.look(runner);
    expect(possible).toMatchObject({ possible: true, why: [], maintenance: 'postgres', strategy: 'FILE_COPY' });
    expect(possible).toMatchObject({
      others: [],
      freeBytes: null,
      notes: [expect.stringContaining('how much is free')],
    });
    expect(possible.bytes).toBeGreaterThan(5_000_000);

    const cases: [string, RegExp][] = [
      ['ALTER ROLE airflow NOCREATEDB', /airflow may not create databases/],
      [`ALTER DATABASE ${scene.name} OWNER TO postgres`, /belongs to postgres, and the role airflow is not a member/],
      ['CREATE SCHEMA sales; CREATE TABLE sales.orders (id int)', /not Airflow's are in the schemas sales/],
      ['CREATE TABLE public.payroll (id int)', /public.payroll can't be read by airflow/],
      [`CREATE SUBSCRIPTION feed CONNECTION '' PUBLICATION p WITH (connect = false)`, /subscription feed follow/],
      [`ALTER DATABASE ${scene.name} SET log_statement = 'ddl'`, /log_statement, which only a superuser may/],
      [
        `ALTER ROLE reader IN DATABASE ${scene.name} SET work_mem = '8MB'`,
        /only reader or a superuser may set work_mem/,
      ],
      ['REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC', /no other database of the server can be reached/],
    ];
    const undo = [
      'ALTER ROLE airflow CREATEDB',
      `ALTER DATABASE ${scene.name} OWNER TO airflow`,
      'DROP SCHEMA sales CASCADE',
      'DROP TABLE public.payroll',
      'ALTER SUBSCRIPTION feed SET (slot_name = NONE); DROP SUBSCRIPTION feed',
      `ALTER DATABASE ${scene.name} RESET log_statement`,
      `ALTER ROLE reader IN DATABASE ${scene.name} RESET work_mem`,
      'GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC',
    ];
    for (const [index, [sql, why]] of cases.entries()) {
      await on(sql);
      const told = await scene.look(runner);
      for (const one of undo[index]!.split('; ')) await on(one);
      expect(told, sql).toMatchObject({ possible: false, why: [expect.stringMatching(why)] });
    }
    expect((await scene.look(runner)).why).toEqual([]);
    expect(runner.printed()).not.toContain('correct-horse');
  }, 90_000);

  it.skipIf(absence !== undefined)(
    'is that a pooler is in between, which is not gone around, and the step is refused there',
    async () => {
      const port = Number(new URL(stage.postgres.url('x')).port);
      const bouncer = await startPgbouncer(port, { mode: 'transaction', users: { airflow: 'correct-horse' } });
      try {
        const url = bouncer.through(stage.postgres.url('migrated', 'airflow'));
        const scene = await stage.scene({ [connectionSetting]: url });
        const runner = await scene.start();
        expect(await scene.look(runner)).toMatchObject({
          possible: false,
          why: [expect.stringMatching(/through a pooler .*direct connection/)],
        });
        expect((await scene.obey(runner, scene.copyStep())).error?.kind).toBe('ThroughPooler');
      } finally {
        await bouncer.stop();
      }
    },
    90_000,
  );
});

describe('copy', () => {
  it('is verified, says whose it is, lets nobody else in, and is kept when ordered again (S2-9, S2-14)', async () => {
    const { scene, runner } = await ready();
    await stage.postgres.query(scene.name, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader`);
    const step = scene.copyStep({ keepUntil: '2026-12-01T00:00:00Z' });
    const first = await scene.obey(runner, step);
    expect(first).toMatchObject({ ok: true, facts: [{ name: scene.copy, tables: expect.any(Number) }] });
    expect(first.facts?.[0]?.rows).toBeGreaterThan(2);
    expect(first.facts?.[0]?.bytes).toBeGreaterThan(5_000_000);
    const made = await stage.database(scene.copy);
    const original = await stage.database(scene.name);
    expect(made).toMatchObject({ owner: 'airflow', datacl: '{airflow=CTc/airflow}' });
    expect(original).toMatchObject({ datacl: null, comment: null });
    expect(await mark(scene.copy)).toMatchObject({
      downdraft: runId,
      of: { database: scene.name, oid: original?.oid },
      oid: made?.oid,
      verified: expect.stringMatching(/^20.*Z$/),
      keepUntil: '2026-12-01T00:00:00Z',
      heads: { 'public.alembic_version': heads321.alembic_version },
    });
    const asReader = new URL(stage.postgres.url(scene.copy, 'reader'));
    await expect(stage.connects(asReader.href)).rejects.toThrow(/permission denied for database/);

    const again = await scene.obey(runner, step);
    expect(again.facts).toMatchObject([{ name: scene.copy, rows: first.facts?.[0]?.rows }]);
    expect(await stage.database(scene.copy)).toEqual(made);

    await stage.postgres.query(
      scene.name,
      `INSERT INTO slot_pool (pool, slots, include_deferred) VALUES ('p', 1, false)`,
    );
    expect((await scene.obey(runner, step)).error).toMatchObject({
      kind: 'CopyStale',
      message: expect.stringMatching(/written to after the copy/),
    });
    await stage.postgres.query(scene.copy, `DELETE FROM slot_pool`);
    expect((await scene.obey(runner, step)).error?.kind).toBe('CopyChanged');
    expect(await stage.database(scene.copy)).toEqual(made);

    // What a DROP DATABASE leaves that was cut short.
    await stage.sql('UPDATE pg_database SET datconnlimit = -2 WHERE datname = $1', scene.copy);
    expect((await scene.obey(runner, step)).ok).toBe(true);
    expect((await stage.database(scene.copy))?.oid).not.toBe(made?.oid);
    expect(runner.printed()).not.toContain('correct-horse');
  }, 90_000);

  it('is refused with the original as it was, and nothing left behind', async () => {
    const { scene, runner } = await ready();
    const databases = async () => (await stage.sql('SELECT oid, datname, datacl FROM pg_database ORDER BY 1')).length;
    await stage.sql('CREATE DATABASE somebodys OWNER airflow');
    const theirs = await stage.database('somebodys');
    const before = await databases();
    const refusal = async (over: Record<string, unknown> = {}) =>
      (await scene.obey(runner, scene.copyStep(over))).error ?? { kind: '', message: '' };
    expect((await refusal({ name: 'd'.repeat(64) })).kind).toBe('NameTooLong');
    expect((await refusal({ name: scene.name })).kind).toBe('NameTaken');
    expect((await refusal({ name: 'template1' })).kind).toBe('NameTaken');
    expect(await refusal({ name: 'somebodys' })).toMatchObject({
      kind: 'NameTaken',
      message: expect.stringContaining('not touched'),
    });
    expect(await stage.database('somebodys')).toEqual(theirs);
    await stage.sql('DROP DATABASE somebodys');

    await stage.sql('ALTER ROLE airflow NOCREATEDB');
    expect(await refusal()).toMatchObject({ kind: 'NotAllowed', message: expect.stringContaining('create database') });
    await stage.sql('ALTER ROLE airflow CREATEDB');

    const staying = await stage.session(scene.name);
    expect(await refusal()).toMatchObject({
      kind: 'SessionsRemain',
      message: expect.stringMatching(/postgres, somebody/),
    });
    await expect(staying.query('SELECT 1')).resolves.toBeDefined();
    await staying.end();

    const other = await stage.session();
    await other.query(`SELECT pg_advisory_lock(x'646f776e'::int, ${crc32(scene.name) | 0})`);
    expect((await refusal()).kind).toBe('AnotherRunner');
    await other.end();
    expect(await databases()).toBe(before - 1);
    expect((await scene.obey(runner, scene.copyStep())).ok).toBe(true);
    expect((await refusal({ run: 'run-2' })).kind).toBe('NameTaken');
  }, 90_000);

  it.skipIf(!canMount)(
    'is given up when the disk is full (S2-9)',
    async () => {
      const { scene, runner } = await ready();
      const place = await mkdtemp(join(tmpdir(), 'downdraft-full-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', place]);
      try {
        execFileSync('chown', ['postgres', place]);
        await chmod(place, 0o700);
        await stage.sql(`CREATE TABLESPACE small LOCATION '${place}'`);
        await stage.sql(`ALTER DATABASE ${scene.name} SET TABLESPACE small`);
        const { error } = await scene.obey(runner, scene.copyStep());
        expect(error).toMatchObject({ kind: 'DiskFull', message: expect.stringContaining('No space left') });
        expect(await stage.database(scene.copy)).toBeUndefined();
        const [left] = await stage.sql(`SELECT pg_tablespace_size('small')::int AS size`);
        expect(left?.size).toBeLessThan(15_000_000);
        await stage.sql(`ALTER DATABASE ${scene.name} SET TABLESPACE pg_default`);
        await stage.sql('DROP TABLESPACE small');
        expect((await scene.obey(runner, scene.copyStep())).ok).toBe(true);
      } finally {
        execFileSync('umount', ['--lazy', place]);
        await rm(place, { recursive: true, force: true });
      }
    },
    90_000,
  );

  it('is finished by another runner, wherever the first was killed (S2-9)', async () => {
    const { scene, runner } = await ready();
    const kill = async (victim: Runner) => {
      victim.child.kill('SIGKILL');
      await victim.ended();
    };
    // Before CREATE DATABASE: it waits for a session.
    const staying = await stage.session(scene.name);
    await scene.order(runner, scene.copyStep());
    await runner.file('progress.json', (p) => p.message?.includes('waits for the end of'));
    await kill(runner);
    await staying.end();
    expect(await stage.database(scene.copy)).toBeUndefined();

    // After it, before the first comment.
    const comments = await stage.holdComments();
    const second = await scene.start();
    await scene.order(second, scene.copyStep());
    await stage.waits('COMMENT ON');
    await kill(second);
    await stage.ends('COMMENT ON');
    const half = await stage.database(scene.copy);
    expect(half).toMatchObject({ comment: null, datacl: null });
    await expect(stage.connects(stage.postgres.url(scene.copy, 'airflow'))).rejects.toThrow(/not currently accepting/);

    // Before the last comment: the half one is marked and dropped, the new one made and marked.
    const third = await scene.start();
    await scene.order(third, scene.copyStep());
    for (const statement of ['COMMENT ON', 'DROP DATABASE', 'COMMENT ON']) await comments.pass(statement);
    await stage.waits('"verified"');
    await kill(third);
    await stage.ends('COMMENT ON');
    await comments.end();
    const unverified = await stage.database(scene.copy);
    expect(unverified?.oid).not.toBe(half?.oid);
    expect(await mark(scene.copy)).not.toHaveProperty('verified');

    const fourth = await scene.start();
    expect(await scene.obey(fourth, scene.copyStep())).toMatchObject({ ok: true });
    expect((await stage.database(scene.copy))?.oid).not.toBe(unverified?.oid);
    expect(await mark(scene.copy)).toHaveProperty('verified');
  }, 240_000);

  it('is given up when it is not as the original, and when another run takes over', async () => {
    const { scene, runner } = await ready();
    const comments = await stage.holdComments();
    await scene.order(runner, scene.copyStep());
    await stage.waits('COMMENT ON');
    await stage.postgres.query(
      scene.name,
      `INSERT INTO slot_pool (pool, slots, include_deferred) VALUES ('p', 1, false)`,
    );
    await comments.end();
    const result = await runner.file('result.json');
    expect(result.error).toMatchObject({
      kind: 'CopyDiffers',
      message: expect.stringContaining('public.slot_pool has 2 rows, its copy'),
    });
    expect(await stage.database(scene.copy)).toBeUndefined();

    const staying = await stage.session(scene.name);
    await scene.order(runner, scene.copyStep());
    await runner.file('progress.json', (p) => p.message?.includes('waits for the end of'));
    await scene.order(runner, scene.copyStep({ name: 'd'.repeat(64) }));
    const superseded = (times: number) => async () => runner.printed().split('Superseded').length > times;
    await waitFor('the end of the first', 10_000, superseded(1));
    await staying.end();

    // Inside CREATE DATABASE, which is cancelled.
    const blocking = await stage.session();
    await blocking.query('BEGIN; LOCK TABLE pg_database IN SHARE MODE');
    await scene.order(runner, scene.copyStep());
    await stage.waits('CREATE DATABASE');
    await scene.order(runner, scene.copyStep({ name: 'd'.repeat(64) }));
    await waitFor('the end of the second', 10_000, superseded(2));
    await blocking.end();
    expect(await stage.database(scene.copy)).toBeUndefined();
  }, 90_000);
});
