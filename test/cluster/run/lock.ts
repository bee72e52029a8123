/**
 * A lock between processes, as a folder that holds one numbered file.
 *
 * 1. The file with the highest number is the state: an owner, or null when it was let go.
 * 2. Whoever wants the lock, and finds it let go or its owner dead, hard-links a finished file as the next number.
 *    Only one can: linking fails where a file is.
 * 3. Numbers only rise (letting go rewrites the file, it does not delete it), so a slow process that still thinks of
 *    an earlier owner meets a number that is taken, and looks again.
 */

import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive, type ProcessId, thisProcess } from './proc.ts';
import { waitFor } from './wait.ts';

type Holder = ProcessId | null;

/** A lock that is held. */
export interface Lock {
  release(): Promise<void>;
  /** Makes another process the owner: the lock is then held as long as that one lives. */
  handTo(owner: ProcessId): Promise<void>;
}

/** Runs `act` while this process holds the lock. Waits as long as the owner lives, an hour at most. */
export async function withLock<T>(path: string, onProgress: (message: string) => void, act: () => Promise<T>) {
  const lock = await takeLock(path, onProgress);
  try {
    return await act();
  } finally {
    await lock.release();
  }
}

/** Takes the lock, waiting for its owner; answers it. Throws after `timeoutMs` (an hour). */
export async function takeLock(
  path: string,
  onProgress: (message: string) => void = () => {},
  timeoutMs = 3_600_000,
): Promise<Lock> {
  let told = false;
  return await waitFor(`the lock ${path}`, timeoutMs, async () => {
    const lock = await tryLock(path);
    if (lock) return lock;
    if (!told) onProgress(`waiting for another process to let go of ${path}`);
    told = true;
    return undefined;
  });
}

/** Takes the lock if it is free; undefined when a living process has it. */
export async function tryLock(path: string): Promise<Lock | undefined> {
  await mkdir(path, { recursive: true });
  const seen = await newest(path);
  if (seen.holder && (await isAlive(seen.holder))) return undefined;
  const mine = join(path, String(seen.number + 1));
  if (!(await linkNew(path, mine))) return undefined;
  for (const name of await readdir(path)) if (Number(name) <= seen.number) await rm(join(path, name), { force: true });
  return {
    release: async () => await writeWhole(path, mine, null),
    handTo: async ({ pid, start }) => await writeWhole(path, mine, { pid, start }),
  };
}

async function newest(path: string): Promise<{ number: number; holder: Holder }> {
  const numbers = (await readdir(path)).map(Number).filter(Number.isInteger);
  const number = Math.max(0, ...numbers);
  if (number === 0) return { number, holder: null };
  try {
    return { number, holder: JSON.parse(await readFile(join(path, String(number)), 'utf8')) };
  } catch (error) {
    // The next owner has tidied this number away between the two reads.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return newest(path);
    throw error;
  }
}

async function linkNew(path: string, mine: string): Promise<boolean> {
  const draft = join(path, `draft-${randomBytes(6).toString('hex')}`);
  await writeFile(draft, JSON.stringify(await thisProcess()));
  try {
    await link(draft, mine);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function writeWhole(path: string, file: string, holder: Holder): Promise<void> {
  const draft = join(path, `draft-${randomBytes(6).toString('hex')}`);
  await writeFile(draft, JSON.stringify(holder));
  await rename(draft, file);
}
