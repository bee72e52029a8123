/** Airflow itself as processes of this machine: what its Deployments run, from a Python environment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { Hopeless, waitFor } from '../cluster/run/wait.ts';

/** The parts of Airflow 3 that a release with the LocalExecutor needs. */
export type Part = 'scheduler' | 'triggerer' | 'dag-processor' | 'api-server';

export interface AirflowProcesses {
  /** The parts that have ended, each with the end of what it printed; empty while all run. */
  ended(): string[];
  /** Waits until a part ends by itself; all that it printed. */
  untilEnded(part: Part, timeoutMs: number): Promise<string>;
  /** Ends all of them, politely at first; when it returns none of their processes is left. May be called twice. */
  stop(): Promise<void>;
}

/** What the parts must agree upon, beside the database: where the API is, and the keys of its tokens. */
export function sharedSettings(port: number, dags: string): NodeJS.ProcessEnv {
  return {
    AIRFLOW__CORE__EXECUTOR: 'LocalExecutor',
    AIRFLOW__CORE__PARALLELISM: '2',
    AIRFLOW__CORE__DAGS_FOLDER: dags,
    AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION: 'False',
    AIRFLOW__CORE__EXECUTION_API_SERVER_URL: `http://127.0.0.1:${port}/execution/`,
    AIRFLOW__API__PORT: String(port),
    AIRFLOW__API__SECRET_KEY: 'secret-of-this-test-secret-of-this-test',
    AIRFLOW__API_AUTH__JWT_SECRET: 'another-secret-of-this-test-another-secret',
    AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME: '0.5',
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL: '1',
    AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL: '5',
  };
}

const argumentsOf: Record<Part, string[]> = {
  scheduler: ['scheduler', '--skip-serve-logs'],
  triggerer: ['triggerer', '--skip-serve-logs'],
  'dag-processor': ['dag-processor'],
  'api-server': ['api-server', '--host', '127.0.0.1', '--workers', '1'],
};

/**
 * Starts parts of Airflow from an environment's bin folder; the scheduler once the API answers, where both are wanted:
 * a task that can't reach it fails. Throws when it does not answer within 2 minutes, and then leaves nothing behind.
 */
export async function startAirflow(bin: string, env: NodeJS.ProcessEnv, parts: Part[]): Promise<AirflowProcesses> {
  const late: Part[] = parts.includes('api-server') ? parts.filter((part) => part === 'scheduler') : [];
  const first = parts.filter((part) => !late.includes(part));
  const running = new Map(first.map((part) => [part, startPart(bin, env, part)]));
  const processes = ruleOf(running);
  try {
    if (late.length) await apiAnswers(env, processes);
    for (const part of late) running.set(part, startPart(bin, env, part));
    return processes;
  } catch (error) {
    await processes.stop();
    throw error;
  }
}

async function apiAnswers(env: NodeJS.ProcessEnv, processes: AirflowProcesses): Promise<void> {
  const url = `http://127.0.0.1:${env.AIRFLOW__API__PORT}/api/v2/monitor/health`;
  await waitFor('an answer of the API', 120_000, async () => {
    if (processes.ended().length) throw new Hopeless(processes.ended().join('\n'));
    return (await fetch(url, { signal: AbortSignal.timeout(5000) })).ok;
  });
}

function ruleOf(running: Map<Part, ReturnType<typeof startPart>>): AirflowProcesses {
  const ended = () =>
    [...running]
      .filter(([, { child }]) => hasEnded(child))
      .map(([part, { tail }]) => `${part}: ${tail().slice(-2000)}`);
  const untilEnded = async (part: Part, timeoutMs: number) => {
    const { child, tail } = running.get(part)!;
    await waitFor(`the end of ${part}`, timeoutMs, () => hasEnded(child));
    return tail();
  };
  const stop = async () => {
    await Promise.all([...running.values()].map(({ child }) => end(child)));
  };
  return { ended, untilEnded, stop };
}

function startPart(bin: string, env: NodeJS.ProcessEnv, part: Part) {
  // A group of its own: scheduler, triggerer and api-server start processes that must end with them.
  const child = spawn(join(bin, 'airflow'), argumentsOf[part], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (printed) => {
      text = (text + printed).slice(-50_000);
    });
  }
  return { child, tail: () => text };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess): Promise<void> {
  signal(child, 'SIGTERM');
  // What does not end politely is killed below, as a kubelet does it.
  await waitFor('a polite end', 20_000, () => hasEnded(child)).catch(() => undefined);
  signal(child, 'SIGKILL');
  await waitFor('the end of a killed process', 10_000, () => hasEnded(child));
}

/** To the whole group, which may outlive its first process; one that is gone already needs no signal. */
function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid) process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
