import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readDatabase } from '../../src/database/read.ts';
import type { Encryption } from '../../src/database/url.ts';
import { visit } from '../../src/database/visit.ts';
import { startPostgres } from './postgres.ts';
import { settingsAt } from './settings.ts';

const limits = { timeoutMs: 5000 };
let server: Awaited<ReturnType<typeof startPostgres>>;

/** A server with TLS and a certificate of its own, which nobody has signed. */
beforeAll(async () => {
  server = await startPostgres();
  const [row] = await server.query('postgres', 'show data_directory');
  const folder = String(row!.data_directory);
  const owner = await stat(folder);
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'db.example' }]);
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
