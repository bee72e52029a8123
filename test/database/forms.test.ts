/** Every form in which a release can name its PostgreSQL, read on a real one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectionOf } from '../../src/database/connection.ts';
import { readDatabase } from '../../src/database/read.ts';
import { type ConnectionSettings, parseDatabaseUrl } from '../../src/database/url.ts';
import { visit } from '../../src/database/visit.ts';
import type { ContainerSpec } from '../../src/release/model/kubernetes.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { type Standby, startStandby } from './standby.ts';

const limits = { timeoutMs: 5000 };
const conn = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';
const found = { state: 'read', versionTables: { alembic_version: ['509b94a1042d'] }, airflowTables: true };
/** All that has a meaning somewhere in a URL, in SQL or in a shell. */
const user = `air@corp:x/y'"`;
const password = `p%40@:/?#&=+ %ü$HOME`;

let server: Postgres;
let standby: Standby;
let port: number;

beforeAll(async () => {
  server = await startPostgres();
  port = Number(new URL(server.url('x')).port);
  await server.createDatabase('air');
  await server.query(
    'air',
    `create table dag_run (id int); create table task_instance (id int);
     create table alembic_version (version_num varchar(32)); insert into alembic_version values ('509b94a1042d');
     create schema apart; create table apart.alembic_version (version_num varchar(32));
     insert into apart.alembic_version values ('1d6611b6ab7c')`,
  );
  const name = `"${user.replaceAll('"', '""')}"`;
  await server.query('air', `create role ${name} login password '${password}'; grant pg_read_all_data to ${name}`);
  standby = await startStandby(server);
});

afterAll(async () => {
  await standby?.stop();
  await server?.stop();
});

/** As parsed; only what its names resolve to is this machine. */
function parsed(url: string): ConnectionSettings {
  const settings = parseDatabaseUrl(url, 'air');
  if ('unreadable' in settings) throw new Error(settings.unreadable);
  return { ...settings, hosts: settings.hosts.map((host) => ({ ...host, names: ['127.0.0.1'] })) };
}

const read = async (url: string) => await readDatabase(parsed(url), limits);
const login = 'postgres:correct-horse';

describe('forms of the URL', () => {
  it.each(['postgresql', 'postgresql+psycopg2', 'postgresql+psycopg', 'postgresql+asyncpg', 'postgres'])(
    '%s://',
    async (driver) => {
      expect(await read(`${driver}://${login}@db.example:${port}/air`)).toMatchObject(found);
    },
  );

  it.each<[string, () => string]>([
    ['all in the query', () => `postgresql://db.example:${port}/air?user=postgres&password=correct-horse`],
    ['host and port in the query', () => `postgresql://${login}@/air?host=db.example&port=${port}`],
    ['database in the query', () => `postgresql://${login}@db.example:${port}/?dbname=air`],
    ['a Service of the namespace', () => `postgresql://${login}@pg:${port}/air`],
    [
      'percent signs and all else in user and password',
      () => `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@db.example:${port}/air`,
    ],
    ['sslmode=disable', () => `postgresql://${login}@db.example:${port}/air?sslmode=disable`],
    ['sslmode=prefer, where there is no TLS', () => `postgresql://${login}@db.example:${port}/air?sslmode=prefer`],
    [
      'settings that are for libpq alone',
      () =>
        `postgresql+psycopg2://${login}@db.example:${port}/air?keepalives=1&keepalives_idle=30&application_name=airflow&gssencmode=disable&channel_binding=prefer&connect_timeout=10`,
    ],
    ['a dead host before the living one', () => `postgresql://${login}@dead.example:1,db.example:${port}/air`],
    ['the same in the query', () => `postgresql://${login}@/air?host=dead.example:1&host=db.example:${port}`],
  ])('%s', async (_, url) => {
    expect(await read(url())).toMatchObject(found);
  });

  it('options=-csearch_path: another schema', async () => {
    const url = `postgresql://${login}@db.example:${port}/air?options=-csearch_path%3Dapart`;
    expect(await read(url)).toMatchObject({ versionTables: { alembic_version: ['1d6611b6ab7c'] } });
  });
});

describe('target_session_attrs', () => {
  const at = (attributes: string) =>
    parsed(`postgresql://${login}@standby.example:${standby.port},db.example:${port}/air${attributes}`);
  const isStandby = async (settings: ConnectionSettings) =>
    (await visit(settings, limits, (ask) => ask('select pg_is_in_recovery() as it')))[0]![0]!.it;

  it.each([
    ['?target_session_attrs=read-write', false],
    ['?target_session_attrs=primary', false],
    ['?target_session_attrs=any', true],
    ['', true],
  ])('%s: a standby %s', async (attributes, expected) => {
    expect(await isStandby(at(attributes))).toBe(expected);
  });

  it('a standby answers with the same identity, and alone it is no primary', async () => {
    const [both, alone] = [at(''), at('?target_session_attrs=primary')];
    expect(await readDatabase(both, limits)).toEqual(await readDatabase(at('?target_session_attrs=primary'), limits));
    const [first] = alone.hosts;
    expect(await readDatabase({ ...alone, hosts: [first!] }, limits)).toEqual({
      state: 'unreadable',
      why: `standby.example:${standby.port} (as 127.0.0.1): a standby, and the connection wants a primary`,
    });
  });
});

describe('S0-17: from the environment of a container to the heads', () => {
  const url = () => `postgresql://${login}@pg:${port}/air`;
  const of = (spec: Omit<ContainerSpec, 'name'>): ContainerSpec => ({ name: 'scheduler', ...spec });
  const ref = (name: string, key: string) => ({ name, key });
  const objects: Record<string, () => Record<string, string>> = {
    'af-metadata': () => ({ connection: url(), SQL_ALCHEMY_CONN: url(), password: 'correct-horse' }),
    'af-config': () => ({ connection: url(), host: 'pg' }),
  };
  const lookup = { secret: (n: string) => objects[n]?.(), configMap: (n: string) => objects[n]?.() };

  it.each<[string, () => ContainerSpec]>([
    ['a value', () => of({ env: [{ name: conn, value: url() }] })],
    [
      'a key of a Secret',
      () => of({ env: [{ name: conn, valueFrom: { secretKeyRef: ref('af-metadata', 'connection') } }] }),
    ],
    [
      'a key of a ConfigMap',
      () => of({ env: [{ name: conn, valueFrom: { configMapKeyRef: ref('af-config', 'connection') } }] }),
    ],
    [
      'all of a Secret, under a prefix',
      () => of({ envFrom: [{ prefix: 'AIRFLOW__DATABASE__', secretRef: { name: 'af-metadata' } }] }),
    ],
    ['the deprecated name', () => of({ env: [{ name: 'AIRFLOW__CORE__SQL_ALCHEMY_CONN', value: url() }] })],
    [
      '$(NAME) of a Secret and a ConfigMap',
      () =>
        of({
          env: [
            { name: 'P', valueFrom: { secretKeyRef: ref('af-metadata', 'password') } },
            { name: 'H', valueFrom: { configMapKeyRef: ref('af-config', 'host') } },
            { name: conn, value: `postgresql+psycopg2://postgres:$(P)@$(H):${port}/air` },
          ],
        }),
    ],
  ])('%s', async (_, container) => {
    const connection = connectionOf(container(), lookup);
    if ('unreadable' in connection) throw new Error(connection.unreadable);
    expect(await read(connection.url)).toMatchObject(found);
  });
});
