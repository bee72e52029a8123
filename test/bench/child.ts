/**
 * A process of the bench. Its standard input is a pipe that only we hold, and it ends when that ends: so it goes with us
 * however we go. What it prints is in a file, as a container's log would be.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Child {
  name: string;
  pid: number;
  /** Throws, with the end of its log, when it has ended. */
  check(): Promise<void>;
  /** Closes its input and waits until it is gone; kills it after 10 s. May be called twice. */
  stop(): Promise<void>;
}

/** Starts a process with exactly this environment besides PATH and HOME. Its log is `<folder>/<name>.log`. */
export async function startChild(
  name: string,
  [command, ...args]: [string, ...string[]],
  { folder, env = {} }: { folder: string; env?: Record<string, string> },
): Promise<Child> {
  const path = join(folder, `${name}.log`);
  const log = openSync(path, 'w');
  const { PATH = '', HOME = '' } = process.env;
  const process_ = spawn(command, args, { stdio: ['pipe', log, log], env: { PATH, HOME, ...env }, detached: true });
  closeSync(log);
  process_.stdin!.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => process_.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => process_.once('spawn', resolve).once('error', reject));
  return {
    name,
    pid: process_.pid!,
    check: async () => {
      if (!hasEnded(process_)) return;
      const how = process_.exitCode ?? process_.signalCode;
      throw new Error(`${name} has ended (${how}):\n${(await readFile(path, 'utf8')).trim().slice(-2000)}`);
    },
    stop: async () => {
      process_.stdin!.end();
      const limit = setTimeout(() => process_.kill('SIGKILL'), 10_000);
      if (!hasEnded(process_)) await ended;
      clearTimeout(limit);
    },
  };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** In such a process: calls `leave` when whoever started it is gone. */
export function leaveWithParent(leave: () => unknown): void {
  process.stdin.on('end', leave).on('error', leave).resume();
}
