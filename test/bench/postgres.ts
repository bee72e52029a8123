/**
 * A PostgreSQL in a process of its own, with a database as Airflow 3.2.1 leaves it: its version tables are what is read.
 * It prints the URL, and stops the server when its standard input ends.
 */

import { startPostgres } from '../database/postgres.ts';
import { revisionsOf } from '../make/release.ts';
import { leaveWithParent } from './child.ts';

const postgres = await startPostgres();
leaveWithParent(() => void postgres.stop().finally(() => process.exit()));
await postgres.createDatabase('airflow');
const { core, fab } = revisionsOf['3.2.1'];
const tables = { alembic_version: core, alembic_version_fab: fab };
for (const [table, revision] of Object.entries(tables)) {
  await postgres.query('airflow', `create table ${table} (version_num varchar(32) primary key)`);
  await postgres.query('airflow', `insert into ${table} values ($1)`, [revision]);
}
for (const table of ['dag', 'dag_run', 'task_instance', 'job', 'log', 'connection', 'slot_pool'])
  await postgres.query('airflow', `create table ${table} (id integer)`);
console.log(postgres.url('airflow'));
