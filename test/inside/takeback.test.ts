import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Runner } from './airflow.ts';
import { heads321, type Scene, type Stage, startStage } from './copies.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 900_000);
afterEach(() => stage.clear());
afterAll(async () => await stage?.stop());

/** A scene whose database was copied. */
async function copied(): Promise<{ scene: Scene; runner: Runner }> {
  const scene = await stage.scene();
  const runner = await scene.start();
  expect(await scene.obey(runner, scene.copyStep())).toMatchObject({ ok: true });
  return { scene, runner };
}

/** Stands for any change after the copy was made. */
async function change({ name }: Scene): Promise<void> {
  await stage.postgres.query(name, `DELETE FROM slot_pool`);
}

const pools = async (name: string) => (await stage.postgres.query(name, 'SELECT FROM slot_pool')).length;

/** Who may what, and what is set, of a database; without what its own oid or name is in. */
async function circumstances(name: string) {
  const [row] = await stage.sql(
    `SELECT datconnlimit, datallowconn, shobj_description(d.oid, 'pg_database') AS comment,
       (SELECT array_agg(concat(grantee::regrole, ' ', privilege_type, ' ', is_grantable) ORDER BY grantee, privilege_type)
          FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))) AS grants,
       (SELECT array_agg(concat(setrole, ' ', setconfig) ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)
          AS settings
     FROM pg_database d WHERE datname = $1`,
    name,
  );
  return row;
}

describe('takeBack', () => {
  it('puts the copy in the place of the reversed database, with all that a copy does not carry (S2-39)', async () => {
    const { scene, runner } = await copied();
    for (const sql of [
      `REVOKE CONNECT ON DATABASE ${scene.name} FROM PUBLIC`,
      `GRANT CONNECT ON DATABASE ${scene.name} TO reader WITH GRANT OPTION`,
      `ALTER DATABASE ${scene.name} CONNECTION LIMIT 77`,
      `COMMENT ON DATABASE ${scene.name} IS 'the metadata''s 100% "home": x'`,
      `ALTER DATABASE ${scene.name} SET search_path TO "$user", public, "Odd, one"`,
      `ALTER DATABASE ${scene.name} SET "downdraft.odd" TO 'a ''b'', "c" = d%'`,
      'GRANT SET ON PARAMETER "downdraft.odd" TO airflow',
      `ALTER DATABASE ${scene.name} SET lock_timeout TO '25s'`,
      `ALTER ROLE airflow IN DATABASE ${scene.name} SET work_mem TO '8MB'`,
    ])
      await stage.sql(sql);
    const before = await circumstances(scene.name);
    const original = await stage.database(scene.name);
    const copy = await stage.database(scene.copy);
    expect((await scene.obey(runner, { kind: 'core', toRevision: '509b94a1042d' })).ok).toBe(true);

    const taken = await scene.obey(runner, scene.takeBackStep());
    expect(taken).toMatchObject({
      ok: true,
      versionTables: heads321,
      facts: [
        {
          name: scene.copy,
          aside: scene.aside,
          versionTables: heads321,
          notCarried: [],
          identity: { database: scene.name, oid: copy?.oid },
        },
      ],
    });
    expect(await circumstances(scene.name)).toEqual(before);
    expect(await stage.database(scene.copy)).toBeUndefined();
    const aside = await stage.database(scene.aside);
    expect(aside).toMatchObject({ oid: original?.oid, datacl: '{airflow=CTc/airflow}' });
    expect(JSON.parse(String(aside?.comment))).toMatchObject({ took: { name: scene.copy, oid: copy?.oid } });
    expect(await stage.postgres.query(scene.aside, 'SELECT * FROM alembic_version')).toEqual([
      { version_num: '509b94a1042d' },
    ]);
    await expect(stage.connects(stage.postgres.url(scene.aside, 'reader'))).rejects.toThrow(/permission denied/);
    await stage.connects(stage.postgres.url(scene.name, 'reader'));

    const again = await scene.obey(runner, scene.takeBackStep());
    expect(again).toEqual({ ...taken, token: expect.any(Number), run: expect.any(String), seconds: expect.any(Array) });
    expect(await stage.database(scene.aside)).toEqual(aside);

    const next = await scene.start();
    expect(await next.file('inspect.json')).toMatchObject({ database: { identity: { oid: copy?.oid } } });
    expect(runner.printed()).not.toContain('correct-horse');
  }, 90_000);

  it('goes on without what this role may not give, and says so', async () => {
    const { scene, runner } = await copied();
    await stage.sql(`ALTER DATABASE ${scene.name} SET log_statement = 'ddl'`);
    await stage.sql(`ALTER ROLE reader IN DATABASE ${scene.name} SET work_mem = '8MB'`);
    await stage.sql(`ALTER DATABASE ${scene.name} SET statement_timeout = '77s'`);
    const taken = await scene.obey(runner, scene.takeBackStep());
    expect(taken.facts?.[0]?.notCarried).toEqual([
      'work_mem for reader: permission denied to alter role',
      'log_statement: permission denied to set parameter "log_statement"',
    ]);
    expect((await circumstances(scene.name))?.settings).toEqual(['0 {statement_timeout=77s}']);
  }, 60_000);

  it('is done wholly or not at all, wherever the runner is killed (S2-39)', async () => {
    const { scene, runner } = await copied();
    await change(scene);
    const before = [await stage.database(scene.name), await stage.database(scene.copy)];
    // Between the renames: the row of the copy is being changed by somebody else.
    const somebody = await stage.session();
    await somebody.query(`BEGIN; ALTER DATABASE ${scene.copy} CONNECTION LIMIT 5`);
    await scene.order(runner, scene.takeBackStep());
    await stage.waits(`RENAME TO "${scene.name}"`);
    runner.child.kill('SIGKILL');
    await runner.ended();
    await stage.ends('RENAME TO');
    await somebody.query('ROLLBACK');
    expect([await stage.database(scene.name), await stage.database(scene.copy)]).toEqual(before);

    // After the renames, before the end of the transaction: comments can't be written.
    const comments = await stage.holdComments();
    const second = await scene.start();
    await scene.order(second, scene.takeBackStep());
    await stage.waits('COMMENT ON');
    second.child.kill('SIGKILL');
    await second.ended();
    await stage.ends('COMMENT ON');
    await comments.end();
    expect([await stage.database(scene.name), await stage.database(scene.copy)]).toEqual(before);

    const third = await scene.start();
    expect(await scene.obey(third, scene.takeBackStep())).toMatchObject({ ok: true, versionTables: heads321 });
    expect([await pools(scene.name), await pools(scene.aside)]).toEqual([1, 0]);
  }, 240_000);

  it('finds out what a person has renamed by hand, and does the rest', async () => {
    const { scene, runner } = await copied();
    await stage.sql(`ALTER DATABASE ${scene.name} CONNECTION LIMIT 77`);
    await stage.sql(`ALTER DATABASE ${scene.name} RENAME TO ${scene.aside}`);
    expect(await scene.obey(runner, scene.takeBackStep())).toMatchObject({ ok: true, versionTables: heads321 });
    expect(await stage.database(scene.name)).toMatchObject({ datconnlimit: 77, comment: null });
    expect(await stage.database(scene.aside)).toMatchObject({ comment: expect.stringContaining('took') });
  }, 60_000);

  it('is refused, with both databases as they were, when it can not be done (S2-39)', async () => {
    const { scene, runner } = await copied();
    const refusal = async (over: Record<string, unknown> = {}) =>
      (await scene.obey(runner, scene.takeBackStep(over))).error ?? { kind: '', message: '' };
    const before = [await stage.database(scene.name), await stage.database(scene.copy)];
    for (const place of [scene.name, scene.copy]) {
      const session = await stage.session(place);
      const { kind, message } = await refusal();
      expect([kind, message]).toEqual(['SessionsRemain', expect.stringMatching(/somebody.*Nothing was changed/)]);
      await session.end();
    }
    await stage.sql('CREATE DATABASE somebodys OWNER airflow');
    expect((await refusal({ aside: 'somebodys' })).kind).toBe('NameTaken');
    expect((await refusal({ aside: 'd'.repeat(64) })).kind).toBe('NameTooLong');
    expect((await refusal({ name: 'somebodys' })).kind).toBe('NoCopy');
    expect((await refusal({ run: 'run-2' })).kind).toBe('NoCopy');
    await stage.sql('DROP DATABASE somebodys');
    expect([await stage.database(scene.name), await stage.database(scene.copy)]).toEqual(before);

    await change({ ...scene, name: scene.copy });
    expect((await refusal()).kind).toBe('CopyChanged');
    await stage.sql(`COMMENT ON DATABASE ${scene.copy} IS NULL`);
    expect((await refusal()).kind).toBe('NoCopy');
    expect(await stage.database(scene.name)).toEqual(before[0]);
  }, 90_000);
});

describe('dropCopy', () => {
  it('drops a copy, finished or not, and what was put aside, and nothing else (S2-14)', async () => {
    const { scene, runner } = await copied();
    const drop = async (name: string) => await scene.obey(runner, { kind: 'dropCopy', name });
    await stage.sql('CREATE DATABASE somebodys OWNER airflow');
    // A comment that came along with a dump and restore names another oid.
    await stage.sql(`DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE somebodys IS %L',
      (SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '${scene.copy}')); END $$`);
    expect((await drop('somebodys')).error).toMatchObject({ kind: 'NotOurs' });
    expect((await drop(scene.name)).error).toMatchObject({ kind: 'NameTaken' });
    expect(await stage.database('somebodys')).toBeDefined();

    const session = await stage.session(scene.copy);
    expect((await drop(scene.copy)).error?.kind).toBe('SessionsRemain');
    await session.end();
    expect((await drop(scene.copy)).facts).toEqual([{ name: scene.copy, dropped: true }]);
    expect((await drop(scene.copy)).facts).toEqual([{ name: scene.copy, dropped: false }]);
    expect(await stage.database(scene.copy)).toBeUndefined();

    const limit = 2 ** 30 + (crc32(`downdraft ${scene.copy}`) % 2 ** 30);
    await stage.sql(`CREATE DATABASE ${scene.copy} OWNER airflow CONNECTION LIMIT ${limit}`);
    expect((await drop(scene.copy)).facts).toEqual([{ name: scene.copy, dropped: true }]);
    await scene.obey(runner, scene.copyStep());
    expect((await scene.obey(runner, scene.takeBackStep())).ok).toBe(true);
    // Under the identity from before the return, as the plan has it.
    expect((await drop(scene.aside)).facts).toEqual([{ name: scene.aside, dropped: true }]);
    expect((await drop(scene.name)).error).toMatchObject({ kind: 'NameTaken' });
    expect(await pools(scene.name)).toBe(1);
  }, 60_000);
});
