/** Runs parts of real Airflow installations: its own command, our probe, our runner. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runnerScript, shellCommand } from '../../src/inside/bundle.ts';
import { inspectionIn, progressIn, resultIn } from '../../src/release/model/messages.ts';
import type { Inspection, RunnerProgress } from '../../src/release/model/runner.ts';
import { waitFor } from '../cluster/run/wait.ts';

export const fabManager = 'airflow.providers.fab.auth_manager.models.db.FABDBManager';

/** The environment of a pod with this Airflow (its bin folder), home folder and database. */
export function airflowEnv(bin: string, home: string, url: string): NodeJS.ProcessEnv {
  return {
    PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    AIRFLOW_HOME: home,
    AIRFLOW__CORE__AUTH_MANAGER: 'airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager',
    AIRFLOW__CORE__LOAD_EXAMPLES: 'False',
    AIRFLOW__CORE__FERNET_KEY: 'gY0ynQGDzhJ0cN0Pj9qYJbqEPg9WnTQ0nMnBQx2d1yU=',
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: url,
    // Alembic's lines are INFO: a quiet image must not take our progress away.
    AIRFLOW__LOGGING__LOGGING_LEVEL: 'WARNING',
  };
}

/** The files that a runner writes, as read back. */
export interface RunnerFiles {
  'inspect.json': Inspection & { error?: string; seconds?: { import: number; inspect: number } };
  'progress.json': RunnerProgress & { blockedBy?: string[]; since?: number };
  'result.json': {
    token: number;
    run: string;
    ok: boolean;
    error?: { kind: string; message: string; step: number; revision: string };
    versionTables: Record<string, string[]>;
    /** Of each step, and what it told. */
    seconds?: number[];
    facts?: (Record<string, unknown> | null)[];
  };
}

type FileName = keyof RunnerFiles;

/** A runner that was started, and the folder in which it is talked to. */
export interface Runner {
  child: ChildProcess;
  /** All it has printed so far. */
  printed(): string;
  /** A file of its folder, parsed; undefined when there is none. */
  read<N extends FileName>(name: N): Promise<RunnerFiles[N] | undefined>;
  /** Waits for a file that fits, 90 s unless told otherwise. Fails when the runner ends before. */
  file<N extends FileName>(
    name: N,
    fits?: (value: RunnerFiles[N]) => boolean,
    timeoutMs?: number,
  ): Promise<RunnerFiles[N]>;
  order(orders: unknown): Promise<void>;
  /** Waits for its end; the exit code or signal. */
  ended(): Promise<number | NodeJS.Signals>;
  stop(): Promise<number | NodeJS.Signals>;
}

const readers = { 'inspect.json': inspectionIn, 'progress.json': progressIn, 'result.json': resultIn };

/** What a real runner writes must be what the controller takes for an answer. */
function understood(name: FileName, text: string): unknown {
  const value = JSON.parse(text);
  const read = readers[name](text);
  if ('fault' in read && read.fault !== value.error) throw new Error(`${name} is not understood: ${read.fault}`);
  return value;
}

/** Starts a runner in a folder, as a pod would. */
export async function startRunner(env: NodeJS.ProcessEnv, folder: string): Promise<Runner> {
  await mkdir(folder, { recursive: true });
  const [command, ...args] = shellCommand(runnerScript());
  const child = spawn(command!, args, { env: { ...env, DOWNDRAFT_DIR: folder, DOWNDRAFT_IDLE_SECONDS: '120' } });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
  }
  const end = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal!));
  });
  const read = async <N extends FileName>(name: N): Promise<RunnerFiles[N] | undefined> => {
    // Not looked for first: the runner may take it away in between.
    const text = await readFile(join(folder, name), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    return text === undefined ? undefined : (understood(name, text) as RunnerFiles[N]);
  };
  const file: Runner['file'] = async (name, fits = () => true, timeoutMs = 90_000) => {
    const seen = await waitFor(
      `${name} in\n${text}`,
      timeoutMs,
      async () => {
        const value = await read(name);
        if (value !== undefined && fits(value)) return { value };
        return child.exitCode === null && child.signalCode === null ? undefined : { value: undefined };
      },
      5,
    );
    if (seen.value === undefined) throw new Error(`the runner ended without ${name}:\n${text}`);
    return seen.value;
  };
  const order = async (orders: unknown) => {
    await writeFile(join(folder, 'draft'), JSON.stringify(orders));
    await rename(join(folder, 'draft'), join(folder, 'orders.json'));
  };
  const stop = async () => {
    await writeFile(join(folder, 'stop'), '');
    const code = await end;
    await rm(join(folder, 'stop'), { force: true });
    return code;
  };
  return { child, printed: () => text, read, file, order, ended: () => end, stop };
}
