/** How many rows each table has, before and after. */
import type { Server } from './server.ts';

export type Counts = Record<string, number>;

/** Rows of every table of Airflow's schema, counted exactly. */
export async function countRows(server: Server, database: string): Promise<Counts> {
  if (server.kind !== 'postgresql') return await countRowsOfMysql(server, database);
  const sql = `SELECT table_name AS name, (xpath('/row/c/text()', query_to_xml(
      format('SELECT count(*) AS c FROM %I.%I', table_schema, table_name), false, true, '')))[1]::text::int AS count
    FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`;
  const rows = await server.query<{ name: string; count: number }>(database, sql);
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

async function countRowsOfMysql(server: Server, database: string): Promise<Counts> {
  const tables = await server.query<{ name: string }>(
    database,
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = database() ORDER BY 1`,
  );
  const counts = tables.map(({ name }) => `SELECT '${name}' AS name, count(*) AS count FROM "${name}"`);
  const rows = await server.query<{ name: string; count: number }>(database, counts.join(' UNION ALL '));
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

/** Tables whose rows must not change in number: all that stand on both sides, but for the version tables. */
export interface Difference {
  table: string;
  before: number;
  after: number | null;
}

/** What an older schema calls a table of the newer one: 3.0 renamed datasets to assets (revision 05234396c6fc). */
const formerNames: readonly (readonly [string, string])[] = [
  ['asset', 'dataset'],
  ['asset_event', 'dataset_event'],
  ['asset_alias', 'dataset_alias'],
  ['asset_alias_asset', 'dataset_alias_dataset'],
  ['asset_alias_asset_event', 'dataset_alias_dataset_event'],
  ['dag_schedule_asset_reference', 'dag_schedule_dataset_reference'],
  ['dag_schedule_asset_alias_reference', 'dag_schedule_dataset_alias_reference'],
  ['task_outlet_asset_reference', 'task_outlet_dataset_reference'],
  ['asset_dag_run_queue', 'dataset_dag_run_queue'],
  ['dagrun_asset_event', 'dagrun_dataset_event'],
];

/** Tables with fewer or more rows than before; `after` is null where rows went with their table. Empty ones are left out. */
export function differences(before: Counts, after: Counts): Difference[] {
  const now = (table: string) => after[table] ?? after[formerNames.find(([name]) => name === table)?.[1] ?? ''] ?? null;
  return Object.entries(before)
    .filter(([table, count]) => count > 0 && !table.startsWith('alembic_version') && now(table) !== count)
    .map(([table, count]) => ({ table, before: count, after: now(table) }));
}
