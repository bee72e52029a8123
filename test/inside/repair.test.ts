/** The step `repair` after real reverse scripts of 3.2.1, and managers that have scripts but no downgrade (Edge3). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../cluster/run/command.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { packageEnv } from '../make/inside.ts';
import { airflowEnv } from './airflow.ts';
import { ensureVenv } from './venv.ts';

// A step tells its progress and asks for its authority; here nobody listens and nobody objects.
const program = `import json
from downdraft.image import import_class, manager_scripts
from downdraft.metadata import engine, version_tables
from downdraft.steps.repair import give_numbers, repair
from downdraft.steps.reversible import reverse_by_scripts, without_reverse
from downdraft.orders.work import Work
class Quiet:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None
`;

const crossed = ['6222ce48e289', 'b87d2135fa50', '55297ae24532', 'cc92b33c6709'];
const repairTwice = `
work = Work({}, Quiet(), Quiet(), Quiet())
print("TOLD " + json.dumps([repair({"kind": "repair", "crossed": ${JSON.stringify(crossed)}}, work) for _ in range(2)]))`;

const abTables = [
  'group',
  'group_role',
  'permission',
  'permission_view',
  'permission_view_role',
  'register_user',
  'role',
]
  .concat(['user', 'user_group', 'user_role', 'view_menu'])
  .map((name) => `ab_${name}`);

/** A serialized Dag with a deadline, whose callback is of this class. */
const deadline = (name: string) =>
  JSON.stringify({
    __version: 2,
    dag: { dag_id: 'deadline', deadline: [{ __var: { callback: { __classname__: name } } }] },
  });

/** A compressed serialized Dag of format 3. */
const dag = `import zlib; print(zlib.compress(json.dumps({"__version": 3, "client_defaults": {"tasks": {}}, "dag": {"dag_id": "d"}}).encode()).hex())`;

let postgres: Postgres;
let folder: string;
let bin: string;

/** Runs the program and some more Python in an image on a database; answers what it printed after TOLD. */
async function python(on: string, more: string, image = bin): Promise<unknown> {
  const env = { ...airflowEnv(image, folder, postgres.url(on)), ...packageEnv };
  const { stdout } = await run(join(image, 'python'), ['-'], { env, input: program + more, timeoutMs: 120_000 });
  return JSON.parse(/^TOLD (.*)$/m.exec(stdout)?.[1] ?? 'null');
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-repair-'));
  bin = await ensureVenv('3.2.1');
  postgres = await startPostgres();
}, 900_000);

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('repair', () => {
  it('gives ids numbers again, clears next runs and converts compressed Dags, once', async () => {
    await postgres.createDatabase('air');
    const env = airflowEnv(bin, folder, postgres.url('air'));
    await run(join(bin, 'airflow'), ['db', 'migrate'], { env });
    const { stdout } = await run(join(bin, 'python'), ['-c', `import json; ${dag}`], { env });
    await postgres.query(
      'air',
      `SET session_replication_role = replica;
       INSERT INTO dag_bundle (name) VALUES ('b');
       INSERT INTO dag (dag_id, bundle_name, is_paused, is_stale, fileloc, max_active_tasks, max_consecutive_failed_dag_runs, has_task_concurrency_limits, timetable_type, exceeds_max_non_backfill, timetable_partitioned, fail_fast, next_dagrun, next_dagrun_create_after)
         VALUES ('d', 'b', false, false, 'd.py', 16, 0, false, '', false, false, false, now(), now());
       INSERT INTO serialized_dag (id, dag_id, data_compressed, created_at, last_updated, dag_hash, dag_version_id)
         VALUES (gen_random_uuid(), 'd', '\\x${stdout.trim()}', now(), now(), '', gen_random_uuid());
       INSERT INTO serialized_dag (id, dag_id, data, created_at, last_updated, dag_hash, dag_version_id)
         VALUES (gen_random_uuid(), 'deadline', '${deadline('airflow.sdk.definitions.callback.AsyncCallback')}', now(), now(), '', gen_random_uuid());
       SET session_replication_role = DEFAULT;
       INSERT INTO dag_run (dag_id, run_id, run_type, run_after, state, logical_date, data_interval_start, data_interval_end)
         SELECT 'd', 'scheduled__' || to_char(day + 1, 'YYYY-MM-DD') || 'T00:00:00+00:00', 'scheduled', day + 1, 'success', day, day, day + 1
         FROM (VALUES (date '2026-01-01'), (date '2026-01-02')) AS days (day);
       INSERT INTO task_instance (id, dag_id, run_id, task_id, map_index, try_number, max_tries, pool, pool_slots)
         SELECT gen_random_uuid(), dag_id, run_id, 't', -1, 1, 1, 'default_pool', 1 FROM dag_run;
       INSERT INTO ab_role (id, name) VALUES (7, 'seven');
       CREATE SCHEMA superset; CREATE TABLE superset.ab_user (id int PRIMARY KEY)`,
    );
    await run(join(bin, 'airflow'), ['db', 'downgrade', '--to-revision', '509b94a1042d', '--yes'], { env });

    expect(await python('air', repairTwice)).toEqual([
      {
        repaired: {
          numbered: [...abTables, 'callback_request'],
          'dag.next_dagrun': 1,
          'dag_run.run_id': 1,
          'deadline callbacks': 1,
          serialized_dag: 1,
        },
      },
      {
        repaired: {
          numbered: [],
          'dag.next_dagrun': 0,
          'dag_run.run_id': 0,
          'deadline callbacks': 0,
          serialized_dag: 0,
        },
      },
    ]);
    const inserted = [
      ...(await postgres.query('air', `INSERT INTO ab_role (name) VALUES ('next') RETURNING id`)),
      ...(await postgres.query(
        'air',
        `INSERT INTO callback_request (created_at, priority_weight, callback_data, callback_type) VALUES (now(), 1, '{}', 'x') RETURNING id`,
      )),
    ];
    expect(inserted).toEqual([{ id: 8 }, { id: 1 }]);
    const [row] = await postgres.query('air', 'SELECT next_dagrun, next_dagrun_create_after FROM dag');
    expect(row).toEqual({ next_dagrun: null, next_dagrun_create_after: null });
    const runs = 'SELECT r.run_id, t.task_id FROM dag_run r JOIN task_instance t USING (dag_id, run_id) ORDER BY 1';
    expect(await postgres.query('air', runs)).toEqual([
      { run_id: 'scheduled__2026-01-02T00:00:00+00:00', task_id: 't' },
      { run_id: 'scheduled__2026-01-03T00:00:00+00:00__run_after', task_id: 't' },
    ]);
    const putOff = `SELECT count(*)::int AS n FROM pg_constraint WHERE contype = 'f' AND condeferrable`;
    expect(await postgres.query('air', putOff)).toEqual([{ n: 0 }]);
    const named = `SELECT data FROM serialized_dag WHERE dag_id = 'deadline'`;
    const [deadlines] = await postgres.query('air', named);
    expect(deadlines!.data).toEqual(JSON.parse(deadline('airflow.sdk.definitions.deadline.AsyncCallback')));
    const compressed = `SELECT data_compressed FROM serialized_dag WHERE dag_id = 'd'`;
    const [stored] = await postgres.query('air', compressed);
    const converted = JSON.parse(inflateSync(stored!.data_compressed as Buffer).toString());
    expect(converted).toEqual({ __version: 2, dag: { dag_id: 'd' } });
    // A table of somebody's own, in a schema that Airflow doesn't look in.
    const others = `SELECT column_default FROM information_schema.columns WHERE table_schema = 'superset'`;
    expect(await postgres.query('air', others)).toEqual([{ column_default: null }]);
  }, 300_000);

  it("takes numbers on from where a sequence is that FAB's newer models have used", async () => {
    await postgres.createDatabase('numbers');
    await postgres.query(
      'numbers',
      `CREATE TABLE alembic_version (version_num text); CREATE TABLE ab_user (id int PRIMARY KEY);
       CREATE SEQUENCE ab_user_id_seq; SELECT setval('ab_user_id_seq', 41); INSERT INTO ab_user VALUES (3)`,
    );
    await python('numbers', '\ngive_numbers()');
    expect(await postgres.query('numbers', 'INSERT INTO ab_user DEFAULT VALUES RETURNING id')).toEqual([{ id: 42 }]);
  }, 120_000);
});

describe('a manager without a downgrade of its own', () => {
  it('is reversed by its scripts, as far as they really reverse', async () => {
    const edge = await ensureVenv('3.2.1', undefined, ['apache-airflow-providers-edge3']);
    await postgres.createDatabase('edge');
    const env = airflowEnv(edge, folder, postgres.url('edge'));
    await run(join(edge, 'airflow'), ['db', 'migrate'], { env });
    const down = `
cls = import_class("airflow.providers.edge3.models.db.EdgeDBManager")
scripts = manager_scripts(cls)
told = [without_reverse(scripts), without_reverse(scripts, ["9d34dfc2de06"])]
for _ in range(2):
    reverse_by_scripts(cls, "9d34dfc2de06")
with engine().connect() as connection:
    print("TOLD " + json.dumps(told + [version_tables(connection)]))`;
    const columns = `SELECT count(*)::int AS n FROM information_schema.columns WHERE table_name = 'edge_worker' AND column_name IN ('concurrency', 'team_name')`;
    expect(await postgres.query('edge', columns)).toEqual([{ n: 2 }]);
    expect(await python('edge', down, edge)).toEqual([
      [],
      ['9d34dfc2de06'],
      {
        alembic_version: ['1d6611b6ab7c'],
        alembic_version_edge3: ['9d34dfc2de06'],
        alembic_version_fab: ['02ca36b0235b'],
      },
    ]);
    expect(await postgres.query('edge', columns)).toEqual([{ n: 0 }]);
  }, 900_000);
});
