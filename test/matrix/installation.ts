/** One Airflow of one version on one database: its environment, its Python, its long-running processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { compare } from '@renovatebot/pep440';
import { run } from '../cluster/run/command.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { endProcess, identify } from '../cluster/run/proc.ts';
import { Hopeless, waitFor } from '../cluster/run/wait.ts';
import { airflowEnv } from '../inside/airflow.ts';
import { mysqlDrivers } from '../inside/mysqldrivers.ts';
import { ensureVenv } from '../inside/venv.ts';

const sources = fileURLToPath(new URL('airflow/', import.meta.url));

export interface Installation {
  version: string;
  env: NodeJS.ProcessEnv;
  /** Where its api-server or webserver answers once it runs. */
  api: string;
  /** Runs one of the programs of airflow/ in its Python; answers what it printed. */
  python(program: string, options?: { input?: string; timeoutMs?: number }): Promise<string>;
  /** Starts processes by the names of Airflow's commands. */
  start(...components: string[]): Promise<void>;
  /** Throws Hopeless when a process has ended by itself, with its last lines. */
  check(): Promise<void>;
  /** Lines of all processes so far that tell of a fault, each with the process's name. */
  faults(): Promise<string[]>;
  /** Ends all processes, the API last, and waits until they are gone. */
  stop(): Promise<void>;
}

/**
 * What its Dags look at: the file for which deferred tasks wait, and when the runs of every minute began; and what it needs
 * to run on its server.
 */
export interface Surroundings {
  gate: string;
  since: Date;
  env: NodeJS.ProcessEnv;
}

/** Prepares (starts nothing). `folder` is for its files. */
export async function installation(
  version: string,
  url: string,
  folder: string,
  surroundings: Surroundings,
): Promise<Installation> {
  const bin = await ensureVenv(version);
  await mkdir(folder, { recursive: true });
  // A copy, so that no compiled Python is left in the working tree.
  await cp(sources, join(folder, 'parts'), { recursive: true });
  await mkdir(join(folder, 'dags'), { recursive: true });
  await cp(join(sources, 'matrix_dags.py'), join(folder, 'dags/matrix_dags.py'));
  const [port] = await freePorts(1);
  const env = environment(version, bin, url, folder, port!, surroundings);
  if (url.startsWith('mysql')) {
    const { PYTHONPATH: drivers, ...more } = await mysqlDrivers(bin);
    Object.assign(env, more, { PYTHONPATH: `${env.PYTHONPATH}:${drivers}` });
  }
  const started: { name: string; child: ChildProcess; log: string }[] = [];
  const python: Installation['python'] = async (program, { input = '', timeoutMs = 300_000 } = {}) => {
    const argv = [join(folder, 'parts', program)];
    return (await run(join(bin, 'python'), argv, { env, cwd: folder, input, timeoutMs })).stdout;
  };
  const start = async (...components: string[]) => {
    for (const name of components) started.push(startComponent(name, join(bin, 'airflow'), env, folder, port!));
  };
  const check = async () => {
    for (const { name, child, log } of started) {
      if (child.exitCode === null && child.signalCode === null) continue;
      const tail = (await readFile(log, 'utf8')).trim().split('\n').slice(-25).join('\n');
      throw new Hopeless(`${name} of ${version} has ended (${child.exitCode ?? child.signalCode}):\n${tail}`);
    }
  };
  const faults = async () => {
    const found: string[] = [];
    for (const { name, log } of started)
      for (const line of faultyLines(await readFile(log, 'utf8'))) found.push(`${name}: ${line}`);
    return found;
  };
  const stop = async () => {
    for (const { child } of started.reverse()) {
      const known = child.pid === undefined ? undefined : await identify(child.pid);
      if (known) await endProcess(known, 15_000);
      killGroup(child.pid);
    }
    started.length = 0;
  };
  return { version, env, api: `http://127.0.0.1:${port}`, python, start, check, faults, stop };
}

/**
 * Starts what makes an Airflow: the API first where tasks talk to it, for a task that finds none fails at once.
 * `web`: also the webserver of a 2.x, which its tasks don't need.
 */
export async function bringUp(airflow: Installation, web = false): Promise<void> {
  const is2 = compare(airflow.version, '3.0.0') < 0;
  if (!is2) await airflow.start('api-server');
  if (!is2) await waitFor(`the API of ${airflow.version}`, 120_000, () => answers(airflow, '/api/v2/version'));
  await airflow.start(
    'scheduler',
    'triggerer',
    ...(is2 ? [] : ['dag-processor']),
    ...(is2 && web ? ['webserver'] : []),
  );
}

async function answers(airflow: Installation, path: string): Promise<boolean> {
  await airflow.check();
  return (await fetch(`${airflow.api}${path}`, { signal: AbortSignal.timeout(5_000) })).ok;
}

function startComponent(name: string, airflow: string, env: NodeJS.ProcessEnv, folder: string, port: number) {
  const log = join(folder, `${name}.log`);
  const file = openSync(log, 'a');
  const more: Record<string, string[]> = {
    scheduler: ['--skip-serve-logs'],
    triggerer: ['--skip-serve-logs'],
    'api-server': ['--host', '127.0.0.1', '--port', String(port), '--workers', '1'],
    webserver: ['--hostname', '127.0.0.1', '--port', String(port), '--workers', '1'],
  };
  // A group of its own: tasks and workers are its children.
  const stdio: ['ignore', number, number] = ['ignore', file, file];
  const child = spawn(airflow, [name, ...(more[name] ?? [])], { env, cwd: folder, stdio, detached: true });
  closeSync(file);
  if (child.pid !== undefined) groups.add(child.pid);
  return { name, child, log };
}

/** Groups that run now: they end with this process, however it ends (but for SIGKILL). */
const groups = new Set<number>();
process.on('exit', () => {
  for (const pid of groups) killGroup(pid);
});

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  groups.delete(pid);
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Lines that tell of a fault, with the exception that a traceback ends in. */
export function faultyLines(text: string): string[] {
  const lines = stripVTControlCharacters(text).split('\n');
  const found: string[] = [];
  lines.forEach((line, at) => {
    if (/\[(error|critical)|\b(ERROR|CRITICAL)\b/.test(line)) found.push(line.trim().slice(0, 400));
    if (!line.includes('Traceback (most recent call last)')) return;
    const end = lines.slice(at + 1).find((next) => /^\s*[\w.]+(Error|Exception|Exit|Interrupt|Violation)\b/.test(next));
    found.push(`Traceback: ${end?.trim().slice(0, 400) ?? '(its end was not found)'}`);
  });
  return found;
}

function environment(
  version: string,
  bin: string,
  url: string,
  folder: string,
  port: number,
  { gate, since, env: more }: Surroundings,
) {
  const env: NodeJS.ProcessEnv = {
    ...airflowEnv(bin, folder, url),
    MATRIX_GATE: gate,
    MATRIX_SINCE: since.toISOString().replace(/\.\d+Z$/, '+00:00'),
    PYTHONPATH: join(folder, 'parts'),
    AIRFLOW__CORE__DAGS_FOLDER: join(folder, 'dags'),
    AIRFLOW__CORE__EXECUTOR: 'LocalExecutor',
    AIRFLOW__CORE__PARALLELISM: '2',
    AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION: 'False',
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL: `http://127.0.0.1:${port}/execution/`,
    AIRFLOW__API__BASE_URL: `http://127.0.0.1:${port}`,
    AIRFLOW__API__SECRET_KEY: 'matrix',
    AIRFLOW__API__AUTH_BACKENDS: 'airflow.api.auth.backend.basic_auth',
    AIRFLOW__API_AUTH__JWT_SECRET: 'matrix-matrix-matrix-matrix-matrix-matrix-matrix-matrix-matrix-matrix',
    AIRFLOW__WEBSERVER__SECRET_KEY: 'matrix',
    AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC: '1',
    AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC: '2',
    AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME: '0.5',
    AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL: '10',
    AIRFLOW__SCHEDULER__PARSING_PROCESSES: '1',
    AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES: '1',
    AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL: '10',
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED: 'False',
    TZ: 'UTC',
    ...more,
  };
  // The FAB auth manager was a part of Airflow itself, and the default, before 2.9.
  if (compare(version, '2.9.0') < 0) delete env.AIRFLOW__CORE__AUTH_MANAGER;
  return env;
}
