/** PgBouncer is Airflow's own advice for Kubernetes, and a switch of the official chart (transaction pooling). */
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readDatabase } from '../../src/database/read.ts';
import { readSessions } from '../../src/database/sessions.ts';
import { visit } from '../../src/database/visit.ts';
import { type Pgbouncer, type PoolSettings, pgbouncerAbsence, startPgbouncer } from './pgbouncer.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { settingsAt } from './settings.ts';

const limits = { timeoutMs: 5000 };
const users = { postgres: 'correct-horse', stranger: 'not-known-there' };
const absence = await pgbouncerAbsence();

let server: Postgres;
let pooler: Pgbouncer | undefined;

beforeAll(async () => {
  if (absence) return;
  server = await startPostgres();
  await server.createDatabase('air');
  await server.query(
    'air',
    `create table dag_run (id int); create table task_instance (id int);
     create table alembic_version (version_num varchar(32)); insert into alembic_version values ('509b94a1042d');
     create schema apart; create table apart.alembic_version (version_num varchar(32));
     insert into apart.alembic_version values ('1d6611b6ab7c')`,
  );
});

afterEach(async () => await pooler?.stop());
afterAll(async () => await server?.stop());

async function start(mode: PoolSettings['mode'], more: string[] = []): Promise<Pgbouncer> {
  pooler = await startPgbouncer(Number(new URL(server.url('air')).port), { mode, users, more });
  return pooler;
}

async function whyUnreadable(url: string, timeoutMs = 5000): Promise<string> {
  const state = await readDatabase(settingsAt(url), { timeoutMs });
  if (state.state !== 'unreadable') throw new Error(`was read: ${JSON.stringify(state)}`);
  expect(state.why).not.toMatch(/correct-horse|not-the-one/);
  return state.why;
}

describe.skipIf(absence)(`through PgBouncer${absence ? ` (skipped: ${absence})` : ''}`, () => {
  it.each(['session', 'transaction', 'statement'] as const)(
    '%s pooling: read as without it, again and again',
    async (mode) => {
      const { through } = await start(mode);
      const direct = await readDatabase(settingsAt(server.url('air')), limits);
      expect(direct).toMatchObject({ state: 'read', versionTables: { alembic_version: ['509b94a1042d'] } });
      for (let i = 0; i < 5; i++)
        expect(await readDatabase(settingsAt(through(server.url('air'))), limits)).toEqual(direct);
    },
  );

  it.each(['session', 'transaction'] as const)('%s pooling: several look at the same time', async (mode) => {
    const { through } = await start(mode);
    const looks = Array.from({ length: 8 }, () => readDatabase(settingsAt(through(server.url('air'))), limits));
    expect(new Set((await Promise.all(looks)).map(({ state }) => state))).toEqual(new Set(['read']));
  });

  it('the search path and role of the URL count, and stay with us: the next client has its own', async () => {
    const { through } = await start('transaction');
    const apart = `${through(server.url('air'))}?options=-csearch_path%3Dapart%20-crole%3Dpg_read_all_data`;
    expect(await readDatabase(settingsAt(apart), limits)).toMatchObject({
      versionTables: { alembic_version: ['1d6611b6ab7c'] },
    });
    const next = new Client({ connectionString: through(server.url('air')) });
    await next.connect();
    const { rows } = await next.query(`select current_setting('search_path') as path, current_user::text as who,
      current_setting('statement_timeout') as wait, current_setting('transaction_read_only') as readonly`);
    expect(rows).toEqual([{ path: '"$user", public', who: 'postgres', wait: '0', readonly: 'off' }]);
    await next.end();
  });

  it('the only server connection is used again: none is spoilt, not by an error either', async () => {
    const { through } = await start('transaction');
    const settings = settingsAt(through(server.url('air')));
    const pid = async () => (await visit(settings, limits, (ask) => ask('select pg_backend_pid() as pid')))[0]![0]!.pid;
    const first = await pid();
    await expect(visit(settings, limits, (ask) => ask('select 1 / 0'))).rejects.toMatchObject({ code: '22012' });
    expect(await pid()).toBe(first);
  });

  it('the pool is busy: over within the deadline, and the place in the queue is given back', async () => {
    const { through } = await start('transaction');
    const holder = new Client({ connectionString: through(server.url('air')) });
    await holder.connect();
    await holder.query('begin');
    const began = performance.now();
    expect(await whyUnreadable(through(server.url('air')), 600)).toMatch(/no answer within|cancelled/);
    expect(performance.now() - began).toBeLessThan(1200);
    await holder.query('commit');
    expect(await readDatabase(settingsAt(through(server.url('air'))), limits)).toMatchObject({ state: 'read' });
    await holder.end();
  });

  it('S1-15: its own refusals are told in its words', async () => {
    const { through } = await start('transaction');
    const url = through(server.url('air'));
    expect(await whyUnreadable(url.replace('correct-horse', 'not-the-one'))).toMatch(
      /^127\.0\.0\.1:\d+: (password authentication failed|login refused) for user postgres/,
    );
    expect(await whyUnreadable(url.replace('postgres:correct-horse', 'nobody:not-the-one'))).toMatch(
      /: (password authentication failed|login refused) for user nobody/,
    );
    expect(await whyUnreadable(url.replace('/air', '/nowhere'))).toMatch(/database .?nowhere.? does not exist/);
    expect(await whyUnreadable(url.replace('postgres:correct-horse', 'stranger:not-known-there'))).toMatch(
      /: (login refused|password authentication failed|the server says)/,
    );
  });

  it('no TLS where the URL requires it', async () => {
    const { through } = await start('transaction');
    expect(await whyUnreadable(`${through(server.url('air'))}?sslmode=require`)).toMatch(
      /TLS refused: the server does/,
    );
  });

  it('S2-32: what the pooler keeps open after a client has gone still counts as a session, ours does not', async () => {
    const { through } = await start('transaction');
    const settings = settingsAt(through(server.url('air')));
    await readDatabase(settings, limits);
    expect(await readSessions(settings, limits)).toEqual([]);
    const scheduler = new Client({ connectionString: through(server.url('air')), application_name: 'scheduler' });
    await scheduler.connect();
    await scheduler.query('select 1');
    await scheduler.end();
    expect((await readSessions(settingsAt(server.url('air')), limits)).map(({ application }) => application)).toEqual([
      'scheduler',
    ]);
  });
});
