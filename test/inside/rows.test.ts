import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../cluster/command.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { airflowEnv, startRunner } from './airflow.ts';
import { ensureVenv } from './venv.ts';

let postgres: Postgres;
let folder: string;
let env: NodeJS.ProcessEnv;

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
}, 900_000);

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

it('counts the rows that 3.1 can not read, encrypted or not, however deep it lies, and tells ids but no content (S4-10, S4-15)', async () => {
  const runner = await startRunner(env, join(folder, 'talk'));
  const { rows, unconvertible } = await runner.file('inspect.json');
  const affected = await postgres.query('air', `SELECT id FROM task_instance WHERE task_id IN ('t2', 't3', 't7')`);
  expect(rows).toEqual([
    {
      table: 'task_instance',
      column: 'next_kwargs',
      count: 3,
      examples: expect.arrayContaining(affected.map((r) => r.id)),
    },
    { table: 'task_instance_history', column: 'next_kwargs', count: 0, examples: [] },
    { table: 'trigger', column: 'kwargs', count: 4, examples: [3, 4, 5, 6], undecipherable: 1 },
  ]);
  const why = 'no key of this image opens them';
  expect(unconvertible).toEqual([{ table: 'trigger', column: 'kwargs', count: 1, ids: '9', why }]);
  expect(JSON.stringify([rows, unconvertible]) + runner.printed()).not.toContain('the secret of a trigger');
  expect(await runner.stop()).toBe(0);
}, 60_000);
