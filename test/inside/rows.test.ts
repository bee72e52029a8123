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
    FROM unnest(ARRAY['${oldForm}', '${newForm}', '{}', 'null', '[1]', NULL]) WITH ORDINALITY AS given(kwargs, n)`;
  await postgres.query('air', insert);
  const encrypt = `from cryptography.fernet import Fernet; import os, sys
print(Fernet(os.environ["AIRFLOW__CORE__FERNET_KEY"]).encrypt(sys.stdin.read().encode()).decode())`;
  const encrypted = async (text: string) =>
    (await run(join(bin, 'python'), ['-c', encrypt], { env, input: text })).stdout.trim();
  for (const kwargs of [oldForm, await encrypted(oldForm), newForm, await encrypted(newForm), 'gAAAAAother-key']) {
    const trigger = `INSERT INTO trigger (classpath, kwargs, created_date) VALUES ('c', $1, now())`;
    await postgres.query('air', trigger, [kwargs]);
  }
}, 900_000);

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

it('counts the rows that 3.1 can not read, encrypted or not, and tells their ids but not what is in them', async () => {
  const runner = await startRunner(env, join(folder, 'talk'));
  const { rows } = await runner.file('inspect.json');
  const affected = await postgres.query('air', `SELECT id FROM task_instance WHERE task_id IN ('t2', 't3')`);
  expect(rows).toEqual([
    {
      table: 'task_instance',
      column: 'next_kwargs',
      count: 2,
      examples: expect.arrayContaining(affected.map((r) => r.id)),
    },
    { table: 'task_instance_history', column: 'next_kwargs', count: 0, examples: [] },
    { table: 'trigger', column: 'kwargs', count: 2, examples: [3, 4], undecipherable: 1 },
  ]);
  expect(JSON.stringify(rows) + runner.printed()).not.toContain('the secret of a trigger');
  expect(await runner.stop()).toBe(0);
}, 60_000);
