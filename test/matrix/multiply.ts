/**
 * Many rows out of few: a run that Airflow made, copied with all that belongs to it by INSERT … SELECT. The copies were
 * never run by an Airflow; they are for time and size only.
 */
import type { Server } from './server.ts';

/** Which run is copied, and how often. */
export interface Multiple {
  dag: string;
  run: string;
  times: number;
}

/** Tables with the rows of a run: which rows, by the run `r`. The database fills their numbered ids. */
const ofTheRun: Record<string, string> = {
  dag_run: 't.id = r.id',
  task_instance: 't.dag_id = r.dag_id AND t.run_id = r.run_id',
  task_instance_history: 't.dag_id = r.dag_id AND t.run_id = r.run_id',
  rendered_task_instance_fields: 't.dag_id = r.dag_id AND t.run_id = r.run_id',
  task_map: 't.dag_id = r.dag_id AND t.run_id = r.run_id',
  xcom: 't.dag_run_id = r.id',
  task_reschedule: tasksOf('ti_id'),
  task_instance_note: tasksOf('ti_id'),
  dag_run_note: 't.dag_run_id = r.id',
  log: 't.dag_id = r.dag_id AND t.run_id = r.run_id',
};

/** Columns whose value in a copy is another one. New ids of tasks grow with the number of the copy, as Airflow's do. */
const changed: Record<string, (table: string) => string | undefined> = {
  id: (table) => (table === 'dag_run' ? 'r.highest + n' : table === 'task_instance' ? uuid('id') : undefined),
  ti_id: () => uuid('ti_id'),
  task_instance_id: () => uuid('task_instance_id'),
  dag_run_id: () => 'r.highest + n',
  run_id: () => `t.run_id || '__' || n`,
  logical_date: (table) => (table === 'dag_run' ? `t.logical_date + n * interval '1 minute'` : 't.logical_date'),
};

function tasksOf(column: string): string {
  return `t.${column} IN (SELECT id FROM task_instance i WHERE i.dag_id = r.dag_id AND i.run_id = r.run_id)`;
}

function uuid(column: string): string {
  return `(lpad(to_hex(n), 12, '0') || substr(md5(t.${column}::text || n), 13))::uuid`;
}

/** Copies one run in a database of 3.2 on PostgreSQL; answers how many rows each table got. */
export async function multiply(server: Server, database: string, { dag, run, times }: Multiple) {
  const added: Record<string, number> = {};
  // Foreign keys are not looked at: the rows fit, and looking takes longer than writing.
  await server.query(database, `ALTER DATABASE ${database} SET session_replication_role = 'replica'`);
  const [source] = await server.query<{ highest: number }>(database, 'SELECT max(id) AS highest FROM dag_run');
  for (const [table, belongs] of Object.entries(ofTheRun)) {
    const listed = await server.query<{ name: string }>(
      database,
      `SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1
         AND NOT (column_name = 'id' AND column_default IS NOT NULL AND table_name <> 'dag_run')`,
      [table],
    );
    const names = listed.map(({ name }) => name);
    const values = names.map((name) => changed[name]?.(table) ?? `t."${name}"`);
    const [row] = await server.query<{ count: number }>(
      database,
      `WITH added AS (INSERT INTO ${table} (${names.map((name) => `"${name}"`).join(', ')}) SELECT ${values.join(', ')}
         FROM (SELECT *, ${source!.highest} AS highest FROM dag_run WHERE dag_id = '${dag}' AND run_id = '${run}') r
         CROSS JOIN generate_series(1, ${times}) n JOIN ${table} t ON ${belongs} RETURNING 1)
       SELECT count(*)::int AS count FROM added`,
    );
    added[table] = row!.count;
  }
  await server.query(database, `ALTER DATABASE ${database} RESET session_replication_role`);
  await server.query(database, `SELECT setval('dag_run_id_seq', (SELECT max(id) FROM dag_run))`);
  return added;
}
