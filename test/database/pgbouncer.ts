/** A real PgBouncer for tests, Debian's, on a free port in front of a PostgreSQL of the tests. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached, contentKey } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';

export interface Pgbouncer {
  port: number;
  /** The same URL, through this pooler. */
  through(url: string): string;
  /** What it has logged. */
  log(): string;
  stop(): Promise<void>;
}

export interface PoolSettings {
  mode: 'session' | 'transaction' | 'statement';
  /** Users it lets in, with their passwords; it logs in to the server with the same. */
  users: Record<string, string>;
  /** Further lines of [pgbouncer]. */
  more?: string[];
}

const program = 'usr/sbin/pgbouncer';
/** With the libraries that a bare Debian 12 lacks; nothing is installed, they are unpacked. */
const packages = ['pgbouncer', 'libevent-2.1-7', 'libc-ares2'];

/** Why there is no PgBouncer here, in one line; undefined when there is one. */
export async function pgbouncerAbsence(): Promise<string | undefined> {
  if (existsSync(`/${program}`)) return undefined;
  if (!existsSync('/usr/bin/apt-get')) return 'PgBouncer is neither installed nor to be had: no apt-get here';
  return await unpacked().then(
    () => undefined,
    (error: Error) => `PgBouncer can't be had: ${error.message.split('\n')[0]}`,
  );
}

/** The root under which the program stands. */
async function unpacked(): Promise<string> {
  if (existsSync(`/${program}`)) return '/';
  return await cached('pgbouncer', contentKey(...packages), async (dir) => {
    const get = async () => await run('apt-get', ['download', ...packages], { cwd: dir, env: process.env });
    // An image of a machine may have no package lists yet.
    await get().catch(async () => {
      await run('apt-get', ['update'], { env: process.env, timeoutMs: 300_000 });
      await get();
    });
    for (const file of await readdir(dir))
      if (file.endsWith('.deb')) await run('dpkg-deb', ['-x', join(dir, file), dir], { env: process.env });
  });
}

/** Starts it before the server at `serverPort`, with one server connection per database. Throws with its log. */
export async function startPgbouncer(serverPort: number, { mode, users, more = [] }: PoolSettings): Promise<Pgbouncer> {
  const root = await unpacked();
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-pgbouncer-'));
  const [port] = await freePorts(1);
  const config = [
    '[databases]',
    `* = host=127.0.0.1 port=${serverPort}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${join(folder, 'users.txt')}`,
    `pool_mode = ${mode}`,
    'default_pool_size = 1',
    ...more,
    '',
  ];
  await writeFile(join(folder, 'pgbouncer.ini'), config.join('\n'));
  const lines = Object.entries(users).map(([name, password]) => `"${name}" "${password}"\n`);
  await writeFile(join(folder, 'users.txt'), lines.join(''));
  // It will not run as root, and whoever it runs as must read its files.
  await chmod(folder, 0o755);
  const asUser = process.getuid?.() === 0 ? ['-u', 'postgres'] : [];
  const libraries = ['x86_64', 'aarch64'].map((kind) => join(root, `usr/lib/${kind}-linux-gnu`)).join(':');
  const child = spawn(join(root, program), [...asUser, join(folder, 'pgbouncer.ini')], {
    env: { ...process.env, ...(root !== '/' && { LD_LIBRARY_PATH: libraries }) },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      log += text;
    });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  await waitFor('PgBouncer', 10_000, async () => child.exitCode !== null || (await listens(port!)), 20);
  if (child.exitCode !== null) {
    await stop();
    throw new Error(`PgBouncer does not start: ${log.trim()}`);
  }
  const through = (url: string) => url.replace(/@127\.0\.0\.1:\d+/, `@127.0.0.1:${port}`);
  return { port: port!, through, log: () => log, stop };
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
