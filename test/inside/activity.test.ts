/**
 * What the runner sees a real server do while a statement of ours runs (S2-20, S2-32, S2-34, S2-35, S2-38): the very code of
 * the runner, without Airflow, on sessions that look like the runner's.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServerActivity } from '../../src/release/model/runner.ts';
import { type Flavour, type Mysql, mysqlAbsence, startMysql } from '../database/mysql.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { packageEnv } from '../make/inside.ts';
import { mysqlDrivers } from './mysqldrivers.ts';
import { ensureVenv } from './venv.ts';

/** Runs one statement in a session like the runner's, and prints what is seen from another one until it ends. */
const driver = `
import contextlib, json, os, threading
from downdraft.orders.activity import Activity
from downdraft.orders.blockers import blockers_of
from sqlalchemy import create_engine, event
watched, activity = create_engine(os.environ["URL"]), Activity()
@event.listens_for(watched, "connect")
def numbered(connection, _record):
    if watched.dialect.name == "mysql":
        cursor = connection.cursor()
        cursor.execute("SELECT connection_id()")
        activity.ours.add(cursor.fetchone()[0])
# As the runner's own lock: idle in a transaction.
lock, work = watched.connect(), watched.connect()
lock.exec_driver_sql("SELECT 1")
def run():
    with contextlib.suppress(Exception), work.begin():
        work.exec_driver_sql(os.environ["STATEMENT"])
thread = threading.Thread(target=run, daemon=True)
thread.start()
while thread.is_alive():
    thread.join(0.3)
    with watched.connect() as connection, connection.begin():
        blocked = blockers_of(connection, list(activity.ours))
        activity.look(connection)
    print(json.dumps({"blockedBy": blocked, "server": activity.told()}), flush=True)
`;

interface Seen {
  blockedBy: string[];
  server: ServerActivity;
}

let python: string;
let drivers: NodeJS.ProcessEnv = {};
let postgres: Postgres;
const say = (message: string) => console.log(message);
const flavours: Flavour[] = [];
for (const flavour of ['mysql', 'mariadb'] as const) {
  const absence = await mysqlAbsence(flavour, say);
  if (absence) say(`skipped: ${absence}`);
  else flavours.push(flavour);
}

/** Everything that was seen while the statement ran; ended by `enough`, else by the statement's own end. */
async function watch(url: string, statement: string, enough: (seen: Seen) => boolean = () => false): Promise<Seen[]> {
  const PYTHONPATH = [packageEnv.PYTHONPATH, drivers.PYTHONPATH ?? ''].join(':');
  const ours = { ...drivers, ...packageEnv, PYTHONPATH, PGAPPNAME: 'downdraft-runner', DOWNDRAFT_QUIET_SECONDS: '2' };
  const env = { ...process.env, ...ours };
  const child = spawn(python, ['-c', driver], { env: { ...env, URL: url, STATEMENT: statement } });
  const seen: Seen[] = [];
  let [errors, rest] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) seen.push(JSON.parse(line));
    if (seen.length > 0 && enough(seen.at(-1)!)) child.kill('SIGKILL');
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  await endLeft(url);
  if (code !== 0 && code !== null) throw new Error(errors);
  return seen;
}

/** A server goes on with a statement whose client is gone. */
async function endLeft(url: string): Promise<void> {
  if (!url.startsWith('postgresql')) return;
  const ours = `datname = 'air' AND application_name IN ('downdraft-runner', 'airflow')`;
  await postgres.query('postgres', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${ours}`);
}

const states = (seen: Seen[]) => new Set(seen.map(({ server }) => server.state));

beforeAll(async () => {
  python = join(await ensureVenv('3.2.1'), 'python');
  postgres = await startPostgres();
  await postgres.createDatabase('air');
  await postgres.query(
    'air',
    `CREATE ROLE modest LOGIN PASSWORD 'correct-horse'; CREATE ROLE other LOGIN PASSWORD 'correct-horse';
     CREATE TABLE quiet (id int); GRANT ALL ON quiet TO modest, other;
     CREATE TABLE big AS SELECT i AS id, md5(i::text) AS a FROM generate_series(1, 500000) AS i;`,
  );
}, 300_000);

afterAll(async () => await postgres?.stop());

/** Somebody's session that is left idle in a transaction after these statements. */
async function leave(user: string, ...statements: string[]): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: postgres.url('air', user), application_name: 'somebody' });
  await client.connect();
  await client.query('BEGIN');
  for (const statement of statements) await client.query(statement);
  return async () => await client.end();
}

describe('postgresql', () => {
  it('S2-32, S2-35: a long index is working, with how much of it is done and what it has written', async () => {
    // Slow enough to be seen several times, on a fast machine as well.
    const slow = `CREATE INDEX ON big (sha512(sha512(sha512(sha512(repeat(a, 40)::bytea)))), md5('a secret'))`;
    const seen = await watch(postgres.url('air'), slow);
    expect(states(seen)).toEqual(new Set(['working']));
    const told = seen.map(({ server }) => server.part).filter((part) => part !== undefined);
    expect(told[0]?.what).toMatch(/^an index of big \(.*scanning table\)$/);
    const percents = told.map(({ percent }) => percent ?? 0);
    expect(Math.max(...percents)).toBeGreaterThan(percents[0]!);
    const running = seen.findLast(({ server }) => server.statement);
    expect(running?.server).toMatchObject({
      statement: 'CREATE INDEX ON big (sha512(sha512(sha512(sha512(repeat(a, ?)::bytea)))), md5(',
    });
    expect(seen.at(-1)?.server.databaseBytes).toBeGreaterThan(1024 ** 2);
    expect(seen.at(-1)?.server.wal).toBeGreaterThan(1024 ** 2);
  }, 60_000);

  it('S2-38: a statement that does nothing is still after a while, and what it waits for is told', async () => {
    const seen = await watch(postgres.url('air'), 'SELECT pg_sleep(60)', ({ server }) => server.state === 'still');
    expect(seen.at(-1)?.server).toMatchObject({
      state: 'still',
      events: ['Timeout/PgSleep'],
      statement: 'SELECT pg_sleep(?)',
    });
    expect(seen.at(-1)?.server.quietSeconds).toBeGreaterThanOrEqual(2);
  }, 60_000);

  it.each([
    [
      'a superuser reads all of it but the values',
      'postgres',
      /^pid \d+, other, somebody, idle in transaction, transaction since 20\d\d-\d\d-\d\d \d\d:\d\d UTC, last statement: SELECT$/,
    ],
    [
      'another role reads that it is there',
      'modest',
      /^pid \d+, other, somebody, in a state that this role may not see$/,
    ],
  ])(
    'S2-32: who holds the lock is named: %s',
    async (_what, user, told) => {
      const end = await leave('other', 'LOCK TABLE quiet IN ACCESS SHARE MODE', `SELECT 'a secret', 12345`);
      const lock = 'LOCK TABLE quiet IN ACCESS EXCLUSIVE MODE';
      const seen = await watch(postgres.url('air', user), lock, ({ blockedBy }) => blockedBy.length > 0);
      expect(seen.at(-1)?.server).toMatchObject({ state: 'waiting', events: ['Lock/relation'], locksNotGranted: 1 });
      expect(seen.at(-1)?.blockedBy).toEqual([expect.stringMatching(told)]);
      expect(JSON.stringify(seen)).not.toMatch(/a secret|12345/);
      await end();
    },
    60_000,
  );

  it('not seeing our own sessions is not knowing', async () => {
    const named = `${postgres.url('air')}?application_name=airflow`;
    const seen = await watch(named, 'SELECT pg_sleep(60)', ({ server }) => server.state === 'unknown');
    expect(seen.at(-1)?.server).toMatchObject({ state: 'unknown', why: expect.stringMatching(/application_name/) });
  }, 60_000);
});

describe.each(flavours)('%s', (flavour) => {
  let mysql: Mysql;
  beforeAll(async () => {
    drivers = await mysqlDrivers(await ensureVenv('3.2.1'), say);
    mysql = await startMysql(flavour, say);
    await mysql.createDatabase('air');
    await mysql.query('air', 'CREATE TABLE quiet (id int)');
  }, 300_000);
  afterAll(async () => await mysql?.stop());

  it.each([
    ['S2-38: a statement that does nothing is still', 'SELECT sleep(60)', 'still', { statement: 'SELECT sleep(?)' }],
    [
      'S2-32: a wait for a table is waiting',
      'ALTER TABLE quiet ADD COLUMN b int',
      'waiting',
      { events: ['waiting for table metadata lock'], statement: 'ALTER TABLE quiet ADD COLUMN b int' },
    ],
  ])(
    '%s',
    async (_what, statement, state, told) => {
      const end = await mysql.hold('air', 'BEGIN; SELECT * FROM quiet');
      const seen = await watch(mysql.url('air'), statement, ({ server }) => server.state === state);
      expect(seen.at(-1)?.server).toMatchObject({ state, ...told });
      if (state === 'waiting')
        expect(seen.at(-1)?.blockedBy).toContainEqual(expect.stringMatching(/^(perhaps )?session \d+, airflow/));
      await end();
    },
    60_000,
  );

  it('S2-32: a long statement that writes is working', async () => {
    await mysql.query(
      'air',
      'CREATE TABLE big (id int PRIMARY KEY AUTO_INCREMENT, a char(200)); INSERT INTO big (a) VALUES (1)',
    );
    const doubled = Array.from({ length: 16 }, () => 'INSERT INTO big (a) SELECT sha2(a, 512) FROM big').join('; ');
    await mysql.query('air', doubled);
    const update = `UPDATE big SET a = sha2(concat(repeat(a, 200), 'a secret'), 512)`;
    const seen = await watch(mysql.url('air'), update);
    expect([...states(seen.slice(0, -1))]).toEqual(['working']);
    expect(seen[0]?.server.statement).toMatch(/^UPDATE big SET a = sha2\(concat\(repeat\(a, \?\),/);
    expect(JSON.stringify(seen)).not.toContain('a secret');
  }, 60_000);
});
