/** What hazards.py finds is what the real reverse scripts then do (S2-36, S2-32, S4-17): real Airflow 3.2.1, real PostgreSQL. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatabaseSizes, FoundHazard, Obstacle } from '../../src/release/model/runner.ts';
import { run } from '../cluster/run/command.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { packageEnv } from '../make/inside.ts';
import { airflowEnv } from './airflow.ts';
import { ensureVenv } from './venv.ts';

const program = `import json, time
from downdraft.image import chain_of, core_scripts
from downdraft.inspect import hazards
from downdraft.inspect.hazards import hazards_of, limits_of, obstacles_of, sizes_of
from downdraft.metadata import engine, rows, version_tables
`;

/** As the inspection looks: in one read-only transaction with a time limit of its own. */
const look = `
import airflow
scripts, begun = core_scripts(), time.monotonic()
with engine().connect() as connection, connection.begin():
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    connection.exec_driver_sql("SET LOCAL statement_timeout = '300s'")
    told = {"hazards": hazards_of(connection, [link["revision"] for link in chain_of(scripts)], scripts),
            "sizes": sizes_of(connection), "limits": limits_of(connection), "obstacles": obstacles_of(connection),
            "after": rows(connection, "SELECT current_setting('statement_timeout')")[0][0]}
print("TOLD " + json.dumps(dict(told, seconds=time.monotonic() - begun)))
`;

/** Rows as Airflow 3.2.1 itself makes them. */
const rowsByAirflow = `
from datetime import timedelta
from airflow import settings
from airflow._shared.timezones import timezone
from airflow.models import DagModel, DagRun, Trigger, Connection, Log, Pool
from airflow.models.asset import AssetModel, AssetWatcherModel
from airflow.models.backfill import Backfill
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dag_favorite import DagFavorite
from airflow.models.deadline import Deadline
from airflow.models.revoked_token import RevokedToken
from airflow.models.team import Team
from airflow.sdk.definitions.callback import AsyncCallback, SyncCallback
now, session = timezone.utcnow(), settings.Session()
bundle = DagBundleModel(name="long"); bundle.signed_url_template = "x" * 201
session.add_all([bundle, DagBundleModel(name="short"), Team(name="n" * 40), Team(name="short")])
session.flush()
connection = Connection(conn_id="c", conn_type="http", login="l" * 501); connection.team_name = "n" * 40
session.add(connection)
session.add(DagModel(dag_id="d", bundle_name="short", fileloc="d.py", next_dagrun=now, next_dagrun_create_after=now, timetable_summary="@daily"))
session.flush()
dated = DagRun("d", "dated", logical_date=now, run_after=now, run_type="manual", state="success", triggering_user_name="anna", note="n")
undated = DagRun("d", "undated", run_after=now, run_type="asset_triggered", state="success", partition_key="k")
filled = DagRun("d", "filled", logical_date=now - timedelta(days=1), run_after=now, run_type="backfill", state="running")
session.add_all([dated, undated, filled]); session.flush()
session.add(Deadline(now + timedelta(days=1), AsyncCallback("some.where", {"a": 1}), dated.id, None))
session.add(Deadline(now + timedelta(days=1), SyncCallback("some.where"), dated.id, None))
session.add_all([Backfill(dag_id="d", from_date=now, to_date=now), DagFavorite(user_id="1", dag_id="d"),
                 RevokedToken(jti="a", exp=now + timedelta(days=1)), RevokedToken(jti="b", exp=now - timedelta(days=1)),
                 Log(event="e" * 31), Log(event="e" * 31), Log(event="e" * 32), Log(event="short")])
asset, other = AssetModel(name="a", uri="x://one"), AssetModel(name="b", uri="x://one")
trigger = Trigger("t", {"secret": "of a trigger"}, created_date=now)
session.add_all([asset, other, trigger]); session.flush()
session.add(AssetWatcherModel(name="w", asset_id=asset.id, trigger_id=trigger.id))
session.commit()
`;

/** The counts that these rows and those by SQL must give, for the way to 2.7. */
const expected: Record<string, number | null> = {
  'next-runs': 1,
  'partition-keys': 1,
  'revoked-tokens': 1,
  'executor-ids-cut': 1,
  'team-names-long': 1,
  'executor-callbacks': 1,
  'callback-sequence': null,
  'asset-watchers': 1,
  'bundle-url-long': 1,
  'compressed-dags': 1,
  teams: 2,
  'deadlines-refused': 2,
  favorites: 1,
  'triggering-users': 1,
  deadlines: 2,
  'dag-versions': 1,
  'notes-by-name': 1,
  'notes-of-nobody': 1,
  'assets-of-one-uri': 1,
  backfills: 1,
  'backfill-runs-open': 1,
  'undated-runs': 1,
  'undated-tasks': 1,
  'moved-before': 1,
  'triggers-encrypted': 1,
  'events-long': 2,
  'connections-long': 1,
};

/** What Airflow makes only together with much else. */
const rowsBySql = `SET session_replication_role = replica;
  INSERT INTO dag_version (id, version_number, dag_id, created_at, last_updated) VALUES ('00000000-0000-0000-0000-000000000001', 1, 'd', now(), now());
  INSERT INTO serialized_dag (id, dag_id, data_compressed, created_at, last_updated, dag_hash, dag_version_id)
    VALUES ('00000000-0000-0000-0000-000000000002', 'd', '\\x789cab568a8f2f4b2d2acecccf53b25230d651504acec94ccd2b894f494d4b2ccd2929068a56d702855312d3c1cc5a00af3510b4', now(), now(), '', '00000000-0000-0000-0000-000000000001');
  INSERT INTO task_instance (id, task_id, dag_id, run_id, map_index, try_number, max_tries, pool, pool_slots, external_executor_id)
    SELECT gen_random_uuid(), run, 'd', run, -1, 1, 0, 'p', 1, repeat('x', 225 + 5 * length(run)) FROM unnest(ARRAY['dated', 'undated']) AS run;
  INSERT INTO task_instance_note (ti_id, user_id, content, created_at, updated_at)
    SELECT id, CASE task_id WHEN 'dated' THEN 'anna' ELSE '77' END, 'n', now(), now() FROM task_instance WHERE task_id = 'dated';
  UPDATE dag_run_note SET user_id = '77';
  CREATE TABLE _airflow_moved__3_0_0__offending_dag_run (id int)`;

/** Where the reverse scripts stop on these rows, newest first, and what the remedy amounts to. */
const stops: [hazard: string, remedy: string][] = [
  ['team-names-long', "UPDATE connection SET team_name = 'short'"],
  ['bundle-url-long', 'UPDATE dag_bundle SET signed_url_template = NULL'],
  ['deadlines-refused', 'DELETE FROM deadline'],
  ['moved-before', 'DROP TABLE _airflow_moved__3_0_0__offending_dag_run'],
  ['notes-of-nobody', 'UPDATE dag_run_note SET user_id = NULL'],
  ['triggers-encrypted', 'DELETE FROM trigger'],
  ['events-long', 'UPDATE log SET event = left(event, 30)'],
  ['connections-long', "UPDATE connection SET login = ''"],
];

interface Told {
  hazards: FoundHazard[];
  sizes: DatabaseSizes;
  limits: Record<string, number>;
  obstacles: Obstacle[];
  after: string;
  seconds: number;
}

let postgres: Postgres;
let folder: string;
let bin: string;

/** Runs the program and some more Python in the image; answers what it printed after TOLD. */
async function python(more: string, on = 'air'): Promise<Told> {
  const env = { ...airflowEnv(bin, folder, postgres.url(on)), ...packageEnv };
  const { stdout } = await run(join(bin, 'python'), ['-'], { env, input: program + more, timeoutMs: 240_000 });
  const told = stdout.split('\n').find((line) => line.startsWith('TOLD '));
  return JSON.parse((told ?? 'TOLD null').slice(5));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-hazards-'));
  bin = await ensureVenv('3.2.1');
  postgres = await startPostgres();
  await postgres.createDatabase('air');
  await run(join(bin, 'airflow'), ['db', 'migrate'], { env: airflowEnv(bin, folder, postgres.url('air')) });
}, 900_000);

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('hazards in the database of a real 3.2.1', () => {
  it('finds nothing but what is in every such database, while it is empty', async () => {
    const { hazards } = await python(look);
    expect(hazards.map(({ id, count, error }) => [id, count, error])).toEqual([['callback-sequence', null, undefined]]);
  }, 120_000);

  it('counts each kind of row, names examples by id, and leaves the transaction as it was', async () => {
    await python(rowsByAirflow);
    await postgres.query('air', rowsBySql);
    const { hazards, after } = await python(look);
    expect(Object.fromEntries(hazards.map(({ id, count, error }) => [id, error ?? count]))).toEqual(expected);
    expect(hazards.find(({ id }) => id === 'bundle-url-long')?.examples).toEqual(['long']);
    expect(JSON.stringify(hazards)).not.toContain('of a trigger');
    expect(after).toBe('5min');
  }, 120_000);

  it('S4-17: the real reverse scripts stop at the hazards that refuse, at no others, and go on once they are mended', async () => {
    const { hazards } = await python(look);
    const refuses = hazards.filter(({ effect }) => effect === 'refuses');
    expect(refuses.map(({ id }) => id).sort()).toEqual(stops.map(([id]) => id).sort());
    const remedies = Object.fromEntries(
      stops.map(([id, sql]) => [refuses.find((hazard) => hazard.id === id)!.crosses, [id, sql]]),
    );
    const down = `
from airflow.utils import db
remedies, stopped = json.loads(r'''${JSON.stringify(remedies)}'''), []
while True:
    try:
        db.downgrade(to_revision="405de8318b3a")
        break
    except Exception as error:
        engine().dispose()
        with engine().begin() as connection:
            at = version_tables(connection)["alembic_version"][0]
            if at not in remedies:
                raise
            name, sql = remedies.pop(at)
            stopped.append(name)
            connection.exec_driver_sql(sql)
print("TOLD " + json.dumps(stopped))`;
    expect(await python(down)).toEqual(stops.map(([id]) => id));
  }, 300_000);

  it('S2-32, S2-36: names who is in the way, the limits of the role, and sizes, and does not wait for a lock', async () => {
    await postgres.createDatabase('held');
    await postgres.query('postgres', "ALTER DATABASE held SET statement_timeout = '90s'");
    await postgres.query('held', 'CREATE TABLE alembic_version (version_num text); CREATE TABLE job (id int)');
    const somebody = async (application_name: string, sql: string) => {
      const client = new pg.Client({ connectionString: postgres.url('held'), application_name });
      await client.connect();
      await client.query(sql);
      return client;
    };
    const clients = [
      await somebody('sleeper', 'BEGIN; SELECT 1'),
      await somebody('migration', 'SELECT pg_advisory_lock(1)'),
      await somebody('runner', `SELECT pg_advisory_lock(${BigInt(`0x${Buffer.from('downdraf').toString('hex')}`)})`),
      await somebody('harmless', 'SELECT pg_advisory_lock(2)'),
    ];
    const { obstacles, limits, sizes } = await python(`hazards.IDLE_TRANSACTION_SECONDS = 0\n${look}`, 'held');
    expect(obstacles.map(({ application, what }) => [application, what]).sort()).toEqual([
      ['migration', "holds the lock of Airflow's migrations"],
      ['runner', "holds downdraft's lock"],
      ['sleeper', 'idle in a transaction'],
    ]);
    expect(obstacles.every(({ pid, user }) => typeof pid === 'number' && user === 'postgres')).toBe(true);
    expect(limits).toMatchObject({ statement_timeout: 90_000, idle_in_transaction_session_timeout: 0 });
    expect(sizes.databaseBytes).toBeGreaterThan(1e6);
    expect(sizes.tables).toEqual(expect.arrayContaining([{ table: 'job', bytes: 0, rows: 0 }]));
    for (const client of clients) await client.end();
  }, 120_000);
});
