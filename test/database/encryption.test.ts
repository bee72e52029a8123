import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readDatabase } from '../../src/database/read.ts';
import { type Encryption, parseDatabaseUrl } from '../../src/database/url.ts';
import { visit } from '../../src/database/visit.ts';
import { startPostgres } from './postgres.ts';
import { settingsAt } from './settings.ts';

const limits = { timeoutMs: 5000 };
let server: Awaited<ReturnType<typeof startPostgres>>;
let certificate: string;

/** A server with TLS and a certificate of its own, which nobody has signed. */
beforeAll(async () => {
  server = await startPostgres();
  const [row] = await server.query('postgres', 'show data_directory');
  const folder = String(row!.data_directory);
  const owner = await stat(folder);
  const altNames = [{ type: 2 as const, value: 'db.example' }];
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'db.example' }], {
    extensions: [{ name: 'subjectAltName', altNames }],
  });
  certificate = cert;
  for (const [file, text] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
    await writeFile(join(folder, file), text, { mode: 0o600 });
    await chown(join(folder, file), owner.uid, owner.gid);
  }
  await server.query('postgres', 'alter system set ssl = on');
  await reload(['host all all 127.0.0.1/32 scram-sha-256']);
});

afterAll(() => server.stop());

/** Puts these lines into pg_hba.conf and waits until they count. */
async function reload(lines: string[]): Promise<void> {
  const [row] = await server.query('postgres', 'show hba_file');
  // A failed test must not lock out the next one: our own queries come by plain TCP as user postgres.
  await writeFile(
    String(row!.hba_file),
    ['hostnossl postgres postgres 127.0.0.1/32 scram-sha-256', ...lines, ''].join('\n'),
  );
  const before = await loadedAt();
  await server.query('postgres', 'select pg_reload_conf()');
  await vi.waitFor(async () => expect(await loadedAt()).not.toBe(before));
}

async function loadedAt(): Promise<unknown> {
  return (await server.query('postgres', 'select pg_conf_load_time()::text as at'))[0]!.at;
}

const settings = (encryption: Encryption, database = 'postgres') => ({
  ...settingsAt(server.url(database)),
  encryption,
});

async function usesTls(encryption: Encryption, database = 'postgres'): Promise<unknown> {
  const question = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
  const [[row]] = (await visit(settings(encryption, database), limits, (ask) => ask(question))) as [[{ ssl: boolean }]];
  return row.ssl;
}

describe('a server with TLS', () => {
  it.each<[Encryption, boolean]>([
    ['disable', false],
    ['allow', false],
    ['prefer', true],
    ['require', true],
  ])('sslmode=%s: TLS %s', async (encryption, expected) => {
    expect(await usesTls(encryption)).toBe(expected);
  });

  it('a certificate that nobody we trust has signed is refused where it is to be verified', async () => {
    expect(await readDatabase(settings('verify-full'), limits)).toMatchObject({
      state: 'unreadable',
      why: expect.stringMatching(/^127\.0\.0\.1:\d+: TLS failed \([A-Z_]*SELF_SIGNED[A-Z_]*\)$/),
    });
  });
});

describe('sslmode=verify-full with sslrootcert=system', () => {
  const trusted = getCACertificates('default');
  beforeAll(() => setDefaultCACertificates([certificate]));
  afterAll(() => setDefaultCACertificates(trusted));

  const called = (host: string) => {
    const url = server.url('postgres').replace('@127.0.0.1:', `@${host}:`);
    const parsed = parseDatabaseUrl(`${url}?sslmode=verify-full&sslrootcert=system`, 'air');
    if ('unreadable' in parsed) throw new Error(parsed.unreadable);
    return { ...parsed, hosts: parsed.hosts.map((each) => ({ ...each, names: ['127.0.0.1'] })) };
  };

  it('goes on where an authority that we trust has signed for the host of the URL', async () => {
    expect(await readDatabase(called('db.example'), limits)).toMatchObject({ state: 'read' });
  });

  it('ends where the certificate is for another host', async () => {
    expect(await readDatabase(called('other.example'), limits)).toMatchObject({
      state: 'unreadable',
      why: expect.stringMatching(/^other\.example:\d+ .*TLS failed \(ERR_TLS_CERT_ALTNAME_INVALID\)$/),
    });
  });
});

describe('certificates that are files inside the pod', () => {
  it.each([
    ['sslmode=verify-ca&sslrootcert=/certs/ca.pem', /root certificate that is a file inside the pod$/],
    ['sslmode=verify-full&sslrootcert=/certs/ca.pem', /root certificate that is a file inside the pod$/],
    ['sslmode=verify-full', /root certificate that is a file inside the pod$/],
    ['sslcert=/certs/me.pem&sslkey=/certs/me.key', /client certificate, which is a file inside the pod$/],
  ])('%s: said, so that a pod is asked', (query, why) => {
    const settings = parseDatabaseUrl(`postgresql://u:p@db.example/a?${query}`, 'air');
    expect('unreadable' in settings && settings.unreadable).toMatch(why);
  });

  it('sslmode=disable needs none of them', async () => {
    const url = `${server.url('postgres')}?sslmode=disable&sslrootcert=/certs/ca.pem&sslcert=/certs/me.pem`;
    expect(await readDatabase(settingsAt(url), limits)).toMatchObject({ state: 'read' });
  });
});

describe('a server that wants it otherwise', () => {
  it('allow goes on with TLS where plain is refused; disable says so', async () => {
    await server.createDatabase('locked');
    await reload(['hostssl all all 127.0.0.1/32 scram-sha-256']);
    expect(await usesTls('allow', 'locked')).toBe(true);
    expect(await readDatabase(settings('disable', 'locked'), limits)).toMatchObject({
      why: expect.stringMatching(
        /: login refused for user postgres: no pg_hba\.conf entry .*no encryption, without TLS$/,
      ),
    });
  });

  it('prefer goes on without TLS where it is refused', async () => {
    await server.createDatabase('open');
    await reload(['hostssl postgres all 127.0.0.1/32 scram-sha-256', 'hostnossl all all 127.0.0.1/32 scram-sha-256']);
    expect(await usesTls('prefer', 'open')).toBe(false);
    expect(await readDatabase(settings('require', 'open'), limits)).toMatchObject({ state: 'unreadable' });
  });
});
