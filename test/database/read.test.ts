import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDatabase } from '../../src/database/read.ts';
import type { ConnectionSettings } from '../../src/database/url.ts';
import { visit } from '../../src/database/visit.ts';
import { startPostgres } from './postgres.ts';
import { hostAt, settingsAt } from './settings.ts';

const limits = { timeoutMs: 5000 };
const airflowTables = 'create table dag_run (id int); create table task_instance (id int); create table dag (id int);';
const versionTable = (table: string, ...revisions: string[]) =>
  `create table ${table} (version_num varchar(32) not null);` +
  revisions.map((revision) => `insert into ${table} values ('${revision}');`).join('');

let server: Awaited<ReturnType<typeof startPostgres>>;
let databases = 0;
const listeners: { server: Server; sockets: Socket[] }[] = [];

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(async () => {
  for (const { server: listener, sockets } of listeners) {
    for (const socket of sockets) socket.destroy();
    listener.close();
  }
  await server.stop();
});

async function run(database: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: server.url(database) });
  await client.connect();
  await client.query(sql);
  await client.end();
}

/** A new database with `sql` run in it. */
async function databaseWith(sql: string): Promise<string> {
  const name = `airflow${++databases}`;
  await server.createDatabase(name);
  await run(name, sql);
  return name;
}

async function read(sql: string, query = '', changes: Partial<ConnectionSettings> = {}) {
  return readDatabase(settingsAt(server.url(await databaseWith(sql)) + query, changes), limits);
}

async function whyUnreadable(settings: ConnectionSettings, timeoutMs = 5000): Promise<string> {
  const state = await readDatabase(settings, { timeoutMs });
  if (state.state !== 'unreadable') throw new Error(`was read: ${JSON.stringify(state)}`);
  expect(state.why).not.toContain(settings.password());
  return state.why;
}

/** A server that does with each connection what `greet` says. */
async function listen(greet: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const listener = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    greet(socket);
  }).listen(0, '127.0.0.1');
  listeners.push({ server: listener, sockets });
  await once(listener, 'listening');
  return (listener.address() as { port: number }).port;
}

describe('what is in the database', () => {
  it('S0-11: an empty database has no version table and no Airflow tables', async () => {
    expect(await read('')).toMatchObject({ state: 'read', versionTables: {}, airflowTables: false });
  });

  it('S0-15: the revision is what alembic_version holds', async () => {
    const state = await read(airflowTables + versionTable('alembic_version', '509b94a1042d'));
    expect(state).toMatchObject({ versionTables: { alembic_version: ['509b94a1042d'] }, airflowTables: true });
  });

  it('an emptied version table is told from a missing one', async () => {
    expect(await read(airflowTables + versionTable('alembic_version'))).toMatchObject({
      versionTables: { alembic_version: [] },
      airflowTables: true,
    });
    expect(await read(airflowTables)).toMatchObject({ versionTables: {}, airflowTables: true });
  });

  it('one common table name alone is not Airflow', async () => {
    expect(await read('create table log (id int)')).toMatchObject({ airflowTables: false });
  });

  it('several heads are all told', async () => {
    const state = await read(airflowTables + versionTable('alembic_version', 'bbb', 'aaa'));
    expect(state).toMatchObject({ versionTables: { alembic_version: ['aaa', 'bbb'] } });
  });

  it('S3-6, S3-7: every alembic_version% table is found, an unknown one too; one without version_num is none', async () => {
    const tables = ['alembic_version', 'alembic_version_fab', 'alembic_version_Odd"name'];
    const sql = tables.map((table, i) => versionTable(`"${table.replace('"', '""')}"`, `rev${i}`)).join('');
    const state = await read(`${airflowTables}${sql} create table alembic_versions_of_mine (id int);`);
    expect(state).toMatchObject({ state: 'read' });
    expect(state.state === 'read' && state.versionTables).toEqual({
      alembic_version: ['rev0'],
      alembic_version_fab: ['rev1'],
      'alembic_version_Odd"name': ['rev2'],
    });
  });

  it('identity: database, oid and cluster, the same when read again', async () => {
    const settings = settingsAt(server.url('postgres'));
    const state = await readDatabase(settings, limits);
    expect(state).toMatchObject({
      identity: {
        database: 'postgres',
        oid: expect.stringMatching(/^\d+$/),
        cluster: expect.stringMatching(/^\d{19}$/),
      },
    });
    expect(await readDatabase(settings, limits)).toEqual(state);
  });
});

describe('S3-11: schemas', () => {
  const inSchema = `create schema airflow; set search_path = airflow; ${airflowTables} ${versionTable('alembic_version', 'aaa')}`;
  const found = { versionTables: { alembic_version: ['aaa'] }, airflowTables: true };

  it('found by options=-csearch_path', async () => {
    expect(await read(inSchema, '?options=-csearch_path%3Dairflow')).toMatchObject(found);
    expect(await read(inSchema, '?options=-c%20search_path%3Dairflow,public')).toMatchObject(found);
  });

  it('found by AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA', async () => {
    expect(await read(inSchema, '', { schema: 'airflow' })).toMatchObject(found);
  });

  it('found by the search path of the role or database', async () => {
    const name = await databaseWith(inSchema);
    await run(name, `alter database ${name} set search_path = airflow`);
    expect(await readDatabase(settingsAt(server.url(name)), limits)).toMatchObject(found);
  });

  it('the search path decides over the setting, as it does for Alembic', async () => {
    const both = `${versionTable('alembic_version', 'public1')} ${airflowTables} ${inSchema}`;
    expect(await read(both, '', { schema: 'airflow' })).toMatchObject({
      versionTables: { alembic_version: ['public1'] },
    });
  });

  it('a schema that does not exist yet is an empty database', async () => {
    expect(await read('', '', { schema: 'airflow' })).toMatchObject({ versionTables: {}, airflowTables: false });
  });

  it('tables in a schema that the connection does not name are not taken for an empty database', async () => {
    const why = await whyUnreadable(settingsAt(server.url(await databaseWith(inSchema))));
    expect(why).toMatch(/Airflow's tables are in schema airflow, which this connection does not name/);
  });

  it('a connection that names its own schema may be empty beside another Airflow', async () => {
    const state = await read(`${inSchema}; create schema second`, '?options=-csearch_path%3Dsecond');
    expect(state).toMatchObject({ versionTables: {}, airflowTables: false });
  });
});

describe('a role with few rights', () => {
  const login = (url: string, user: string) => settingsAt(url.replace(/\/\/.*@/, `//${user}:Zq7-secret@`));

  it('an ordinary role with SELECT reads all, the identity too', async () => {
    const name = await databaseWith(airflowTables + versionTable('alembic_version', 'aaa'));
    await run(name, `create role reader login password 'Zq7-secret'; grant select on alembic_version to reader`);
    const asOwner = await readDatabase(settingsAt(server.url(name)), limits);
    expect(await readDatabase(login(server.url(name), 'reader'), limits)).toEqual(asOwner);
  });

  it('without SELECT: permission denied for the table', async () => {
    const name = await databaseWith(airflowTables + versionTable('alembic_version', 'aaa'));
    await run(name, `create role stranger login password 'Zq7-secret'`);
    const why = await whyUnreadable(login(server.url(name), 'stranger'));
    expect(why).toMatch(/^127\.0\.0\.1:\d+: permission denied for table alembic_version$/);
  });

  it('without USAGE on the schema: not taken for an empty database', async () => {
    const name = await databaseWith(airflowTables + versionTable('alembic_version', 'aaa'));
    await run(name, `create role outsider login password 'Zq7-secret'; revoke usage on schema public from public`);
    expect(await whyUnreadable(login(server.url(name), 'outsider'))).toMatch(/permission denied for schema public/);
  });

  it('where pg_control_system is revoked the cluster is not known and the rest is', async () => {
    const name = await databaseWith(airflowTables + versionTable('alembic_version', 'aaa'));
    const sql = `create role curious login password 'Zq7-secret'; grant select on alembic_version to curious;`;
    await run(name, `${sql} revoke execute on function pg_control_system() from public`);
    expect(await readDatabase(login(server.url(name), 'curious'), limits)).toMatchObject({
      versionTables: { alembic_version: ['aaa'] },
      identity: { database: name, cluster: '' },
    });
  });
});

describe('S1-15: a database that can not be read says why, in one sentence', () => {
  const at = () => settingsAt(server.url('postgres'));

  it('wrong password', async () => {
    const wrong = { ...at(), password: () => 'not-the-one' };
    expect(await whyUnreadable(wrong)).toMatch(/^127\.0\.0\.1:\d+: password authentication failed for user postgres$/);
    expect(await readDatabase({ ...at(), password: () => '' }, limits)).toMatchObject({
      why: expect.stringMatching(/: the server asks for a password and the connection has none$/),
    });
  });

  it('missing database', async () => {
    expect(await whyUnreadable({ ...at(), database: 'nowhere' })).toMatch(/: database nowhere does not exist$/);
  });

  it('refused port', async () => {
    expect(await whyUnreadable({ ...at(), hosts: [hostAt(1)] })).toBe('127.0.0.1:1: connection refused');
    expect(await whyUnreadable({ ...at(), hosts: [hostAt(1, 'localhost')] })).toBe('localhost:1: connection refused');
  });

  it('name not found, telling the names that were tried', async () => {
    const host = { host: 'pg', port: 5432, names: ['pg.air.svc.invalid', 'pg.invalid'] };
    const why = await whyUnreadable({ ...at(), hosts: [host] });
    expect(why).toMatch(
      /^pg:5432: (name not found|the name could not be resolved.*) \(tried pg\.air\.svc\.invalid, pg\.invalid\)$/,
    );
  });

  it('no TLS where it is required; prefer goes on without', async () => {
    expect(await whyUnreadable({ ...at(), encryption: 'require' })).toMatch(
      /: TLS refused: the server does not offer it$/,
    );
    expect(await readDatabase({ ...at(), encryption: 'prefer' }, limits)).toMatchObject({ state: 'read' });
    expect(await readDatabase({ ...at(), encryption: 'allow' }, limits)).toMatchObject({ state: 'read' });
  });

  it('a host that accepts and never answers: over within the deadline', async () => {
    const port = await listen(() => undefined);
    const started = performance.now();
    expect(await whyUnreadable({ ...at(), hosts: [hostAt(port)] }, 400)).toBe(
      `127.0.0.1:${port}: no answer within 0.4 s`,
    );
    expect(performance.now() - started).toBeLessThan(900);
  });

  it('a host that falls silent in the TLS handshake: over within the deadline', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.write('S')));
    const started = performance.now();
    expect(await whyUnreadable({ ...at(), hosts: [hostAt(port)] }, 400)).toMatch(/: no answer within 0\.4 s$/);
    expect(performance.now() - started).toBeLessThan(900);
  });

  it('a host that is no PostgreSQL, or hangs up', async () => {
    const web = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
    const shut = await listen((socket) => socket.destroy());
    for (const encryption of ['disable', 'prefer', 'require'] as const) {
      const toWeb = await whyUnreadable({ ...at(), encryption, hosts: [hostAt(web)] }, 1000);
      expect(toWeb).toMatch(/did not answer as PostgreSQL does|closed|reset/);
      const toShut = await whyUnreadable({ ...at(), encryption, hosts: [hostAt(shut)] }, 1000);
      expect(toShut).toMatch(/closed|reset/);
    }
  });

  it('a server that is locked up behind an exclusive lock: the statement ends, too', async () => {
    const name = await databaseWith(airflowTables + versionTable('alembic_version', 'aaa'));
    const blocker = new Client({ connectionString: server.url(name) });
    await blocker.connect();
    await blocker.query('begin; lock table alembic_version in access exclusive mode');
    expect(await whyUnreadable(settingsAt(server.url(name)), 500)).toMatch(/statement timeout/);
    await blocker.end();
  });

  it('a server that sends without end does not fill our memory', async () => {
    const header = Buffer.from([0x44, 0x7f, 0xff, 0xff, 0xff]);
    const port = await listen((socket) => {
      socket.write(header);
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65536)));
      };
      socket.on('drain', more);
      more();
    });
    expect(await whyUnreadable({ ...at(), encryption: 'disable', hosts: [hostAt(port)] })).toMatch(
      /far more than was asked/,
    );
  });

  it('malformed messages neither freeze nor end the process', async () => {
    const entered = [0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49];
    const malformed = [
      [0x45, 0, 0, 0, 7, 1, 2, 3],
      [0x4e, 0, 0, 0, 5, 1],
      [0x45, 0, 0, 0, 0],
      [...entered, 0x54, 0, 0, 0, 7, 0xff, 0xff, 1, 0x44, 0, 0, 0, 6, 0x7f, 0xff],
      [0x52, 0, 0, 0, 8, 0, 0, 0, 77],
    ];
    for (const bytes of malformed) {
      const port = await listen((socket) => socket.on('data', () => socket.write(Buffer.from(bytes))));
      const why = await whyUnreadable({ ...at(), encryption: 'disable', hosts: [hostAt(port)] }, 500);
      expect(why).toMatch(/did not answer as PostgreSQL does|no answer within|was closed/);
    }
  });

  it('a session that is ended by the administrator', async () => {
    const ended = visit(at(), limits, (ask) => ask('select pg_terminate_backend(pg_backend_pid())'));
    await expect(ended).rejects.toThrow(
      /^127\.0\.0\.1:\d+: the server says: terminating connection due to administrator/,
    );
  });

  it('a role or search path in the URL that the server refuses', async () => {
    expect(await whyUnreadable({ ...at(), role: 'nobody-there' })).toMatch(/role "nobody-there" does not exist/);
  });

  it('connect_timeout of the URL shortens ours and never lengthens it', async () => {
    const port = await listen(() => undefined);
    const hosts = [hostAt(port)];
    expect(await whyUnreadable({ ...at(), hosts, connectTimeoutMs: 300 }, 3000)).toMatch(/within 0\.3 s/);
    expect(await whyUnreadable({ ...at(), hosts, connectTimeoutMs: 9000 }, 300)).toMatch(/within 0\.3 s/);
  });
});

describe('several hosts', () => {
  it('are tried in order, refused and silent ones leaving time for the next', async () => {
    const settings = settingsAt(server.url('postgres'));
    const hosts = [hostAt(1), hostAt(await listen(() => undefined)), ...settings.hosts];
    expect(await readDatabase({ ...settings, hosts }, { timeoutMs: 1500 })).toMatchObject({ state: 'read' });
  });

  it('are all named when none answers', async () => {
    const settings = settingsAt(server.url('postgres'));
    const why = await whyUnreadable({ ...settings, hosts: [hostAt(1), hostAt(2)] });
    expect(why).toBe('127.0.0.1:1: connection refused; 127.0.0.1:2: connection refused');
  });

  it('a refused password is not tried elsewhere', async () => {
    const settings = { ...settingsAt(server.url('postgres')), password: () => 'wrong-one' };
    const why = await whyUnreadable({ ...settings, hosts: [...settings.hosts, hostAt(1)] });
    expect(why).not.toMatch(/refused/);
  });

  it('the next name of a host is tried when the first does not exist', async () => {
    const settings = settingsAt(server.url('postgres'));
    const hosts = [{ ...settings.hosts[0]!, names: ['pg.air.svc.invalid', '127.0.0.1'] }];
    expect(await readDatabase({ ...settings, hosts }, limits)).toMatchObject({ state: 'read' });
  });
});

describe('manners', () => {
  it('S3-2: nothing can be written, not even by a superuser', async () => {
    const settings = settingsAt(server.url('postgres'));
    const write = visit(settings, limits, (ask) => ask('create table downdraft_was_here (id int)'));
    await expect(write).rejects.toMatchObject({ code: '25006' });
    const returned = visit(settings, limits, (ask) => ask('set transaction read write; create table t (id int)'));
    await expect(returned).rejects.toMatchObject({ code: '25001' });
  });

  it('S1-16: a fault in our own SQL is thrown, not called unreadable', async () => {
    const settings = settingsAt(server.url('postgres'));
    await expect(visit(settings, limits, (ask) => ask('selct 1'))).rejects.toMatchObject({ code: '42601' });
    await expect(visit(settings, limits, () => Promise.reject(new TypeError('oops')))).rejects.toThrow(TypeError);
  });

  it('no session and no open transaction is left behind', async () => {
    const settings = settingsAt(server.url('postgres'));
    await readDatabase(settings, limits);
    const client = new Client({ connectionString: server.url('postgres') });
    await client.connect();
    await expect
      .poll(
        async () =>
          (await client.query(`select 1 from pg_stat_activity where application_name = 'downdraft'`)).rowCount,
      )
      .toBe(0);
    await client.end();
  });

  it('the limits hold on the server, the search path only inside the transaction', async () => {
    const settings = { ...settingsAt(server.url('postgres')), searchPath: 'pg_catalog' };
    const seen = await visit(settings, limits, (ask) =>
      ask(`select current_setting('statement_timeout') as st, current_setting('transaction_read_only') as ro,
        current_setting('search_path') as sp, current_setting('application_name') as app`),
    );
    expect(seen).toEqual([
      [{ st: expect.stringMatching(/^(5s|49\d\dms|4\d{3}ms)$/), ro: 'on', sp: 'pg_catalog', app: 'downdraft' }],
    ]);
  });
});
