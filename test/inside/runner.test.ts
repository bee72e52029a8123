import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { askScript, shellCommand } from '../../src/inside/bundle.ts';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { airflowEnv, fabManager, type Runner, startRunner } from './airflow.ts';
import { ensureVenv } from './venv.ts';

const steps = [
  { kind: 'core', toRevision: '509b94a1042d' },
  { kind: 'manager', class: fabManager, versionTable: 'alembic_version_fab', toRevision: '6709f7a774b9' },
];
const heads321 = { alembic_version: ['1d6611b6ab7c'], alembic_version_fab: ['02ca36b0235b'] };
const heads318 = { alembic_version: ['509b94a1042d'], alembic_version_fab: ['6709f7a774b9'] };

let postgres: Postgres;
let folder: string;
let newer: string;
let older: string;
let number = 0;
const started: Runner[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-runner-'));
  [newer, older] = [await ensureVenv('3.2.1'), await ensureVenv('3.1.8')];
  postgres = await startPostgres();
  await postgres.createDatabase('migrated');
  await run(join(newer, 'airflow'), ['db', 'migrate'], { env: airflowEnv(newer, folder, postgres.url('migrated')) });
}, 900_000);

afterEach(() => {
  for (const runner of started.splice(0)) if (runner.child.exitCode === null) runner.child.kill('SIGKILL');
});

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A database that 3.2.1 has migrated, and what is needed to run on it. */
async function scene(extra: NodeJS.ProcessEnv = {}) {
  const name = `air${++number}`;
  await postgres.query('postgres', `CREATE DATABASE ${name} TEMPLATE migrated`);
  const env = { ...airflowEnv(newer, folder, postgres.url(name)), ...extra };
  const dir = join(folder, name);
  const start = async (at = dir) => {
    const runner = await startRunner(env, at);
    started.push(runner);
    return runner;
  };
  const inspected = async () => {
    const runner = await start();
    return { runner, inspection: await runner.file('inspect.json') };
  };
  const heads = async () => ({
    alembic_version: (await postgres.query(name, 'SELECT version_num FROM alembic_version')).map((r) => r.version_num),
    alembic_version_fab: (await postgres.query(name, 'SELECT version_num FROM alembic_version_fab')).map(
      (r) => r.version_num,
    ),
  });
  const sessions = async () =>
    (await postgres.query('postgres', 'SELECT application_name FROM pg_stat_activity WHERE datname = $1', [name])).map(
      (row) => row.application_name,
    );
  /** Another session that keeps the reverse scripts waiting at serialized_dag; answers how to end it. */
  const block = async () => {
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: postgres.url(name), application_name: 'somebody' });
    await client.connect();
    await client.query('BEGIN; LOCK TABLE serialized_dag IN ACCESS SHARE MODE');
    return async () => await client.end();
  };
  return { name, env, dir, start, inspected, heads, sessions, block };
}

/** A company's own manager, which takes a table of core for its own. */
const claiming = `
from airflow.providers.fab.auth_manager.models.db import FABDBManager
from sqlalchemy import MetaData, Table

class Manager(FABDBManager):
    metadata = MetaData()
    version_table_name = "alembic_version_claiming"

Table("log", Manager.metadata)
Table("company", Manager.metadata)
`;

describe('runner', () => {
  it('S3-9: tells which tables of core a manager takes for its own', async () => {
    await writeFile(join(folder, 'claiming.py'), claiming);
    const extra = { AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS: 'claiming.Manager', PYTHONPATH: folder };
    const { inspection } = await (await scene(extra)).inspected();
    const told = inspection.managers.map((m) => [m.class, m.coreTables]);
    expect(Object.fromEntries(told)).toEqual({ [fabManager]: [], 'claiming.Manager': ['log'] });
  });

  it('takes 3.2.1 back to what the older image wants, and the older image agrees', async () => {
    const { name, inspected, heads, sessions } = await scene();
    const { runner, inspection } = await inspected();
    expect(inspection.database).toMatchObject({
      backend: 'postgresql',
      schema: 'public',
      versionTables: heads321,
      airflowTables: true,
    });
    expect(inspection.core.chain[0]).toEqual({ revision: '1d6611b6ab7c', down: '888b59e02a5b', version: '3.2.0' });
    expect(inspection.managers).toMatchObject([
      { class: fabManager, command: 'fab-db', canDowngrade: true, coreTables: [] },
    ]);
    expect(await sessions()).toEqual([]);

    await runner.order({ token: 7, run: 'one', identity: inspection.database.identity, steps });
    const result = await runner.file('result.json');
    expect(result).toMatchObject({ token: 7, run: 'one', ok: true, versionTables: heads318 });
    expect(await runner.read('progress.json')).toMatchObject({
      token: 7,
      step: 1,
      steps: 2,
      kind: 'manager',
      done: 1,
      of: 1,
    });
    expect(await heads()).toEqual(heads318);
    expect(await sessions()).toEqual([]);
    expect(runner.printed()).not.toContain('correct-horse');
    expect(await runner.stop()).toBe(0);

    const env = airflowEnv(older, folder, postgres.url(name));
    await run(join(older, 'airflow'), ['db', 'check-migrations', '--migration-wait-timeout', '5'], { env });
  }, 180_000);

  it("told of no database it makes none of its own: what Airflow takes by default is nobody's", async () => {
    const { inspected } = await scene({ AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: undefined });
    const { runner, inspection } = await inspected();
    expect(inspection.error).toMatch(
      /^no database is named in this container, and no Airflow runs here on its default/,
    );
    expect(await runner.ended()).toBe(1);
    expect(existsSync(join(folder, 'airflow.db'))).toBe(false);
  });

  it('is what an exec beside it asks by, where the spec of the pod alone names no database', async () => {
    const { env, dir, inspected } = await scene();
    const { inspection } = await inspected();
    const spec = { ...env, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: undefined, DOWNDRAFT_DIR: dir };
    const [command, ...args] = shellCommand(askScript());
    const { stdout } = await run(command!, args, { env: spec });
    expect(JSON.parse(stdout.replace('DOWNDRAFT-DATABASE ', ''))).toMatchObject({
      identity: inspection.database.identity,
      versionTables: heads321,
    });
  }, 90_000);

  it('answers the same orders once, and ignores a lower token', async () => {
    const { inspected, heads } = await scene();
    const { runner, inspection } = await inspected();
    const identity = inspection.database.identity;
    const one = [{ kind: 'core', toRevision: '888b59e02a5b' }];
    await runner.order({ token: 7, run: 'one', identity, steps: one });
    const first = await runner.file('result.json');
    await runner.order({ token: 6, run: 'stale', identity, steps });
    await waitFor('the refusal', 5000, () => runner.printed().includes('token 6 is lower than 7'));
    await runner.order({ token: 7, run: 'one', identity, steps });
    expect(await runner.read('result.json')).toEqual(first);
    // Done already: the same target under a higher token is a result of its own, with nothing reversed.
    await runner.order({ token: 8, run: 'one', identity, steps: one });
    expect(await runner.file('result.json', (r) => r.token === 8)).toMatchObject({ ok: true });
    expect(await runner.read('progress.json')).toMatchObject({ done: 0, of: 0 });
    expect((await heads()).alembic_version).toEqual(['888b59e02a5b']);
  }, 60_000);

  it.each([
    ['another database', { identity: { oid: '1' } }, 'IdentityChanged'],
    ['half a revision id', { steps: [{ kind: 'core', toRevision: '509b' }] }, 'UnknownRevision'],
    ['everything away', { steps: [{ kind: 'core', toRevision: 'base' }] }, 'UnknownRevision'],
    [
      'a class that is no manager',
      { steps: [{ kind: 'manager', class: 'os.path', toRevision: 'a' }] },
      'UnknownManager',
    ],
  ])(
    'does nothing when ordered for %s',
    async (_what, wrong, kind) => {
      const { inspected, heads } = await scene();
      const { runner, inspection } = await inspected();
      const identity = { ...inspection.database.identity, ...('identity' in wrong ? wrong.identity : {}) };
      await runner.order({ token: 1, run: 'one', identity, steps: 'steps' in wrong ? wrong.steps : steps });
      const result = await runner.file('result.json');
      expect(result).toMatchObject({ ok: false, error: { kind, step: 0 }, versionTables: heads321 });
      expect(await heads()).toEqual(heads321);
    },
    60_000,
  );

  it('is finished by another runner after a kill in the middle of core', async () => {
    const { dir, inspected, start, block, heads, sessions } = await scene();
    const { runner, inspection } = await inspected();
    const orders = { token: 3, run: 'one', identity: inspection.database.identity, steps };
    const unblock = await block();
    await runner.order(orders);
    const stuck = await runner.file('progress.json', (p) => p.blockedBy !== undefined);
    expect(stuck).toMatchObject({ step: 0, kind: 'core', of: 22, blockedBy: [expect.stringContaining('somebody')] });
    expect(stuck.done).toBeGreaterThan(0);
    expect(stuck.blockedBy?.[0]).toMatch(
      /idle in transaction, transaction since .* UTC, last statement: BEGIN; LOCK TABLE/,
    );
    const { server } = await runner.file('progress.json', (p) => p.server?.state === 'waiting');
    expect(server).toMatchObject({ events: ['Lock/relation'], statement: expect.stringContaining('ALTER TABLE') });
    runner.child.kill('SIGKILL');
    await runner.ended();
    const noticed = async () => !(await sessions()).includes('downdraft-runner');
    await waitFor('the server ends its statement', 20_000, noticed);
    await unblock();
    expect((await heads()).alembic_version).toEqual([stuck.revision]);

    const next = await start();
    await next.file('inspect.json', (i) => i.at !== inspection.at);
    expect(existsSync(join(dir, 'orders.json'))).toBe(false);
    await next.order(orders);
    expect(await next.file('result.json')).toMatchObject({ token: 3, ok: true, versionTables: heads318 });
    expect(next.printed()).toContain(`${stuck.revision} -> `);
  }, 120_000);

  it('S2-31: a server that ends its connections in the middle of core is a failure that may pass', async () => {
    const { name, inspected, block } = await scene();
    const { runner, inspection } = await inspected();
    const unblock = await block();
    await runner.order({ token: 1, run: 'one', identity: inspection.database.identity, steps });
    await runner.file('progress.json', (p) => p.blockedBy !== undefined);
    const ours = `datname = '${name}' AND application_name = 'downdraft-runner'`;
    await postgres.query('postgres', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${ours}`);
    const { error } = await runner.file('result.json');
    // As failure.ts knows it.
    expect(error).toMatchObject({ kind: 'OperationalError', message: expect.stringContaining('connection') });
    await unblock();
  }, 60_000);

  it('gives up waiting for a lock, says for whom, and finishes under a new token', async () => {
    const { inspected, block } = await scene({ DOWNDRAFT_LOCK_TIMEOUT_SECONDS: '3' });
    const { runner, inspection } = await inspected();
    const unblock = await block();
    await runner.order({ token: 1, run: 'one', identity: inspection.database.identity, steps });
    const { error } = await runner.file('result.json');
    expect(error).toMatchObject({
      kind: 'LockTimeout',
      step: 0,
      message: expect.stringMatching(/serialized_dag.*somebody/s),
    });
    await unblock();
    await runner.order({ token: 2, run: 'one', identity: inspection.database.identity, steps });
    expect(await runner.file('result.json', (r) => r.token === 2)).toMatchObject({ ok: true });
  }, 60_000);

  it('takes a higher token of the same run while it works, and ends before the next revision for another run', async () => {
    const { inspected, block, heads } = await scene();
    const { runner, inspection } = await inspected();
    const identity = inspection.database.identity;
    const unblock = await block();
    await runner.order({ token: 1, run: 'one', identity, steps });
    await runner.file('progress.json', (p) => p.blockedBy !== undefined);
    await runner.order({ token: 2, run: 'two', identity, steps: [{ kind: 'core', toRevision: '509b94a1042d' }] });
    await runner.file('progress.json', (p) => p.newer === 'two');
    await unblock();
    // S2-20: after the revision that ran, not after all of core; the database is at a whole revision.
    await waitFor('the end of the first', 20_000, () => runner.printed().includes('Superseded'));
    expect(runner.printed()).toMatch(/"kind": "Superseded".*"step": 0/);
    expect(await runner.file('result.json', (r) => r.run === 'two')).toMatchObject({ token: 2, ok: true });
    expect(await heads()).toEqual({ ...heads318, alembic_version_fab: ['02ca36b0235b'] });
  }, 60_000);

  it('ends at once on SIGTERM inside a statement, and the statement is rolled back', async () => {
    const { inspected, block, heads } = await scene();
    const { runner, inspection } = await inspected();
    const unblock = await block();
    await runner.order({ token: 1, run: 'one', identity: inspection.database.identity, steps });
    const stuck = await runner.file('progress.json', (p) => p.blockedBy !== undefined);
    runner.child.kill('SIGTERM');
    expect(await runner.ended()).toBe(143);
    expect(await runner.read('result.json')).toBeUndefined();
    await unblock();
    expect((await heads()).alembic_version).toEqual([stuck.revision]);
  }, 60_000);

  it('does not share its folder, nor its database, with another runner', async () => {
    const { name, dir, inspected, start } = await scene();
    const { runner, inspection } = await inspected();
    const second = await start(dir);
    expect(await second.ended()).toBe(3);
    expect(second.printed()).toContain(`process ${runner.child.pid}`);

    const key = BigInt(`0x${Buffer.from('downdraf').toString('hex')}`);
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: postgres.url(name) });
    await client.connect();
    await client.query(`SELECT pg_advisory_lock(${key})`);
    await runner.order({ token: 1, run: 'one', identity: inspection.database.identity, steps });
    expect(await runner.file('result.json')).toMatchObject({
      error: { kind: 'AnotherRunner' },
      versionTables: heads321,
    });
    await client.end();
  }, 60_000);

  it('says why it can not inspect, without the password', async () => {
    const { start, env } = await scene();
    env.AIRFLOW__DATABASE__SQL_ALCHEMY_CONN = postgres.url('no_such_database');
    const runner = await start();
    expect(await runner.ended()).toBe(1);
    const error = (await runner.read('inspect.json'))?.error;
    expect(error).toContain('no_such_database');
    expect(runner.printed() + error).not.toContain('correct-horse');
  }, 60_000);
});
