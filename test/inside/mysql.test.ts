/**
 * The runner on real MySQL and MariaDB servers with real Airflow (S2-31, S2-32): what is not as on PostgreSQL there.
 * Airflow does not support MariaDB, but people run it.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { askScript, shellCommand } from '../../src/inside/bundle.ts';
import { revisionsBetween } from '../../src/release/plan/chain.ts';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { clientPrograms } from '../database/clients.ts';
import { type Flavour, type Mysql, mysqlAbsence, startMysql } from '../database/mysql.ts';
import { airflowEnv, fabManager, type Runner, startRunner } from './airflow.ts';
import { mysqlDrivers } from './mysqldrivers.ts';
import { ensureVenv } from './venv.ts';

const core = (toRevision: string) => ({ kind: 'core', toRevision });
const fab = { kind: 'manager', class: fabManager, versionTable: 'alembic_version_fab', toRevision: '6709f7a774b9' };
const steps = [core('509b94a1042d'), fab];
const heads321 = { alembic_version: ['1d6611b6ab7c'], alembic_version_fab: ['02ca36b0235b'] };
const heads318 = { alembic_version: ['509b94a1042d'], alembic_version_fab: ['6709f7a774b9'] };

const say = (message: string) => console.log(message);
const flavours: Flavour[] = ['mysql', 'mariadb'];
const absences = new Map<Flavour, string>();
for (const flavour of flavours) {
  const absence = await mysqlAbsence(flavour, say);
  if (absence) absences.set(flavour, absence);
}

let folder: string;
let newer: string;
let older: string;
let drivers: NodeJS.ProcessEnv;
let number = 0;
const servers = new Map<Flavour, Mysql>();
const started: Runner[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-mysql-'));
  [newer, older] = [await ensureVenv('3.2.1'), await ensureVenv('3.1.8')];
  drivers = await mysqlDrivers(newer, say);
  for (const flavour of flavours) {
    const absence = absences.get(flavour);
    if (absence) say(`skipped: ${absence}`);
    else servers.set(flavour, await migrated(flavour));
  }
}, 900_000);

afterEach(() => {
  for (const runner of started.splice(0)) if (runner.child.exitCode === null) runner.child.kill('SIGKILL');
});

afterAll(async () => {
  for (const server of servers.values()) await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function migrated(flavour: Flavour): Promise<Mysql> {
  const server = await startMysql(flavour, say);
  await server.createDatabase('migrated');
  await run(join(newer, 'airflow'), ['db', 'migrate'], { env: env(server.url('migrated')) });
  return server;
}

function env(url: string, bin = newer): NodeJS.ProcessEnv {
  return { ...airflowEnv(bin, folder, url), ...drivers };
}

/** A database that 3.2.1 has migrated, and what is needed to run on it. */
async function scene(flavour: Flavour, extra: NodeJS.ProcessEnv = {}, { user = 'airflow', driver = 'mysqldb' } = {}) {
  const server = servers.get(flavour)!;
  const name = `${user}${++number}`;
  await server.copyDatabase('migrated', name);
  const url = server.url(name, user, driver as 'mysqldb');
  const start = async () => {
    const runner = await startRunner({ ...env(url), ...extra }, join(folder, `${flavour}-${name}`));
    started.push(runner);
    return runner;
  };
  const inspected = async () => {
    const runner = await start();
    return { runner, inspection: await runner.file('inspect.json') };
  };
  const query = async (sql: string) => await server.query(name, sql);
  const head = async () => (await query('SELECT version_num FROM alembic_version'))[0]?.version_num;
  const sessions = async () =>
    await query(`SELECT id, info FROM information_schema.processlist WHERE db = '${name}' AND id <> connection_id()`);
  return { server, name, url, start, inspected, query, head, sessions };
}

/** Rows in the older form, the newer one and others, without the Dags and runs that they would belong to. */
const rows = `SET foreign_key_checks = 0;
  INSERT INTO task_instance (id, task_id, dag_id, run_id, try_number, pool, pool_slots, max_tries, map_index, next_kwargs)
  VALUES ${[`'{"__var": {"a": 1}, "__type": "dict"}'`, `'{"a": "the secret"}'`, `'{}'`, `'null'`, `'[1]'`, 'NULL']
    .map((kwargs, at) => `('${String(at).padStart(32, '0')}', 't${at}', 'd', 'r', 1, 'p', 1, 0, -1, ${kwargs})`)
    .join(',')};
  INSERT INTO \`trigger\` (classpath, kwargs, created_date) VALUES
    ('c', '{"__var": {"a": 1}, "__type": "dict"}', now()), ('c', '{"a": "the secret"}', now()), ('c', 'gAAAAAother', now())`;

function withConfs(confs: string[]): string {
  const runs = confs.map((conf, at) => `('d', 'r${at}', 'manual', now(), 'success', '2026-01-0${at + 1}', '${conf}')`);
  return `INSERT INTO dag_run (dag_id, run_id, run_type, run_after, state, logical_date, conf) VALUES ${runs.join(',')}`;
}

/** Runs as the scheduler of 3.2 names them, and a Dag whose deadline stands in a table of its own. */
const namedByTheNewer = `SET foreign_key_checks = 0;
  INSERT INTO dag_run (dag_id, run_id, run_type, run_after, state, logical_date, data_interval_start, data_interval_end)
  VALUES ${[1, 2]
    .map((n) => [`2026-01-0${n}`, `2026-01-0${n + 1}`])
    .map(
      ([day, next]) =>
        `('d', 'scheduled__${next}T00:00:00+00:00', 'scheduled', '${next}', 'success', '${day}', '${day}', '${next}')`,
    )
    .join(',')};
  INSERT INTO task_instance (id, task_id, dag_id, run_id, try_number, pool, pool_slots, max_tries, map_index)
    SELECT LPAD(id, 32, '0'), 't', dag_id, run_id, 1, 'p', 1, 0, -1 FROM dag_run;
  INSERT INTO serialized_dag (id, dag_id, data, created_at, last_updated, dag_hash, dag_version_id)
    VALUES ('${id(7)}', 'd', '{"__version": 2, "dag": {"dag_id": "d", "deadline": ["${id(8)}"]}}', now(), now(), '', '${id(9)}');
  INSERT INTO deadline_alert (id, created_at, serialized_dag_id, reference, \`interval\`, callback_def)
    VALUES ('${id(8)}', now(), '${id(7)}', '{"reference_type": "DagRunQueuedAtDeadline"}', 60,
      '{"__classname__": "airflow.sdk.definitions.callback.AsyncCallback"}')`;

/** That deadline as the older version writes it, inside its Dag. */
const olderDeadline = {
  __type: 'deadline_alert',
  __var: {
    reference: { reference_type: 'DagRunQueuedAtDeadline' },
    interval: 60,
    callback: { __classname__: 'airflow.sdk.definitions.deadline.AsyncCallback' },
  },
};

describe.each(flavours.filter((flavour) => !absences.has(flavour)))('%s', (flavour) => {
  it.each(flavour === 'mysql' ? ['mysqldb', 'pymysql'] : ['mysqldb'])(
    'with %s: takes 3.2.1 back to what the older image wants, and the older image agrees',
    async (driver) => {
      const { name, url, inspected, query, sessions } = await scene(flavour, {}, { driver });
      await query(namedByTheNewer);
      const { runner, inspection } = await inspected();
      expect(inspection.database).toMatchObject({ backend: 'mysql', schema: null, versionTables: heads321 });
      expect(inspection.database.identity).toEqual({ database: name, oid: '', cluster: expect.stringMatching(/..../) });
      expect(await sessions()).toEqual([]);

      await query(`INSERT INTO team (name) VALUES ('blue')`);
      const identity = inspection.database.identity;
      await runner.order({ token: 6, run: 'rows', identity, steps: [{ kind: 'count' }] });
      const counted = await runner.file('result.json');
      expect(counted).toMatchObject({ ok: true, facts: [{ uncounted: {} }] });
      const counts = counted.facts![0]!.counts as Record<string, number>;
      expect(counts).toMatchObject({ [`${name}.slot_pool`]: 1, [`${name}.team`]: 1, [`${name}.ab_user`]: 0 });
      const crossed = revisionsBetween(inspection.core.chain, heads321.alembic_version[0]!, '509b94a1042d');
      const verify = { kind: 'verify', counts, crossed, readable: true };
      const mended = ['b87d2135fa50', '6222ce48e289', '55297ae24532'];
      const all = [{ kind: 'convert' }, ...steps, { kind: 'repair', crossed: mended }, verify];
      await runner.order({ token: 7, run: 'one', identity, steps: all });
      const done = await runner.file('result.json', ({ token }) => token === 7);
      expect(done).toMatchObject({ ok: true, versionTables: heads318 });
      expect(done.facts!.at(-1)).toMatchObject({ tables: expect.any(Number), told: [], gone: {} });
      expect(done.facts!.at(-2)).toMatchObject({ repaired: { 'dag_run.run_id': 1, 'deadline callbacks': 1 } });
      // apache/airflow#65688: the older scheduler gives its next run the id that the newer one gave its last.
      const runs = (table: string) => `SELECT run_id FROM ${table} ORDER BY run_id`;
      const freed = ['2026-01-02', '2026-01-03'].map((day) => `scheduled__${day}T00:00:00+00:00`);
      freed[1] += '__run_after';
      for (const table of ['dag_run', 'task_instance'])
        expect((await query(runs(table))).map((row) => row.run_id)).toEqual(freed);
      const [dag] = await query(`SELECT JSON_EXTRACT(data, '$.dag.deadline') AS deadline FROM serialized_dag`);
      expect(JSON.parse(dag!.deadline!)).toEqual(flavour === 'mariadb' ? null : [olderDeadline]);
      // apache/airflow#65000: MySQL's reverse script takes the numbers of new rows away, too.
      const request = `INSERT INTO callback_request (priority_weight, created_at, callback_type, callback_data)`;
      await query(`${request} VALUES (1, now(), 'c', '{}'); ${request} VALUES (1, now(), 'c', '{}')`);
      expect(await sessions()).toEqual([]);
      expect(await query(`SHOW TABLES LIKE 'downdraft%'`)).toEqual([]);
      expect(runner.printed()).not.toContain('correct-horse');
      await run(join(older, 'airflow'), ['db', 'check-migrations', '--migration-wait-timeout', '5'], {
        env: env(url, older),
      });
    },
    180_000,
  );

  it('counts the rows that 3.1 can not read, tells nothing of what is in them, and converts them', async () => {
    const { query, inspected } = await scene(flavour);
    await query(rows);
    await query(`UPDATE task_instance SET state = 'deferred', trigger_id = 1 + (task_id = 't1') WHERE task_id < 't2'`);
    const { runner, inspection } = await inspected();
    expect(inspection.triggers).toEqual([{ class: 'c', arguments: ['a'], tasks: 2, watchers: 0, callbacks: 0 }]);
    expect(inspection.rows).toMatchObject([
      { table: 'task_instance', column: 'next_kwargs', count: 2, examples: expect.arrayContaining([1, 2].map(id)) },
      { table: 'task_instance_history', count: 0 },
      { table: 'trigger', column: 'kwargs', count: 1, examples: [2], undecipherable: 1 },
    ]);
    expect(JSON.stringify(inspection) + runner.printed()).not.toContain('the secret');
    expect(inspection.rows.length).toBe(3);

    await query(`DELETE FROM \`trigger\` WHERE kwargs LIKE 'gAAAA%'`);
    const identity = inspection.database.identity;
    await runner.order({ token: 1, run: 'one', identity, steps: [{ kind: 'convert' }] });
    expect(await runner.file('result.json')).toMatchObject({
      ok: true,
      facts: [{ converted: { 'task_instance.next_kwargs': 2, 'trigger.kwargs': 1 } }],
    });
    const stored = await query(`SELECT id, next_kwargs FROM task_instance WHERE JSON_TYPE(next_kwargs) = 'OBJECT'`);
    expect(stored.map((row) => [row.id, JSON.parse(row.next_kwargs!)]).sort()).toEqual([
      [id(0), { __type: 'dict', __var: { a: 1 } }],
      [id(1), { __type: 'dict', __var: { a: 'the secret' } }],
      [id(2), { __type: 'dict', __var: {} }],
    ]);
  }, 180_000);

  it('is not led to another database of the same server; a running container names the database as the runner does', async () => {
    const [one, other] = [await scene(flavour), await scene(flavour)];
    const { inspection } = await one.inspected();
    const [command, ...args] = shellCommand(askScript());
    const { stdout } = await run(command!, args, { env: { ...env(one.url), DOWNDRAFT_ASK_SECONDS: '60' } });
    expect(JSON.parse(stdout.replace('DOWNDRAFT-DATABASE ', ''))).toMatchObject({
      ...inspection.database,
      sessions: [],
    });
    const { runner } = await other.inspected();
    await runner.order({ token: 1, run: 'one', identity: inspection.database.identity, steps });
    expect(await runner.file('result.json')).toMatchObject({ error: { kind: 'IdentityChanged' } });
    expect(await other.head()).toBe('1d6611b6ab7c');
  }, 120_000);

  it('is alone on its database, and not kept off by a runner on another one of the server', async () => {
    const { server, name, inspected } = await scene(flavour);
    const { runner, inspection } = await inspected();
    const identity = inspection.database.identity;
    const release = await server.hold(name, `SELECT GET_LOCK('downdraft ${name}', 0)`);
    await runner.order({ token: 1, run: 'one', identity, steps });
    expect(await runner.file('result.json')).toMatchObject({ error: { kind: 'AnotherRunner' } });
    await release();
    const elsewhere = await server.hold(name, `SELECT GET_LOCK('downdraft another', 0)`);
    await runner.order({ token: 2, run: 'one', identity, steps: [core('888b59e02a5b')] });
    expect(await runner.file('result.json', (r) => r.token === 2)).toMatchObject({ ok: true });
    await elsewhere();
  }, 120_000);

  it.each([
    // MariaDB's performance_schema is off unless it was asked for.
    ['airflow', flavour === 'mysql' ? /kept waiting by session \d+, airflow/ : /perhaps session \d+, airflow/] as const,
    ...(flavour === 'mysql' ? [['modest', /perhaps session \d+, modest/] as const] : []),
  ])(
    'S2-32: as %s: gives up waiting for a table that somebody reads, says for whom, and finishes under a new token',
    async (user, told) => {
      const extra = { DOWNDRAFT_LOCK_TIMEOUT_SECONDS: '3' };
      const { server, name, inspected, head } = await scene(flavour, extra, { user });
      const { runner, inspection } = await inspected();
      const identity = inspection.database.identity;
      const release = await server.hold(name, 'BEGIN; SELECT * FROM callback', user);
      await runner.order({ token: 1, run: 'one', identity, steps });
      const { error } = await runner.file('result.json');
      expect(error).toMatchObject({ kind: 'LockTimeout', revision: '1d6611b6ab7c' });
      expect(error?.message).toMatch(told);
      expect(await head()).toBe('1d6611b6ab7c');
      await release();
      await runner.order({ token: 2, run: 'one', identity, steps: [core('888b59e02a5b')] });
      expect(await runner.file('result.json', (r) => r.token === 2)).toMatchObject({ ok: true });
    },
    180_000,
  );

  it('S2-31: killed in the middle of a reverse script: the next runner says so and touches nothing', async () => {
    const { server, name, start, inspected, query, head } = await scene(flavour, {
      DOWNDRAFT_LOCK_TIMEOUT_SECONDS: '2',
    });
    const { runner, inspection } = await inspected();
    const orders = { token: 1, run: 'one', identity: inspection.database.identity, steps };
    const release = await server.hold(name, 'BEGIN; SELECT * FROM hitl_detail_history');
    await runner.order(orders);
    await runner.file('progress.json', (p) => p.blockedBy !== undefined && p.revision === 'f8c9d7e6b5a4');
    // The wait is longer than the time-out: what is half done is not given up.
    const [left] = await waitFor('the script', 20_000, async () => {
      const found = await query('SELECT *, now() - since AS waits FROM downdraft_unfinished');
      return Number(found[0]?.waits) > 3 && found;
    });
    expect(left).toMatchObject({ revision: 'f8c9d7e6b5a4', statement: expect.stringContaining('hitl_detail_history') });
    expect(Number(left?.done)).toBeGreaterThan(0);
    expect(existsSync(join(folder, `${flavour}-${name}`, 'result.json'))).toBe(false);
    runner.child.kill('SIGKILL');
    await runner.ended();
    await release();

    const next = await start();
    await next.file('inspect.json', (i) => i.at !== inspection.at);
    await next.order(orders);
    const { error } = await next.file('result.json');
    expect(error).toMatchObject({ kind: 'HalfReversed' });
    expect(error?.message).toMatch(/f8c9d7e6b5a4 is half done: \d+ statements.*restore the backup.*DROP TABLE/);
    expect(await head()).toBe('f8c9d7e6b5a4');
  }, 180_000);
});

describe.each(flavours.filter((flavour) => !absences.has(flavour)))('the dump of %s', (flavour) => {
  it('brings back every table after the schema was reversed, also when its restore was killed (S2-9)', async () => {
    const PATH = `${await clientPrograms(flavour, say)}:${newer}:/usr/bin:/bin`;
    const place = join(folder, `dumps-${flavour}`);
    await mkdir(place);
    const { server, name, start, inspected, query, head } = await scene(flavour, { PATH, DOWNDRAFT_BACKUP_DIR: place });
    await query(`INSERT INTO log (dttm, event, extra) VALUES (now(), '),(', 'a''b\\\\),(\n'), (now(), '\\'', NULL)`);
    const tables = (await query('SHOW TABLES')).map((row) => `\`${Object.values(row)[0]}\``).join(', ');
    const sums = async () => await query(`CHECKSUM TABLE ${tables}`);
    const before = await sums();
    const { runner, inspection } = await inspected();
    expect((inspection as unknown as { dump: unknown }).dump).toMatchObject({ possible: true, why: [] });
    const identity = inspection.database.identity;
    const [dump, restore] = ['dump', 'restore'].map((kind) => ({ kind, name: 'one', run: 'r' }));
    const facts = [{ name: 'one', counts: { [`${name}.log`]: 2 }, removed: [] }, null];
    await runner.order({ token: 1, run: 'r', identity, steps: [dump, core('888b59e02a5b')] });
    const dumped = await runner.file('result.json');
    expect(dumped.error).toBeUndefined();
    expect(dumped.facts).toMatchObject(facts);
    expect(await head()).toBe('888b59e02a5b');

    const release = await server.hold(name, 'BEGIN; SELECT * FROM job');
    await runner.order({ token: 2, run: 'r', identity, steps: [restore] });
    await waitFor('a drop that waits', 60_000, async () => {
      const waiting = await query(
        `SELECT info FROM information_schema.processlist WHERE state LIKE 'Waiting for %lock'`,
      );
      return waiting.some((row) => row.info?.startsWith('DROP TABLE'));
    });
    runner.child.kill('SIGKILL');
    await runner.ended();
    await release();
    expect(await head()).toBe('downdraft-is-restoring');
    const next = await start();
    await next.file('inspect.json', (i) => i.at !== inspection.at);
    for (const [token, restored] of [
      [3, true],
      [4, false],
    ] as const) {
      await next.order({ token, run: 'r', identity, steps: [restore] });
      expect(await next.file('result.json', (r) => r.token === token)).toMatchObject({
        ok: true,
        facts: [{ name: 'one', restored }],
        versionTables: heads321,
      });
    }
    expect(await sums()).toEqual(before);
    expect(next.printed() + runner.printed()).not.toContain('correct-horse');
  }, 240_000);
});

describe.skipIf(absences.has('mysql'))('mysql', () => {
  it('says at once when a reverse script has failed in its middle, and does not begin it again', async () => {
    const patience = { DOWNDRAFT_LOCK_TIMEOUT_SECONDS: '2', DOWNDRAFT_HALF_WAY_LOCK_TIMEOUT_SECONDS: '4' };
    const { server, name, inspected, head } = await scene('mysql', patience);
    const { runner, inspection } = await inspected();
    const identity = inspection.database.identity;
    const release = await server.hold(name, 'BEGIN; SELECT * FROM hitl_detail_history');
    for (const token of [1, 2]) {
      await runner.order({ token, run: 'one', identity, steps });
      const { error } = await runner.file('result.json', (r) => r.token === token);
      expect(error).toMatchObject({
        kind: 'HalfReversed',
        message: expect.stringContaining('f8c9d7e6b5a4 is half done'),
      });
    }
    await release();
    expect(await head()).toBe('f8c9d7e6b5a4');
  }, 180_000);

  it('takes 3.2.1 back to what 2.11 wants, with configurations of runs as values, not as text', async () => {
    const { inspected, query } = await scene('mysql');
    await query(withConfs(['{"a": [1, {"b": "c"}]}', '{}', 'null']));
    const { runner, inspection } = await inspected();
    const identity = inspection.database.identity;
    const repair = { kind: 'repair', crossed: ['e39a26ac59f6'] };
    await runner.order({ token: 1, run: 'one', identity, steps: [core('5f2621c13b39'), fab, repair, repair] });
    expect(await runner.file('result.json', () => true, 300_000)).toMatchObject({
      ok: true,
      versionTables: { alembic_version: ['5f2621c13b39'], alembic_version_fab: ['6709f7a774b9'] },
      facts: [null, null, { repaired: { 'dag_run.conf': 3 } }, { repaired: { 'dag_run.conf': 0 } }],
    });
    const stored = await query('SELECT hex(conf) AS conf FROM dag_run ORDER BY id');
    const read = `import json, pickle, sys; print(json.dumps([pickle.loads(bytes.fromhex(h)) for h in sys.argv[1:]]))`;
    const args = ['-c', read, ...stored.map(({ conf }) => conf!)];
    const { stdout } = await run(join(older, 'python'), args, { env: env('') });
    expect(JSON.parse(stdout)).toEqual([{ a: [1, { b: 'c' }] }, {}, null]);
  }, 480_000);
});

it.skipIf(absences.has('mariadb'))(
  'MariaDB does not take a statement of the way below 3.0, and a person reads which',
  async () => {
    const { inspected } = await scene('mariadb');
    const { runner, inspection } = await inspected();
    const identity = inspection.database.identity;
    await runner.order({ token: 1, run: 'one', identity, steps: [core('5f2621c13b39'), fab] });
    const { error } = await runner.file('result.json');
    expect(error).toMatchObject({ kind: 'HalfReversed', revision: '0d9e73a75ee4' });
    expect(error?.message).toMatch(
      /error in your SQL syntax.*0d9e73a75ee4 is half done.*with unique_dataset.*restore the backup.*DROP TABLE/s,
    );
  },
  240_000,
);

function id(n: number): string {
  return String(n).padStart(32, '0');
}
