/**
 * A cluster's own folder, `<cache>/clusters/<id>`, and the processes that were started for it.
 *
 * owner.json tells whose cluster it is, processes.json every process started for it: written at once after the start,
 * so that a later run can end what a dead owner left behind (leftovers.ts).
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from './cache.ts';
import { endProcess, identify, isAlive, type ProcessId, thisProcess } from './proc.ts';
import { Hopeless } from './wait.ts';

/** Whose cluster it is. `keep`: it outlives its owner, and only `clearLeftovers({ kept: true })` ends it. */
export interface Owner extends ProcessId {
  purpose: string;
  keep?: true;
}

/** A process started for a cluster. */
export interface Started extends ProcessId {
  name: string;
  command: string;
}

/** The folder that holds all clusters' folders. */
export function clustersDir(): string {
  return join(cacheDir(), 'clusters');
}

/** A new cluster folder with its owner.json. The id is 6 hex digits: it goes into network device names (15 at most). */
export async function makeClusterFolder(purpose: string, keep: boolean): Promise<{ id: string; dir: string }> {
  const id = randomBytes(3).toString('hex');
  const dir = join(clustersDir(), id);
  const draft = join(cacheDir(), 'tmp', `cluster-${process.pid}-${id}${id.slice(0, 2)}`);
  const owner: Owner = { ...(await thisProcess()), purpose, ...(keep && { keep }) };
  await mkdir(join(draft, 'log'), { recursive: true, mode: 0o755 });
  await writeFile(join(draft, 'owner.json'), `${JSON.stringify(owner)}\n`);
  await mkdir(clustersDir(), { recursive: true });
  // It appears with its owner inside: a folder without one would be taken for a leftover.
  await rename(draft, dir);
  return { id, dir };
}

/** Where a program of this cluster writes its output. */
export function logPath(dir: string, name: string): string {
  return join(dir, 'log', `${name}.log`);
}

/** A program that runs until it is ended. */
export interface Daemon extends Started {
  /** Throws Hopeless, with the end of its log, when it has ended by itself. */
  check(): Promise<void>;
  end(graceMs?: number): Promise<void>;
}

/** Starts a program that goes on by itself, its output in its log file, its id in processes.json. */
export async function startDaemon(
  dir: string,
  name: string,
  command: string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Daemon> {
  mkdirSync(join(dir, 'log'), { recursive: true });
  const log = openSync(logPath(dir, name), 'a', 0o644);
  const child = spawn(command[0]!, command.slice(1), { cwd: dir, env, stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  const known = (await identify(child.pid!)) ?? { pid: child.pid! };
  const started: Started = { name, command: command.join(' '), ...known };
  appendFileSync(join(dir, 'processes.json'), `${JSON.stringify(started)}\n`);
  return {
    ...started,
    check: async () => {
      if (!(await isAlive(known))) throw new Hopeless(`${name} has ended by itself:\n${await logTail(dir, name)}`);
    },
    end: async (graceMs) => await endProcess(known, graceMs),
  };
}

/** Every process ever started for the cluster in this folder, oldest first. */
export async function startedIn(dir: string): Promise<Started[]> {
  const lines = await readFile(join(dir, 'processes.json'), 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  // A last line cut short by a crash tells of nothing that could be ended safely.
  return lines.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Started] : []));
}

/** Deletes a cluster's folder, once nothing of it runs. */
export async function deleteClusterFolder(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
}

/** The last lines that a program of this cluster wrote. */
async function logTail(dir: string, name: string, lines = 20): Promise<string> {
  const text = await readFile(logPath(dir, name), 'utf8').catch(() => '(no log)');
  return text.trim().split('\n').slice(-lines).join('\n');
}
