/**
 * Where the schema is, read from the database itself: every alembic_version% table with its rows, whether tables of
 * Airflow exist at all, and which database this really is. Two questions: the catalog, then the rows.
 */
import { DatabaseError, escapeIdentifier, escapeLiteral } from 'pg';
import type { DatabaseIdentity, DatabaseRead, DatabaseState } from '../release/model/database.ts';
import { DatabaseUnreadable } from './connect.ts';
import { addressOf, type ConnectionSettings } from './url.ts';
import { type Ask, type Limits, visit } from './visit.ts';

/** Tables that every Airflow from 1.10 on has; two of them are enough, since some names are common. */
const airflowTables = ['dag_run', 'task_instance', 'dag', 'log', 'connection', 'slot_pool', 'job'];

/** A table has one row by right; more than this many says no more than the first few do. */
const mostRows = 20;

interface Catalog {
  schema: string | null;
  versionTables: string[];
  airflow: boolean;
  denied: string[];
  elsewhere: string[];
  database: string;
  oid: string;
  mayReadCluster: boolean;
}

/**
 * Reads the state of the schema. The world's faults come back as `unreadable` with one sentence that names the host and
 * the cause; a fault in our own SQL is thrown.
 */
export async function readDatabase(settings: ConnectionSettings, limits: Limits): Promise<DatabaseState> {
  try {
    return await visit(settings, limits, (ask) => readState(ask, settings));
  } catch (error) {
    if (error instanceof DatabaseUnreadable) return { state: 'unreadable', why: error.message };
    throw error;
  }
}

async function readState(ask: Ask, settings: ConnectionSettings): Promise<DatabaseRead> {
  const [[row]] = (await ask(catalogQuestion(settings.schema))) as unknown as [[Catalog]];
  if (row.versionTables.length === 0 && !row.airflow) refuseHidden(row, settings);
  const answers = await askRows(ask, row, settings);
  const cluster = answers.pop()?.[0]?.cluster;
  const versionTables = row.versionTables.map((table, index): [string, string[]] => [
    table,
    (answers[index] ?? []).map(({ revision }) => String(revision)),
  ]);
  const identity: DatabaseIdentity = { database: row.database, oid: row.oid, cluster: String(cluster ?? '') };
  return { state: 'read', versionTables: Object.fromEntries(versionTables), airflowTables: row.airflow, identity };
}

/**
 * Alembic finds its table by the search path alone: Airflow passes it no schema, also when SQL_ALCHEMY_SCHEMA is set
 * (airflow/migrations/env.py, 2.7 to 3.2). So the search path decides, and the setting only where it finds nothing.
 */
function catalogQuestion(schema: string | undefined): string {
  const set = schema === undefined ? 'null::text' : escapeLiteral(schema);
  const names = `array[${airflowTables.map(escapeLiteral).join(', ')}]`;
  return `
    with place as (
      select coalesce(
        (select relnamespace from pg_class where oid = to_regclass('alembic_version')),
        (select oid from pg_namespace where nspname = ${set}),
        (select oid from pg_namespace where nspname = (current_schemas(false))[1])
      ) as schema
    ), wanted as (
      select case btrim(part, ' "') when '$user' then current_user::text else btrim(part, ' "') end as name
      from unnest(string_to_array(current_setting('search_path'), ',')) as part
      union select ${set}
    ), airflow as (
      select relnamespace as schema from pg_class
      where relkind in ('r', 'p') and relname = any (${names}) group by relnamespace having count(*) >= 2
    )
    select
      (select nspname::text from pg_namespace, place where oid = schema) as schema,
      array(select c.relname::text from place, pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'version_num' and not a.attisdropped
        where c.relnamespace = schema and c.relkind in ('r', 'p', 'v') and left(c.relname, 15) = 'alembic_version'
        order by 1) as "versionTables",
      exists (select from airflow where schema in (select schema from place
        union select oid from pg_namespace where nspname = ${set})) as airflow,
      array(select nspname::text from pg_namespace
        where nspname in (select name from wanted) and not has_schema_privilege(oid, 'usage')) as denied,
      array(select n.nspname::text from airflow join pg_namespace n on n.oid = schema
        join pg_class c on c.relnamespace = schema and c.relname = 'alembic_version'
        where has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
          and ${set} is null
          and (select source from pg_settings where name = 'search_path') in ('default', 'configuration file')
      ) as elsewhere,
      current_database()::text as database,
      (select oid::text from pg_database where datname = current_database()) as oid,
      has_function_privilege('pg_control_system()', 'execute') as "mayReadCluster"`;
}

/**
 * "Nothing there" lets any image through, so it must be true: not a schema that we may not look into, and not a search
 * path that Airflow sets in code of its own (sql_alchemy_connect_args) while its tables stand elsewhere.
 */
function refuseHidden({ denied, elsewhere }: Catalog, settings: ConnectionSettings): void {
  const at = settings.hosts.map(addressOf).join(',');
  if (denied[0] !== undefined)
    throw new DatabaseUnreadable(`${at}: permission denied for schema ${denied[0]} (user ${settings.user})`);
  if (elsewhere[0] !== undefined)
    throw new DatabaseUnreadable(
      `${at}: Airflow's tables are in schema ${elsewhere[0]}, which this connection does not name; add options=-csearch_path%3D${elsewhere[0]} to the URL or set AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA`,
    );
}

/**
 * Rows of each table, and last the cluster's identity. Any role may run pg_control_system unless someone revoked it;
 * then the identity is '' and database name and oid must do.
 */
async function askRows(ask: Ask, { schema, versionTables, mayReadCluster }: Catalog, settings: ConnectionSettings) {
  const rows = versionTables.map(
    (table) =>
      `select left(version_num::text, 100) as revision from ${escapeIdentifier(schema ?? '')}.${escapeIdentifier(table)} order by 1 limit ${mostRows}`,
  );
  const cluster = mayReadCluster
    ? 'select system_identifier::text as cluster from pg_control_system()'
    : `select '' as cluster`;
  try {
    return await ask([...rows, cluster].join('; '));
  } catch (error) {
    // The catalog has just named these tables, so it is no slip of ours: a migration dropped one in between.
    if (error instanceof DatabaseError && error.code === '42P01')
      throw new DatabaseUnreadable(
        `${settings.hosts.map(addressOf).join(',')}: the version tables changed while they were read`,
      );
    throw error;
  }
}
