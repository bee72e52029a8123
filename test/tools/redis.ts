/** redis-server for Argo CD: the machine's own, else Debian's packages unpacked into the cache (nothing is installed). */
import { existsSync } from 'node:fs';
import { readdir, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { cached, contentKey } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';

/** The program and the libraries that a small Debian lacks. */
const packages = ['redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1'];

export interface Redis {
  command: string;
  env: Record<string, string>;
}

/** Where redis-server is. Throws where it is not installed and apt can't fetch it. */
export async function ensureRedis(): Promise<Redis> {
  const own = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'redis-server'));
  const found = own.find((path) => existsSync(path));
  if (found) return { command: found, env: {} };
  const { stdout } = await run('dpkg', ['--print-architecture'], { env: process.env });
  const folder = await cached('redis', contentKey(stdout.trim(), ...packages), async (dir) => {
    await download(dir);
    const unpack = 'for deb in *.deb; do dpkg-deb -x "$deb" . || exit 1; rm "$deb"; done';
    await run('sh', ['-c', unpack], { cwd: dir, env: process.env });
    // One program that is what it is called; the package redis-server holds little more than this link.
    await symlink('redis-check-rdb', join(dir, 'usr/bin/redis-server'));
  });
  const lib = join(folder, 'usr/lib');
  const libraries = (await readdir(lib)).map((triplet) => join(lib, triplet)).join(':');
  return { command: join(folder, 'usr/bin/redis-server'), env: { LD_LIBRARY_PATH: libraries } };
}

async function download(cwd: string): Promise<void> {
  const fetch = () => run('apt-get', ['download', ...packages], { cwd, env: process.env, timeoutMs: 120_000 });
  await fetch().catch(async () => {
    // The lists may be older than the packages, or not there at all.
    await run('apt-get', ['update'], { env: process.env, timeoutMs: 300_000 });
    await fetch();
  });
}
