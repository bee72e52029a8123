/**
 * The cache folder: heavy things (programs, images) are kept by content and made again when missing.
 *
 * 1. The key is a hash of everything that goes in, so a changed recipe is a new entry and an old one is never wrong.
 * 2. An entry is made in a folder of its own and renamed when whole: a crash leaves no half entry.
 * 3. Two processes that want the same entry take turns (lock.ts).
 */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { withLock } from './lock.ts';
import { unmountBelow } from './mounts.ts';
import { identify } from './proc.ts';

/** Tells a person what takes time now; one short sentence a call. */
export type Progress = (message: string) => void;

/** The cache folder: `$DOWNDRAFT_CACHE`, else `$XDG_CACHE_HOME/downdraft`, else `~/.cache/downdraft`. */
export function cacheDir(): string {
  if (process.env.DOWNDRAFT_CACHE) return process.env.DOWNDRAFT_CACHE;
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'downdraft');
}

/** The key of what is made from these parts: 16 hex digits of their SHA-256. Order matters. */
export function contentKey(...parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex').slice(0, 16);
}

/**
 * The folder `<cache>/<kind>/<key>`, made by `build` in a temporary folder when it is not there yet.
 * Throws what `build` throws; nothing is left then.
 */
export async function cached(
  kind: string,
  key: string,
  build: (dir: string) => Promise<void>,
  onProgress: Progress = () => {},
): Promise<string> {
  const entry = join(cacheDir(), kind, key);
  if (existsSync(entry)) {
    await utimes(entry, new Date(), new Date());
    return entry;
  }
  await withLock(join(cacheDir(), 'locks', `${kind}-${key}`), onProgress, async () => {
    if (existsSync(entry)) return;
    await inNewFolder(kind, async (dir) => {
      await build(dir);
      await mkdir(dirname(entry), { recursive: true });
      await rename(dir, entry);
    });
  });
  return entry;
}

/** Runs `act` with a temporary folder on the cache's own disk, deleted afterwards if it is still there. */
async function inNewFolder<T>(name: string, act: (dir: string) => Promise<T>): Promise<T> {
  const dir = join(cacheDir(), 'tmp', `${name}-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(dir, { recursive: true });
  try {
    return await act(dir);
  } finally {
    await deleteFolder(dir);
  }
}

/** Deletes the temporary folders of processes that died while they made something. */
export async function clearAbandoned(): Promise<void> {
  const tmp = join(cacheDir(), 'tmp');
  for (const name of existsSync(tmp) ? await readdir(tmp) : []) {
    const pid = /-(\d+)-[0-9a-f]{8}$/.exec(name)?.[1];
    if (pid && !(await identify(Number(pid)))) await deleteFolder(join(tmp, name));
  }
}

async function deleteFolder(dir: string): Promise<void> {
  // debootstrap mounts /proc and /sys below a root that it makes, and leaves them there when it is ended.
  await unmountBelow([dir]);
  await rm(dir, { recursive: true, force: true });
}
