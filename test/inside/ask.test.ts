import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/cluster/client/client.ts';
import { askPod } from '../../src/cluster/exec/ask-pod.ts';
import { readDatabase } from '../../src/database/read.ts';
import { askScript, shellCommand } from '../../src/inside/bundle.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { startFakeKubelet } from '../cluster-client/kubelet.ts';
import { pgbouncerAbsence, startPgbouncer } from '../database/pgbouncer.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { settingsAt } from '../database/settings.ts';
import { airflowEnv } from './airflow.ts';
import { type AirflowVersion, ensureVenv } from './venv.ts';

const conn = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';
const secret = 'Zq7 secret/word';
const encoded = encodeURIComponent(secret);
const tables = (...revisions: string[]) =>
  `create table dag_run (id int); create table task_instance (id int); create table alembic_versions_of_mine (id int);
   create table alembic_version (version_num varchar(32) not null);
   ${revisions.map((revision) => `insert into alembic_version values ('${revision}');`).join('')}`;
const found = { versionTables: { alembic_version: ['509b94a1042d'] }, airflowTables: true };

const absence = await pgbouncerAbsence();

let postgres: Postgres;
let folder: string;
let newer: string;
let older: string;
let homes = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-ask-'));
  [newer, older] = [await ensureVenv('3.2.1'), await ensureVenv('3.1.8')];
  postgres = await startPostgres();
  await postgres.createDatabase('air');
  await postgres.query('air', tables('509b94a1042d'));
  await postgres.query(
    'air',
    `create role airflow login password '${secret}'; grant select on alembic_version to airflow`,
  );
}, 900_000);

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

const url = (database = 'air') => postgres.url(database).replace(/\/\/.*@/, `//airflow:${encoded}@`);

/** An environment of a pod, with files in its home folder, and no connection unless one is given. */
async function pod(
  set: NodeJS.ProcessEnv,
  files: Record<string, string> = {},
  bin = newer,
): Promise<NodeJS.ProcessEnv> {
  const home = join(folder, `home${++homes}`);
  for (const [name, text] of Object.entries({ '.made': '', ...files })) {
    await mkdir(join(home, name, '..'), { recursive: true });
    await writeFile(join(home, name), text);
  }
  return { ...airflowEnv(bin, home, ''), [conn]: undefined, PYTHONPATH: home, ...set };
}

interface Told {
  answer: Record<string, unknown> & { error?: string; kind?: string };
  code: number | null;
  printed: string;
  seconds: number;
}

/** Runs the program as exec would, with an input that never ends. */
async function ask(env: NodeJS.ProcessEnv, seconds = 30): Promise<Told> {
  const [command, ...args] = shellCommand(askScript());
  const began = performance.now();
  const child = spawn(command!, args, { env: { ...env, DOWNDRAFT_ASK_SECONDS: String(seconds) } });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text) => {
      printed[name] += text;
    });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const line = /^DOWNDRAFT-DATABASE (.*)\n$/.exec(printed.stdout)?.[1];
  if (!line) throw new Error(`not one line: ${printed.stdout}\n${printed.stderr}`);
  return { answer: JSON.parse(line), code, printed: line, seconds: (performance.now() - began) / 1000 };
}

const why = async (env: NodeJS.ProcessEnv, seconds?: number) => {
  const { answer, code, printed } = await ask(env, seconds);
  expect(code === 0).toBe(false);
  expect(printed).not.toMatch(/Zq7|correct-horse/);
  return answer.error;
};

describe('what the outside reads, a running pod reads as well', () => {
  it.each<AirflowVersion>(['3.2.1', '3.1.8'])('%s: heads, tables and identity, field by field', async (version) => {
    const bin = version === '3.2.1' ? newer : older;
    const outside = await readDatabase(settingsAt(postgres.url('air')), { timeoutMs: 5000 });
    const { answer, code } = await ask(await pod({ [conn]: url() }, {}, bin));
    expect({ state: 'read', ...answer }).toMatchObject(outside);
    expect(answer).toMatchObject({ backend: 'postgresql', schema: 'public', sessions: [] });
    expect(code).toBe(0);
  });

  it('through exec, as askPod asks', async () => {
    const kubelet = await startFakeKubelet(folder);
    const client = connect({ kubeconfig: kubelet.kubeconfig });
    const env = Object.entries(await pod({ [conn]: url() })).flatMap(([n, v]) =>
      v === undefined ? [] : [`${n}=${v}`],
    );
    const program = ['env', ...env, ...shellCommand(askScript())];
    const asked = await askPod(client, 'air', 'scheduler-0', 'scheduler', 20_000, program);
    expect(asked).toMatchObject({ database: { state: 'read', ...found }, backend: 'postgresql', sessions: [] });
    client.close();
    await kubelet.stop();
  });

  it('sessions of others, without downdraft', async () => {
    const clients = ['scheduler', 'downdraft', 'downdraft-runner'].map(
      (name) => new Client({ connectionString: postgres.url('air'), application_name: name }),
    );
    for (const client of clients) await client.connect();
    const { answer } = await ask(await pod({ [conn]: url() }));
    expect(answer.sessions).toEqual([
      { pid: expect.any(Number), user: 'postgres', application: 'scheduler', client: '', state: '' },
    ]);
    for (const client of clients) await client.end();
  });

  it('several heads, an emptied table, an empty database, a role that may not read the cluster', async () => {
    const cases: [string, string, object][] = [
      ['several', tables('bbb', 'aaa'), { versionTables: { alembic_version: ['aaa', 'bbb'] }, airflowTables: true }],
      ['emptied', tables(), { versionTables: { alembic_version: [] }, airflowTables: true }],
      ['blank', 'create table log (id int)', { versionTables: {}, airflowTables: false }],
      ['modest', 'revoke execute on function pg_control_system() from public', { identity: { cluster: '' } }],
    ];
    for (const [name, sql, expected] of cases) {
      await postgres.createDatabase(name);
      await postgres.query(name, `${sql}; grant select on all tables in schema public to airflow`);
      expect((await ask(await pod({ [conn]: url(name) }))).answer).toMatchObject(expected);
      const made = await postgres.query(name, `select count(*)::int as n from pg_class where relname = 'ab_user'`);
      expect(made).toEqual([{ n: 0 }]);
    }
  }, 60_000);
});

describe('the connection is resolved by Airflow itself', () => {
  const connectArgs = `args = {"options": "-csearch_path=apart"}`;
  const backend = `from airflow.secrets import BaseSecretsBackend
class Vault(BaseSecretsBackend):
    def get_config(self, key):
        return {"database/url": "${'URL'}"}.get(key)`;
  const login = `from sqlalchemy import event
from sqlalchemy.engine import Engine
@event.listens_for(Engine, "do_connect")
def token(dialect, record, positional, named):
    named["password"] = "${secret}"`;

  it.each<[string, () => Promise<NodeJS.ProcessEnv>]>([
    ['_CMD', () => pod({ [`${conn}_CMD`]: 'cat url.txt' }, { 'url.txt': url() })],
    [
      '_SECRET',
      () =>
        pod(
          { [`${conn}_SECRET`]: 'database/url', AIRFLOW__SECRETS__BACKEND: 'vault_of_mine.Vault' },
          { 'vault_of_mine.py': backend.replace('URL', url()) },
        ),
    ],
    [
      'airflow.cfg, where a percent sign is doubled',
      () => pod({}, { 'airflow.cfg': `[database]\nsql_alchemy_conn = ${url().replaceAll('%', '%%')}\n` }),
    ],
    [
      'a login of the local settings, as for cloud tokens',
      () => pod({ [conn]: url().replace(`:${encoded}`, '') }, { 'config/airflow_local_settings.py': login }),
    ],
    [
      'engine arguments that only fit a pool',
      () =>
        pod({
          [conn]: url(),
          AIRFLOW__DATABASE__SQL_ALCHEMY_ENGINE_ARGS: '{"pool_timeout": 7, "pool_use_lifo": true}',
        }),
    ],
    [
      'what a plugin prints beside it',
      () => pod({ [conn]: url() }, { 'config/airflow_local_settings.py': 'print("noise")' }),
    ],
  ])('%s', async (_, environment) => {
    const env = await environment();
    const relative = env[`${conn}_CMD`] && { [`${conn}_CMD`]: `cat ${env.HOME}/url.txt` };
    expect((await ask({ ...env, ...relative })).answer).toMatchObject(found);
  });

  it.skipIf(absence)(`PgBouncer, transaction pooling${absence ? ` (skipped: ${absence})` : ''}`, async () => {
    const users = { airflow: secret };
    const pooler = await startPgbouncer(Number(new URL(postgres.url('air')).port), { mode: 'transaction', users });
    expect((await ask(await pod({ [conn]: pooler.through(url()) }))).answer).toMatchObject(found);
    await pooler.stop();
  });

  it('S3-11: a schema, by the setting and by connect arguments; the search path decides', async () => {
    await postgres.createDatabase('apart');
    await postgres.query('apart', `create schema apart; set search_path = apart; ${tables('509b94a1042d')}`);
    await postgres.query(
      'apart',
      'grant usage on schema apart to airflow; grant select on all tables in schema apart to airflow',
    );
    const set = { [conn]: url('apart'), AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA: 'apart' };
    expect((await ask(await pod(set))).answer).toMatchObject({ ...found, schema: 'apart' });
    const args = { [conn]: url('apart'), AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS: 'connect_args_of_mine.args' };
    expect((await ask(await pod(args, { 'connect_args_of_mine.py': connectArgs }))).answer).toMatchObject({
      ...found,
      schema: 'apart',
    });
    await postgres.query(
      'apart',
      `set search_path = public; ${tables('aaa')}; grant select on alembic_version to airflow`,
    );
    const both = await ask(await pod(set));
    expect(both.answer).toMatchObject({ versionTables: { alembic_version: ['aaa'] }, airflowTables: true });
  }, 30_000);
});

describe('the environment is that of the Airflow that runs there', () => {
  /** A process that looks like Airflow's, in this environment, until `act` is done. */
  async function beside<T>(env: NodeJS.ProcessEnv, act: () => Promise<T>, runner = false): Promise<T> {
    const script = join(env.HOME!, runner ? 'downdraft' : 'airflow');
    await writeFile(script, 'import time\nprint("ready", flush=True)\ntime.sleep(300)');
    const process = spawn(join(newer, 'python'), [script, 'scheduler'], { env });
    try {
      await new Promise((resolve) => process.stdout.once('data', resolve));
      if (runner) await writeFile(join(env.HOME!, 'pid'), String(process.pid));
      return await act();
    } finally {
      process.kill('SIGKILL');
    }
  }

  it('what an entry point has added counts', async () => {
    const env = await pod({});
    const told = await beside({ ...env, [conn]: url() }, () => ask(env));
    expect(told.answer).toMatchObject(found);
    const other = await beside({ ...env, [conn]: url() }, () => ask({ ...env, [conn]: url('nowhere') }));
    expect(other.answer).toMatchObject(found);
  });

  it('in a copy, where no Airflow runs, it is that of the runner, which the command line of the container has started', async () => {
    const env = await pod({});
    const copy = { ...env, DOWNDRAFT_DIR: env.HOME };
    expect((await beside({ ...env, [conn]: url() }, () => ask(copy), true)).answer).toMatchObject(found);
    expect((await ask(copy)).answer).toHaveProperty('error');
  });

  it('another Airflow, with a home of its own, does not', async () => {
    const [env, stranger] = [await pod({ [conn]: url() }), await pod({ [conn]: url('nowhere') })];
    expect((await beside(stranger, () => ask(env))).answer).toMatchObject(found);
  });

  it('told nothing, Airflow would take an SQLite of its own: nobody runs on that', async () => {
    const env = await pod({}, { 'airflow.db': '' });
    expect(await why(env)).toMatch(/^no database is named in this container, and no Airflow runs here on its default/);
    expect((await beside(env, () => ask(env))).answer).toMatchObject({ backend: 'sqlite', versionTables: {} });
  });
});

describe('S3-1: SQLite', () => {
  it('is read, and not one byte of it changed', async () => {
    const file = join(folder, 'airflow.db');
    const make = `import sqlite3; c = sqlite3.connect("${file}"); c.executescript("""${tables('509b94a1042d')}""")`;
    const env = await pod({ [conn]: `sqlite:///${file}` });
    await new Promise((resolve) => spawn(join(newer, 'python'), ['-c', make]).once('close', resolve));
    const sum = async () =>
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
    const before = await sum();
    const { answer } = await ask(env);
    expect(answer).toMatchObject({ ...found, backend: 'sqlite', identity: { database: file, oid: '', cluster: '' } });
    expect(answer).not.toHaveProperty('sessions');
    expect(await sum()).toBe(before);
    expect(existsSync(`${file}-wal`)).toBe(false);
  });

  it('that is not there is not made', async () => {
    const file = join(folder, 'none.db');
    expect(await why(await pod({ [conn]: `sqlite:///${file}` }))).toBe(`the SQLite file ${file} does not exist`);
    expect(existsSync(file)).toBe(false);
  });
});

describe('S1-15: what goes wrong is one sentence in time, and no secret', () => {
  it.each<[string, () => Promise<NodeJS.ProcessEnv>, RegExp]>([
    ['a wrong password', () => pod({ [conn]: url().replace(encoded, 'Zq7wrong') }), /password authentication failed/],
    ['nobody there', () => pod({ [conn]: `postgresql://u:${encoded}@127.0.0.1:1/d` }), /Connection refused/],
    [
      'a URL that SQLAlchemy can not parse',
      () => pod({ [conn]: `postgresql:/u:${encoded}@h/d` }),
      /[Cc]ould not parse/,
    ],
    ['a driver that is missing', () => pod({ [conn]: `mysql+gone://u:${encoded}@h/d` }), /mysql\.gone/],
    [
      'a command that fails and prints',
      () => pod({ [`${conn}_CMD`]: `sh -c "echo Zq7; echo Zq7 >&2; exit 7"` }),
      /^a command of the configuration ended with 7$/,
    ],
    [
      'local settings that fail',
      () =>
        pod(
          { [conn]: url() },
          { 'config/airflow_local_settings.py': `raise ValueError("token=${secret.slice(0, 3)}x")` },
        ),
      /^token=\*\*\*$/,
    ],
    [
      'a role that may not read the table',
      () => pod({ [conn]: url('locked') }),
      /permission denied for table alembic_version/,
    ],
    [
      'a role that may not look into the schema',
      () => pod({ [conn]: url('closed') }),
      /permission denied for schema public/,
    ],
  ])('%s', async (_, environment, sentence) => {
    for (const [name, sql] of Object.entries({ locked: '', closed: 'revoke usage on schema public from public' })) {
      const there = await postgres.query('postgres', 'select 1 from pg_database where datname = $1', [name]);
      if (there.length > 0) continue;
      await postgres.createDatabase(name);
      await postgres.query(name, `${tables('aaa')}; ${sql}`);
    }
    expect(await why(await environment())).toMatch(sentence);
  });

  it('a command that never ends is ended with us', async () => {
    const mark = join(folder, 'slow.sh');
    await writeFile(mark, `#!/bin/sh\necho $$ > ${mark}.pid\nexec sleep 600\n`);
    await chmod(mark, 0o755);
    expect(await why(await pod({ [`${conn}_CMD`]: mark }), 4)).toBe('no answer within 4 s');
    const pid = Number(await readFile(`${mark}.pid`, 'utf8'));
    const isAlive = async () => /^State:\s+[^Z]/m.test(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''));
    await waitFor('its end', 5000, async () => !(await isAlive()));
  });

  it('a server that accepts and never answers', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const began = performance.now();
    expect(await why(await pod({ [conn]: `postgresql://u:${encoded}@127.0.0.1:${port}/d` }), 4)).toMatch(
      /timeout expired|no answer within 4 s/,
    );
    expect(performance.now() - began).toBeLessThan(6000);
    silent.close();
  });

  it('a version table that is locked: the statement ends on the server, too', async () => {
    const blocker = new Client({ connectionString: postgres.url('air') });
    await blocker.connect();
    await blocker.query('begin; lock table alembic_version in access exclusive mode');
    expect(await why(await pod({ [conn]: url() }), 4)).toMatch(/statement timeout|no answer within 4 s/);
    await waitFor('the end of its session', 5000, async () => {
      const sql = `select 1 from pg_stat_activity where datname = 'air' and application_name = 'downdraft'`;
      return (await postgres.query('postgres', sql)).length === 0;
    });
    await blocker.end();
  });

  it('writing is refused on PostgreSQL', async () => {
    const local = `from sqlalchemy import event
from sqlalchemy.engine import Engine
@event.listens_for(Engine, "before_cursor_execute")
def write(connection, cursor, statement, *rest):
    if "alembic_version" in statement:
        cursor.execute("create table downdraft_was_here (id int)")`;
    const env = await pod({ [conn]: postgres.url('air') }, { 'config/airflow_local_settings.py': local });
    expect(await why(env)).toMatch(/cannot execute CREATE TABLE in a read-only transaction/);
  });
});
