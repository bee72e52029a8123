/** S2-14: a copy is dropped from outside, and nothing else ever is. Marks are written as src/inside/downdraft/backup/marks.py writes them. */
import { crc32 } from 'node:zlib';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CopyToDrop, dropCopy } from '../../src/database/dropcopy.ts';
import type { ConnectionSettings } from '../../src/database/url.ts';
import { pgbouncerAbsence, startPgbouncer } from './pgbouncer.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { hostAt, settingsAt } from './settings.ts';

const run = '5c0d8f0e-6f5a-4c3d-9f5e-1f2a3b4c5d6e';
const absence = await pgbouncerAbsence();

let server: Postgres;
let serial = 0;
let copy: string;

beforeAll(async () => {
  server = await startPostgres();
  await server.query('postgres', `create role airflow login createdb password 'correct-horse'`);
  await server.query('postgres', 'create database airflow owner airflow');
});

afterAll(async () => {
  await server.stop();
});

beforeEach(() => {
  copy = `downdraft_af "copy"_${++serial}`;
});

const own = (changes: Partial<ConnectionSettings> = {}, database = 'airflow') =>
  settingsAt(server.url(database, 'airflow'), changes);
const drop = (changes: Partial<CopyToDrop & { timeoutMs: number }> = {}, settings = own()) =>
  dropCopy(settings, { name: copy, run, cluster: '', timeoutMs: 20_000, ...changes });
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const is = async (name = copy) =>
  (await server.query('postgres', 'select from pg_database where datname = $1', [name])).length === 1;

async function comment(text: string, name = copy): Promise<void> {
  await server.query('postgres', `comment on database ${quoted(name)} is '${text.replaceAll("'", "''")}'`);
}

/** A database of that owner; `mark` gets its oid and answers its comment. */
async function make(mark?: (oid: string) => object, owner = 'airflow', more = ''): Promise<void> {
  await server.query('postgres', `create database ${quoted(copy)} owner ${owner} ${more}`);
  const [row] = await server.query('postgres', 'select oid::text from pg_database where datname = $1', [copy]);
  if (mark) await comment(JSON.stringify(mark(String(row!.oid))));
}

const ours = (oid: string) => ({ downdraft: run, oid, verified: '2026-11-21T12:00:00Z' });

async function kept(changes?: Partial<CopyToDrop & { timeoutMs: number }>, settings?: ConnectionSettings) {
  const outcome = await drop(changes, settings);
  if (!('kept' in outcome)) throw new Error(`not kept: ${JSON.stringify(outcome)}`);
  expect(outcome.kept).not.toContain('correct-horse');
  expect(outcome.kept).not.toContain('\n');
  return outcome.kept;
}

describe('what is ours goes', () => {
  it('a verified copy, by the login of Airflow itself; once more finds it gone', async () => {
    await make(ours);
    expect(await drop()).toEqual({ dropped: true });
    expect(await is()).toBe(false);
    expect(await drop()).toEqual({ gone: true });
  });

  it('what was put aside', async () => {
    await make((oid) => ({ downdraft: run, oid, took: { name: 'c', oid: '1', heads: {} } }));
    expect(await drop()).toEqual({ dropped: true });
  });

  it('a copy that was begun: told by its connection limit until it has a comment', async () => {
    const mark = 2 ** 30 + (crc32(`downdraft ${copy}`) % 2 ** 30);
    await make(undefined, 'airflow', `connection limit ${mark} allow_connections false`);
    expect(await drop()).toEqual({ dropped: true });
  });

  it('one that a drop which was cut short has left', async () => {
    await make(ours);
    await server.query('postgres', 'update pg_database set datconnlimit = -2 where datname = $1', [copy]);
    expect(await drop()).toEqual({ dropped: true });
  });

  it('under the role that the URL asks for', async () => {
    await server.query('postgres', `create role keeper; grant keeper to airflow with inherit false`);
    await make(ours, 'keeper');
    expect(await kept()).toMatch(/must be owner of database/);
    expect(await drop({}, own({ role: 'keeper' }))).toEqual({ dropped: true });
  });

  it('from template1 where nobody is let into postgres', async () => {
    await make(ours);
    await server.query('postgres', 'revoke connect on database postgres from public');
    try {
      expect(await drop()).toEqual({ dropped: true });
      await server.query('postgres', 'revoke connect on database template1 from public');
      await make(ours);
      expect(await kept()).toMatch(/^postgres: .*permission denied.*; template1: .*permission denied/);
    } finally {
      for (const name of ['postgres', 'template1'])
        await server.query('postgres', `grant connect on database ${name} to public`);
    }
  });
});

describe('what is not ours never does', () => {
  const strangers: [string, (oid: string) => object][] = [
    ["another run's", (oid) => ({ ...ours(oid), downdraft: 'another' })],
    ['a comment that came with a dump of a copy: another oid', () => ours('1')],
    ['a comment without oid', () => ({ downdraft: run })],
    ['a list', () => [run]],
  ];
  it.each(strangers)('%s', async (_, mark) => {
    await make(mark);
    expect(await kept()).toMatch(/^the comment on database .* does not say that this run made it; it was not touched$/);
    expect(await is()).toBe(true);
  });

  it.each(['', 'null', run, `{"downdraft": "${run}"`])('a comment that is "%s"', async (text) => {
    await make();
    await comment(text);
    expect(await kept()).toMatch(/it was not touched$/);
    expect(await is()).toBe(true);
  });

  it('no comment, and the connection limit of another name', async () => {
    await make(undefined, 'airflow', `connection limit ${2 ** 30 + 7}`);
    expect(await kept()).toMatch(/it was not touched$/);
    expect(await is()).toBe(true);
  });

  it('the database in use, also when its comment is ours and whatever the connection calls it', async () => {
    await make(ours);
    expect(await kept({}, own({}, copy))).toMatch(/is the database that the release uses now; it was not touched$/);
    expect(await is()).toBe(true);
  });

  it('nothing where the release has moved to another server: there it would only seem to be gone', async () => {
    const [row] = await server.query('postgres', 'select system_identifier::text as id from pg_control_system()');
    expect(await kept({ cluster: '7300000000000000001' })).toMatch(/uses another server by now; drop .* by hand/);
    await make(ours);
    expect(await drop({ cluster: String(row!.id) })).toEqual({ dropped: true });
  });
});

describe('what stands in the way is said', () => {
  async function session(database: string, sql = ''): Promise<Client> {
    const client = new Client({
      connectionString: server.url(encodeURIComponent(database)),
      application_name: 'psql of Ada',
    });
    await client.connect();
    if (sql) await client.query(sql);
    return client;
  }

  it('a session: who it is; it is not ended, and the copy goes when it has ended', async () => {
    await make(ours);
    const client = await session(copy);
    expect(await kept()).toMatch(
      /^still on downdraft_af "copy"_\d+: pid \d+, postgres, psql of Ada(, at 127.0.0.1)?; it is dropped once they have ended$/,
    );
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    await expect.poll(() => drop(), { timeout: 10_000, interval: 200 }).toEqual({ dropped: true });
  });

  it('no right: somebody else owns it', async () => {
    await make(ours, 'postgres');
    expect(await kept()).toMatch(/^postgres: 127\.0\.0\.1:\d+: must be owner of database/);
    expect(await is()).toBe(true);
  });

  it('it was made a template by hand', async () => {
    await make(ours, 'airflow', 'is_template true');
    expect(await kept()).toMatch(/cannot drop a template database/);
  });

  it('a runner that still copies or renames this database', async () => {
    await make(ours);
    const lock = `select pg_advisory_lock(${0x646f776e}, ${crc32('airflow') | 0})`;
    const client = await session('postgres', lock);
    expect(await kept()).toBe('a downdraft runner still copies or renames airflow');
    await client.end();
    expect(await is()).toBe(true);
  });

  it('another that holds a lock on it: not waited for without end', async () => {
    await make(ours);
    const client = await session('postgres', `begin; alter database ${quoted(copy)} connection limit 7`);
    const started = performance.now();
    expect(await kept({ timeoutMs: 2000 })).toMatch(/statement timeout|no answer within/);
    expect(performance.now() - started).toBeLessThan(4000);
    await client.query('rollback');
    await client.end();
    expect(await drop()).toEqual({ dropped: true });
  });

  it('a server that does not answer, a wrong password, a database that is gone', async () => {
    expect(await kept({}, own({ hosts: [hostAt(1)] }))).toBe('127.0.0.1:1: connection refused');
    expect(await kept({}, own({ password: () => 'Zq7-secret' }))).toMatch(/password authentication failed/);
    expect(await kept({}, own({}, 'nowhere'))).toMatch(/database nowhere does not exist$/);
  });

  it.skipIf(absence)('a pooler, in which our lock would stay', async () => {
    await make(ours);
    const { port } = new URL(server.url('postgres'));
    const users = { airflow: 'correct-horse' };
    const pooler = await startPgbouncer(Number(port), { mode: 'transaction', users });
    try {
      expect(await kept({}, settingsAt(pooler.through(server.url('airflow', 'airflow'))))).toMatch(/through a pooler/);
    } finally {
      await pooler.stop();
    }
    expect(await is()).toBe(true);
  });
});

it('leaves neither session nor lock behind', async () => {
  await make(ours);
  await drop();
  const left = `select application_name from pg_stat_activity where application_name = 'downdraft'`;
  await expect.poll(() => server.query('postgres', left), { timeout: 5000 }).toEqual([]);
});
