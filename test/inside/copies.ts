/** A stage for the tests of copying: a real server, Airflow databases of an ordinary role, real runners on them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { airflowEnv, type Runner, startRunner } from './airflow.ts';
import { ensureVenv } from './venv.ts';

export const heads321 = { alembic_version: ['1d6611b6ab7c'], alembic_version_fab: ['02ca36b0235b'] };
export const runId = 'run-1';
export const connectionSetting = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';

type Step = Record<string, unknown>;
type Row = Record<string, unknown>;

/** What a runner says of its orders. */
export interface Outcome {
  ok: boolean;
  error?: { kind: string; message: string };
  facts?: (Record<string, unknown> | null)[];
}

/** The part `copy` of an inspection. */
export interface Described {
  possible: boolean;
  why: string[];
  [name: string]: unknown;
}

/** One database, and the steps that concern it. */
export interface Scene {
  name: string;
  copy: string;
  aside: string;
  copyStep(over?: Step): Step;
  takeBackStep(over?: Step): Step;
  /** A further runner on it, beside or after the others; it has inspected. */
  start(extra?: NodeJS.ProcessEnv): Promise<Runner>;
  /** Orders steps, and waits for nothing. */
  order(runner: Runner, ...steps: Step[]): Promise<void>;
  /** Orders steps and waits for the result. */
  obey(runner: Runner, ...steps: Step[]): Promise<Outcome>;
  /** Makes a runner inspect once more. */
  look(runner: Runner): Promise<Described>;
}

export interface Stage {
  postgres: Postgres;
  /** A database that 3.2.1 has migrated as the role airflow, which owns it and may create databases. */
  scene(extra?: NodeJS.ProcessEnv): Promise<Scene>;
  /** One statement as superuser, on the database postgres. */
  sql(statement: string, ...parameters: unknown[]): Promise<Row[]>;
  /** A session that stays until it is ended. */
  session(database?: string): Promise<pg.Client>;
  /** What the server says of a database; undefined when there is none. */
  database(name: string): Promise<Row | undefined>;
  /** Waits until a runner's statement with this text waits for a lock. */
  waits(text: string): Promise<void>;
  /** Waits until no statement of a runner with this text is left. */
  ends(text: string): Promise<void>;
  /** Keeps comments on databases from being written; `pass` lets the one through that waits, and no other. */
  holdComments(): Promise<{ pass(text: string): Promise<void>; end(): Promise<void> }>;
  /** Connects by a URL and ends; throws what the server says. */
  connects(url: string): Promise<void>;
  /** Ends all runners and sessions. */
  clear(): void;
  stop(): Promise<void>;
}

const databaseSql = `SELECT oid::text, datname, pg_get_userbyid(datdba) AS owner, datconnlimit, datacl::text,
  shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1`;
const runningSql = `SELECT FROM pg_stat_activity WHERE application_name = 'downdraft-runner' AND strpos(query, $1) > 0`;
const waitingSql = `${runningSql} AND wait_event_type = 'Lock'`;
const holdSql = 'BEGIN; LOCK TABLE pg_shdescription IN SHARE MODE';
const askedSql = `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
  WHERE relation = to_regclass($1) AND NOT granted AND application_name = 'somebody'`;

type Until = (what: string, query: string, text: string, some: boolean) => Promise<void>;

/** Starts the server and migrates a database (about 15 s). */
export async function startStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-copies-'));
  const newer = await ensureVenv('3.2.1');
  const postgres = await startPostgres();
  const sql: Stage['sql'] = async (statement, ...parameters) => await postgres.query('postgres', statement, parameters);
  await migrate(postgres, newer, folder);
  const runners: Runner[] = [];
  const sessions: pg.Client[] = [];
  let scenes = 0;
  const scene: Stage['scene'] = async (extra = {}) => {
    const name = `air${++scenes}`;
    await sql(`CREATE DATABASE ${name} TEMPLATE migrated OWNER airflow`);
    const env = { ...airflowEnv(newer, folder, postgres.url(name, 'airflow')), DOWNDRAFT_SESSIONS_SECONDS: '2' };
    return sceneOf(name, { ...env, ...extra }, join(folder, name), runners);
  };
  const session: Stage['session'] = async (database = 'postgres') => {
    const client = new pg.Client({ connectionString: postgres.url(database), application_name: 'somebody' });
    client.on('error', () => {});
    await client.connect();
    sessions.push(client);
    return client;
  };
  const until: Until = async (what, query, text, some) =>
    void (await waitFor(what, 30_000, async () => (await sql(query, text)).length > 0 === some, 20));
  const waits: Stage['waits'] = async (text) => await until(`a runner that waits in ${text}`, waitingSql, text, true);
  const clear = () => {
    for (const runner of runners.splice(0)) if (runner.child.exitCode === null) runner.child.kill('SIGKILL');
    for (const client of sessions.splice(0)) void client.end().catch(() => {});
  };
  const stop = async () => {
    clear();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return {
    postgres,
    scene,
    sql,
    session,
    database: async (name) => (await sql(databaseSql, name))[0],
    waits,
    ends: async (text) => await until(`the end of ${text}`, runningSql, text, false),
    holdComments: async () => await holdComments(session, waits, until),
    connects: async (url) => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.end();
    },
    clear,
    stop,
  };
}

async function migrate(postgres: Postgres, bin: string, home: string): Promise<void> {
  for (const role of ['airflow LOGIN CREATEDB', 'reader LOGIN'])
    await postgres.query('postgres', `CREATE ROLE ${role} PASSWORD 'correct-horse'`);
  await postgres.query('postgres', 'CREATE DATABASE migrated OWNER airflow');
  const env = airflowEnv(bin, home, postgres.url('migrated', 'airflow'));
  await run(join(bin, 'airflow'), ['db', 'migrate'], { env });
}

async function holdComments(session: Stage['session'], waits: Stage['waits'], until: Until) {
  let holder = await session();
  await holder.query(holdSql);
  const pass = async (text: string) => {
    await waits(text);
    // Locks are had in the order in which they are asked for.
    const next = await session();
    const held = next.query(holdSql);
    await until('the next to hold', askedSql, 'pg_shdescription', true);
    await holder.end();
    await held;
    holder = next;
  };
  return { pass, end: async () => await holder.end() };
}

function sceneOf(name: string, env: NodeJS.ProcessEnv, folder: string, runners: Runner[]): Scene {
  const [copy, aside] = [`downdraft_${name}`, `downdraft_aside_${name}`];
  const folders = new Map<Runner, string>();
  let token = 0;
  let pinned: { database: string; oid: string; cluster: string } | undefined;
  const start: Scene['start'] = async (extra = {}) => {
    const place = join(folder, `${folders.size}`);
    const runner = await startRunner({ ...env, ...extra }, place);
    folders.set(runner, place);
    runners.push(runner);
    // As the plan pins it: by the first look.
    pinned ??= (await runner.file('inspect.json')).database.identity;
    return runner;
  };
  const order: Scene['order'] = async (runner, ...steps) => {
    await runner.file('inspect.json');
    token += 1;
    await runner.order({ token, run: `${runId}/${token}`, identity: pinned, steps });
  };
  const obey: Scene['obey'] = async (runner, ...steps) => {
    await order(runner, ...steps);
    return (await runner.file('result.json', (r) => r.token === token)) as Outcome;
  };
  const look: Scene['look'] = async (runner) => {
    const mark = String(Math.random());
    await writeFile(join(folders.get(runner)!, 'look'), mark);
    const inspection = await runner.file('inspect.json', (i) => i.look === mark);
    return (inspection as unknown as { copy: Described }).copy;
  };
  return {
    name,
    copy,
    aside,
    copyStep: (over = {}) => ({ kind: 'copy', name: copy, run: runId, ...over }),
    takeBackStep: (over = {}) => ({ kind: 'takeBack', name: copy, aside, run: runId, ...over }),
    start,
    order,
    obey,
    look,
  };
}
