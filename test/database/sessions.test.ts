import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSessions } from '../../src/database/sessions.ts';
import { startPostgres } from './postgres.ts';
import { hostAt, settingsAt } from './settings.ts';

const limits = { timeoutMs: 5000 };
let server: Awaited<ReturnType<typeof startPostgres>>;
const clients: Client[] = [];

beforeAll(async () => {
  server = await startPostgres();
  await server.createDatabase('airflow');
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await server.stop();
});

async function session(application: string, database = 'airflow', url = server.url(database)): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: application });
  await client.connect();
  clients.push(client);
  return client;
}

describe('sessions on the database', () => {
  it('S2-32: those of clients on this database, oldest first, without our own', async () => {
    await session('scheduler');
    const triggerer = await session('triggerer');
    await triggerer.query('begin');
    await session('downdraft-runner');
    await session('downdraft');
    await session('elsewhere', 'postgres');
    const found = await readSessions(settingsAt(server.url('airflow')), limits);
    expect(found.map(({ application, state }) => [application, state])).toEqual([
      ['scheduler', 'idle'],
      ['triggerer', 'idle in transaction'],
    ]);
    expect(found[0]).toMatchObject({ user: 'postgres', client: '127.0.0.1', pid: expect.any(Number) });
  });

  it('those of another role are seen by an ordinary role as well', async () => {
    const admin = await session('downdraft-runner');
    await admin.query(`create role airflow login password 'Zq7-secret'`);
    const url = server.url('airflow').replace(/\/\/.*@/, '//airflow:Zq7-secret@');
    const found = await readSessions(settingsAt(url), limits);
    expect(found.map(({ application, user, state }) => [application, user, state])).toEqual([
      ['scheduler', 'postgres', ''],
      ['triggerer', 'postgres', ''],
    ]);
  });

  it('more names can be left out', async () => {
    const except = { applications: [`it's mine`, 'scheduler'] };
    const found = await readSessions(settingsAt(server.url('airflow')), { ...limits, except });
    expect(found.map(({ application }) => application)).toEqual(['triggerer']);
  });

  it('S1-15: not being able to look is no empty list', async () => {
    const settings = { ...settingsAt(server.url('airflow')), hosts: [hostAt(1)] };
    await expect(readSessions(settings, limits)).rejects.toThrow('127.0.0.1:1: connection refused');
  });
});
