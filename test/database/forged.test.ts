/**
 * Whoever may write a workload writes its URL, and we read it with our own rights on our own machine. Whatever it says:
 * no file of ours is opened, no socket of ours is dialled.
 *
 * A FIFO tells without a spy: opening it for writing fails (ENXIO) unless somebody has opened it for reading.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readDatabase } from '../../src/database/read.ts';
import { parseDatabaseUrl } from '../../src/database/url.ts';
import { isOpened } from '../make/fifo.ts';
import { type Postgres, startPostgres } from './postgres.ts';

let folder: string;
let fifo: string;
let server: Postgres;
let local: Server;
let dialled = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-forged-'));
  fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  // Where libpq and pg look by themselves.
  await mkdir(join(folder, '.postgresql'));
  for (const name of ['.pg_service.conf', '.postgresql/root.crt', '.postgresql/postgresql.key'])
    execFileSync('mkfifo', [join(folder, name)]);
  // pg takes only a plain file for this one: whoever reads it gets in.
  for (const name of ['.pgpass', 'pgpass'])
    await writeFile(join(folder, name), '*:*:*:*:correct-horse\n', { mode: 0o600 });
  vi.stubEnv('HOME', folder);
  vi.stubEnv('PGPASSFILE', join(folder, 'pgpass'));
  vi.stubEnv('PGSERVICEFILE', fifo);
  local = createServer((socket) => {
    dialled++;
    socket.destroy();
  }).listen(join(folder, '.s.PGSQL.5432'));
  server = await startPostgres();
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await server?.stop();
  local.close();
  await rm(folder, { recursive: true, force: true });
});

/** Parses and, where that is let through, really dials the server. */
async function visited(query: string, password = ':correct-horse'): Promise<string> {
  const url = server.url('postgres').replace('@127.0.0.1:', '@db.example:').replace(':correct-horse', password);
  const settings = parseDatabaseUrl(`${url}?${query}`, 'air');
  if ('unreadable' in settings) return settings.unreadable;
  const hosts = settings.hosts.map((host) => ({ ...host, names: ['127.0.0.1'] }));
  const state = await readDatabase({ ...settings, hosts }, { timeoutMs: 1000 });
  return state.state === 'read' ? 'read' : state.why;
}

describe('a forged URL', () => {
  it('(a file that is opened would be seen here)', async () => {
    const reading = readFile(fifo, 'utf8');
    await vi.waitFor(() => expect(isOpened(fifo)).toBe(true));
    await reading;
  });

  const file = ['sslkey', 'sslcert', 'sslrootcert', 'sslcrl', 'sslcrldir', 'sslkeylogfile', 'sslpassword'];
  const login = ['passfile', 'service', 'servicefile', 'krbsrvname', 'gsslib', 'requirepeer', 'oauth_client_secret'];
  const modes = ['', '&sslmode=disable', '&sslmode=prefer', '&sslmode=verify-full', '&ssl=true', '&ssl=no-verify'];

  it.each([...file, ...login])('%s=FILE opens no file, whatever sslmode says', async (name) => {
    const answers = [];
    for (const mode of modes) answers.push(await visited(`${name}=${encodeURIComponent(fifo)}${mode}`));
    expect(isOpened(fifo)).toBe(false);
    for (const answer of answers) expect(answer).toMatch(/^read$|^the connection URL|TLS/);
  });

  it('all of them at once, twice each, in other letters', async () => {
    const all = [...file, ...login].flatMap((name) => [name, name, name.toUpperCase()]);
    await visited(all.map((name) => `${name}=${encodeURIComponent(fifo)}`).join('&'));
    await visited(`sslmode=disable&${all.map((name) => `${name}=file://${fifo}`).join('&')}`);
    expect(isOpened(fifo)).toBe(false);
  });

  it('no password in it: no password file is looked for', async () => {
    expect(await visited('sslmode=disable', '')).toMatch(/the connection has none$/);
    for (const name of ['fifo', '.pg_service.conf', '.postgresql/root.crt', '.postgresql/postgresql.key'])
      expect([name, isOpened(join(folder, name))]).toEqual([name, false]);
  });

  it.each<[string, (dir: string) => string]>([
    ['host=/dir', (dir) => `postgresql://u:p@/d?host=${dir}`],
    ['host=%2Fdir', (dir) => `postgresql://u:p@/d?host=${encodeURIComponent(dir)}`],
    ['host=a,/dir', (dir) => `postgresql://u:p@/d?host=db.example,${dir}`],
    ['hostaddr=/dir', (dir) => `postgresql://u:p@db.example/d?hostaddr=${dir}`],
    ['%2Fdir in its place', (dir) => `postgresql://u:p@${encodeURIComponent(dir)}/d`],
    ['an abstract socket', () => 'postgresql://u:p@/d?host=@downdraft'],
    ['no host at all', () => 'postgresql://u:p@/d'],
    ['its own scheme', (dir) => `socket://u:p@${dir}?db=d`],
  ])('%s dials no unix socket', async (_, url) => {
    const settings = parseDatabaseUrl(url(folder), 'air');
    expect('unreadable' in settings && settings.unreadable).toMatch(
      /unix socket|not understood|not known|@ after the host/,
    );
    expect(dialled).toBe(0);
  });

  it('nothing else in the query reaches the driver', () => {
    const query = 'host=db.example&stream=1&lookup=1&binary=1&replication=database&sslnegotiation=direct&connection=x';
    const settings = parseDatabaseUrl(`postgresql://u:p@/d?${query}&__proto__=x&constructor=x`, 'air');
    expect(Object.keys(settings).sort()).toEqual(
      ['database', 'encryption', 'hosts', 'password', 'primaryOnly', 'user'].sort(),
    );
  });
});
