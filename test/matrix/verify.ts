/** Is the older Airflow at home in the database: its own check, every row loaded, its processes at work? */
import { writeFile } from 'node:fs/promises';
import { Hopeless, waitFor } from '../cluster/run/wait.ts';
import { bringUp, type Installation } from './installation.ts';

/** What an Airflow's own models and readers say of the rows (airflow/sweep.py). */
export interface Sweep {
  rows: Record<string, number>;
  errors: string[];
  /** Serialized Dags that can't be loaded before the next parse. */
  stale: string[];
  values: Record<string, unknown>;
}

/** Loads every row. */
export async function sweep(airflow: Installation): Promise<Sweep> {
  const printed = await airflow.python('sweep.py');
  const line = printed.split('\n').find((text) => text.startsWith('MATRIX-SWEEP '));
  if (!line) throw new Error(`sweep.py of ${airflow.version} told nothing: ${printed.slice(-500)}`);
  return JSON.parse(line.slice('MATRIX-SWEEP '.length)) as Sweep;
}

/** Values that both versions read, but not as the same; a row that is gone is found by its table's count. */
export function changedValues(before: Sweep, after: Sweep): string[] {
  return Object.entries(before.values)
    .filter(([name, value]) => name in after.values && JSON.stringify(after.values[name]) !== JSON.stringify(value))
    .map(([name, value]) => `${name}: ${short(value)} became ${short(after.values[name])}`);
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 200);
}

/** `airflow db check-migrations` of this Airflow; throws with its words. */
export async function checkMigrations(airflow: Installation): Promise<void> {
  const commands = [['db', 'check-migrations', '--migration-wait-timeout', '5']];
  await airflow.python('commands.py', { input: JSON.stringify(commands) });
}

type Query = <R extends Record<string, unknown>>(sql: string, parameters?: unknown[]) => Promise<R[]>;

const upSeconds = 30;

/** Faults that are none: tasks that are made to fail; 2.x before its first parse, of which the plan tells (`Dag versions`). */
const harmless = [/as it must|fails the first time/, /not found in serialized_dag table|in DAG bag or database!/];

/**
 * Lets it work for at least 30 s: a new run by hand, a new run by its schedule, the deferred task that its gate keeps
 * waiting, and the task after it. Answers the faults that its processes told of. Throws when one of these does not come
 * about, or a process ends.
 */
export async function letWork(airflow: Installation, query: Query, gate: string, farFails = false): Promise<string[]> {
  const begun = new Date();
  await bringUp(airflow);
  const holds = async (what: string, sql: string, parameters: unknown[] = []) => {
    const asked = async () => {
      await airflow.check();
      if ((await query(failed)).length > 0) throw new Hopeless('the new run by hand has failed');
      return Boolean((await query<{ holds: boolean | number }>(sql, parameters))[0]?.holds);
    };
    await waitFor(`${what} (${airflow.version})`, 180_000, asked, 500).catch(async (error: Error) => {
      throw new Error(`${error.message}; ${(await airflow.faults()).slice(-5).join(' | ')}`, { cause: error });
    });
  };
  await holds('a parse', parsed, [begun]);
  const trigger = ['dags', 'trigger', 'matrix_works', '--run-id', 'second', '--conf', '{"told": "again"}'];
  await airflow.python('commands.py', { input: JSON.stringify([trigger]) });
  await writeFile(gate, '');
  await holds('a new run by hand', `${run} dag_id = 'matrix_works' AND run_id = 'second' AND state = 'success'`);
  await holds('a new run by schedule', `${run} dag_id = 'matrix_minutes' AND state = 'success' AND end_date > $1`, [
    begun,
  ]);
  await holds('the end of the deferred task', task('gate', 'success'));
  await holds('the task after it', task('after', 'success'));
  await holds('the other deferred task', task('far', farFails ? 'failed' : 'deferred'));
  await holds(`${upSeconds} s of work`, heartbeats, [new Date(begun.getTime() + upSeconds * 1000)]);
  const known = farFails ? [...harmless, /Trigger failed|matrix_waits .* failed/] : harmless;
  return (await airflow.faults()).filter((line) => !known.some((words) => words.test(line)));
}

const parsed = `SELECT count(*) > 0 AS holds FROM dag d JOIN serialized_dag s USING (dag_id)
  WHERE dag_id = 'matrix_works' AND d.last_parsed_time > $1`;
const failed = `SELECT 1 FROM dag_run WHERE dag_id = 'matrix_works' AND run_id = 'second' AND state = 'failed'`;
const run = 'SELECT count(*) > 0 AS holds FROM dag_run WHERE';
const task = (id: string, state: string) =>
  `SELECT count(*) > 0 AS holds FROM task_instance WHERE dag_id = 'matrix_waits' AND task_id = '${id}' AND state = '${state}'`;
const heartbeats = `SELECT count(DISTINCT job_type) = 2 AS holds FROM job
  WHERE job_type IN ('SchedulerJob', 'TriggererJob') AND state = 'running' AND latest_heartbeat > $1`;
