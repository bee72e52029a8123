import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../cluster/run/command.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { airflowEnv, type Runner, startRunner } from './airflow.ts';
import { ensureVenv } from './venv.ts';

let postgres: Postgres;
let folder: string;
let env: NodeJS.ProcessEnv;
let runner: Runner;

const oldForm = '{"__var": {"a": 1}, "__type": "dict"}';
const newForm = '{"a": "the secret of a trigger"}';
const deepForm = '{"__var": {"a": [{"deep": "the secret of a trigger"}]}, "__type": "dict"}';
// What a leaf of the older form holds is no envelope, and may look like the new form.
const leafForm = '{"__var": {"a": {"__var": {"name": "n", "extra": {}}, "__type": "asset"}}, "__type": "dict"}';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-rows-'));
  const bin = await ensureVenv('3.2.1');
  postgres = await startPostgres();
  await postgres.createDatabase('air');
  env = airflowEnv(bin, folder, postgres.url('air'));
  await run(join(bin, 'airflow'), ['db', 'migrate'], { env });

  // Rows alone matter here, so the Dags and runs that they belong to are left out.
  const insert = `SET session_replication_role = replica;
    INSERT INTO task_instance (id, task_id, dag_id, run_id, try_number, pool, pool_slots, next_kwargs)
    SELECT gen_random_uuid(), 't' || n, 'd', 'r', 1, 'p', 1, kwargs::jsonb
    FROM unnest(ARRAY['${oldForm}', '${newForm}', '{}', 'null', '[1]', NULL, '${deepForm}', '${leafForm}']) WITH ORDINALITY AS given(kwargs, n)`;
  await postgres.query('air', insert);
  await postgres.query(
    'air',
    `INSERT INTO connection (conn_id, conn_type, is_encrypted, is_extra_encrypted) VALUES ('a', 'http', false, true), ('b', 'http', false, false);
     INSERT INTO variable (key, val, is_encrypted) VALUES ('a', 'v', true), ('b', 'v', false)`,
  );
  const encrypt = `from cryptography.fernet import Fernet; import os, sys
print(Fernet(os.environ["AIRFLOW__CORE__FERNET_KEY"]).encrypt(sys.stdin.read().encode()).decode())`;
  const encrypted = async (text: string) =>
    (await run(join(bin, 'python'), ['-c', encrypt], { env, input: text })).stdout.trim();
  const both = async (kwargs: string) => [kwargs, await encrypted(kwargs)];
  const triggers = await Promise.all([oldForm, newForm, deepForm, leafForm].map(both));
  for (const kwargs of [...triggers.flat(), 'gAAAAAother-key']) {
    const trigger = `INSERT INTO trigger (classpath, kwargs, created_date) VALUES ('c', $1, now())`;
    await postgres.query('air', trigger, [kwargs]);
  }
  // Two tasks wait for each of the first eight triggers but the last, whose task has ended; one for that of another key.
  const waiting = `SET session_replication_role = replica;
    INSERT INTO task_instance (id, task_id, dag_id, run_id, try_number, pool, pool_slots, state, trigger_id)
    SELECT gen_random_uuid(), 'w' || n, 'd', 'r', 1, 'p', 1, CASE WHEN n IN (8, 16) THEN 'success' ELSE 'deferred' END,
      CASE WHEN n = 17 THEN 9 ELSE (n - 1) % 8 + 1 END
    FROM generate_series(1, 17) AS n;
    UPDATE trigger SET classpath = 'x.' || CASE WHEN id IN (3, 4) THEN 'Other' ELSE 'One' END;
    INSERT INTO trigger (classpath, kwargs, created_date) VALUES ('x.Two; DROP', '{"b": 1, "a": 2}', now()),
      ('x.Three', '{"$(PATH)": 1}', now()), ('x.Four', '{"Encoding.TYPE": "dict", "Encoding.VAR": {"b": 1, "a": 2}}', now());
    INSERT INTO callback (id, type, fetch_method, data, priority_weight, created_at, trigger_id)
    SELECT gen_random_uuid(), 'triggerer', 'import_path', '{}', 1, now(), n FROM generate_series(10, 11) AS n;
    INSERT INTO asset_watcher (name, asset_id, trigger_id) VALUES ('w', 1, 12)`;
  await postgres.query('air', waiting);
  runner = await startRunner(env, join(folder, 'talk'));
}, 900_000);

afterAll(async () => {
  runner?.child.kill();
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

it('counts the rows that 3.1 can not read, encrypted or not, however deep it lies, and tells ids but no content (S4-10, S4-15, S2-10)', async () => {
  const { rows, unconvertible, encrypted, fernetKeys } = await runner.file('inspect.json');
  expect([encrypted, fernetKeys]).toEqual([{ connection: 1, variable: 1, trigger: 5 }, ['6b75a76f0e3b']]);
  const affected = await postgres.query('air', `SELECT id FROM task_instance WHERE task_id IN ('t2', 't3', 't7')`);
  expect(rows).toEqual([
    {
      table: 'task_instance',
      column: 'next_kwargs',
      count: 3,
      examples: expect.arrayContaining(affected.map((r) => r.id)),
    },
    { table: 'task_instance_history', column: 'next_kwargs', count: 0, examples: [] },
    { table: 'trigger', column: 'kwargs', count: 7, examples: [3, 4, 5, 6, 10], undecipherable: 1 },
  ]);
  const why = 'no key of this image opens them';
  expect(unconvertible).toEqual([{ table: 'trigger', column: 'kwargs', count: 1, ids: '9', why }]);
  expect(JSON.stringify([rows, unconvertible]) + runner.printed()).not.toContain('the secret of a trigger');
}, 60_000);

it('lists what waits for which trigger, with the names of its arguments, encrypted or not, in either form', async () => {
  const { triggers } = await runner.file('inspect.json');
  const nobody = { tasks: 0, watchers: 0, callbacks: 0 };
  expect(triggers).toEqual([
    { ...nobody, class: 'x.One', arguments: ['a'], tasks: 10 },
    { ...nobody, class: 'x.Other', arguments: ['a'], tasks: 4 },
    { ...nobody, class: null, arguments: ['a', 'b'], callbacks: 1 },
    { ...nobody, class: 'x.Four', arguments: ['a', 'b'], watchers: 1 },
    { ...nobody, class: 'x.One', arguments: null, tasks: 1 },
    { ...nobody, class: 'x.Three', arguments: null, callbacks: 1 },
  ]);
  expect(await runner.stop()).toBe(0);
}, 60_000);
