import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../cluster/run/command.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { Hopeless, waitFor } from '../cluster/run/wait.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { airflowEnv, fabManager, startRunner } from './airflow.ts';
import { type AirflowProcesses, type Part, sharedSettings, startAirflow } from './processes.ts';
import { ensureVenv } from './venv.ts';

// From when 3.2.1 runs; it takes some 15 s to find and defer its tasks, and to end, on an idle machine.
const waitSeconds = 100;
const allParts: Part[] = ['api-server', 'scheduler', 'triggerer', 'dag-processor'];
const schemas = [
  { kind: 'core', toRevision: '509b94a1042d' },
  { kind: 'manager', class: fabManager, versionTable: 'alembic_version_fab', toRevision: '6709f7a774b9' },
];

/** An operator and its trigger that keep more than text, and wait until a file is there. */
const waiting = (file: string) => `
import asyncio, datetime, os
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

KEPT = {
    "moment": datetime.datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=datetime.timezone.utc),
    "span": datetime.timedelta(minutes=90),
    "pair": (1, {"deep": ["x", ("y",)]}),
}

class FileIsThere(BaseTrigger):
    def __init__(self, **kwargs):
        super().__init__()
        self.given = kwargs

    def serialize(self):
        return "waiting.FileIsThere", self.given

    async def run(self):
        while not os.path.exists("${file}"):
            await asyncio.sleep(0.2)
        yield TriggerEvent({"triggerHasKept": self.given == KEPT})

class WaitsForFile(BaseOperator):
    def execute(self, context):
        self.defer(trigger=FileIsThere(**KEPT), method_name="resume", kwargs=KEPT)

    def resume(self, context, event, **kwargs):
        assert event == {"triggerHasKept": True}, event
        assert kwargs == KEPT, kwargs
`;

const dag = (start: Date) => `
import datetime, waiting
from airflow.sdk import DAG, task
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor

start = datetime.datetime.fromtimestamp(${start.getTime() / 1000}, tz=datetime.timezone.utc)
with DAG("waits", schedule="@once", start_date=start) as dag:
    @task
    def after():
        pass
    sensor = TimeDeltaSensor(task_id="sensor", delta=datetime.timedelta(seconds=${waitSeconds}), deferrable=True)
    sensor >> after.override(task_id="after_sensor")()
    waiting.WaitsForFile(task_id="operator") >> after.override(task_id="after_operator")()
`;

let postgres: Postgres;
let folder: string;
let newer: string;
let older: string;
const started: AirflowProcesses[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-deferred-'));
  [newer, older] = [await ensureVenv('3.2.1'), await ensureVenv('3.1.8')];
  postgres = await startPostgres();
  await postgres.createDatabase('air');
}, 900_000);

afterAll(async () => {
  const ends = await Promise.allSettled(started.map((processes) => processes.stop()));
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
  expect(ends.filter((end) => end.status === 'rejected')).toEqual([]);
}, 60_000);

async function envAt(bin: string, database: string, name: string): Promise<NodeJS.ProcessEnv> {
  const [home, [port]] = [join(folder, name), await freePorts(1)];
  await mkdir(home, { recursive: true });
  const env = airflowEnv(bin, home, postgres.url(database));
  return { ...env, ...sharedSettings(port!, join(folder, 'dags')), PYTHONPATH: folder };
}

async function start(bin: string, env: NodeJS.ProcessEnv, parts: Part[]): Promise<AirflowProcesses> {
  const processes = await startAirflow(bin, env, parts);
  started.push(processes);
  return processes;
}

async function states(): Promise<Record<string, unknown>> {
  const rows = await postgres.query('air', 'SELECT task_id, state FROM task_instance');
  return Object.fromEntries(rows.map(({ task_id, state }) => [task_id, state]));
}

/** Waits until these tasks are in this state; fails at once when a part of Airflow has ended or a task has failed. */
async function until(state: string, tasks: string[], processes: AirflowProcesses, timeoutMs: number): Promise<void> {
  await waitFor(`${tasks.join(', ')} ${state}`, timeoutMs, async () => {
    if (processes.ended().length) throw new Hopeless(processes.ended().join('\n'));
    const seen = await states();
    if (tasks.some((task) => ['failed', 'up_for_retry', 'upstream_failed'].includes(String(seen[task])))) {
      throw new Hopeless(JSON.stringify(seen));
    }
    if (tasks.every((task) => seen[task] === state)) return true;
    throw new Error(JSON.stringify(seen));
  });
}

/** Our runner, as the newer image, on a database: all these steps. */
async function takeBack(database: string, steps: unknown[]) {
  const runner = await startRunner(
    await envAt(newer, database, `runner-${database}`),
    join(folder, `talk-${database}`),
  );
  try {
    const { database: at } = await runner.file('inspect.json');
    await runner.order({ token: 1, run: 'one', identity: at.identity, steps });
    return await runner.file('result.json');
  } finally {
    await runner.stop();
  }
}

it('tasks that were deferred under 3.2.1 finish under 3.1.8, which without the conversion dies (S0-24, S4-1, S4-2, S4-3, S4-4, S4-7)', async () => {
  const env = await envAt(newer, 'air', 'newer');
  await run(join(newer, 'airflow'), ['db', 'migrate'], { env });
  const file = join(folder, 'there');
  await mkdir(join(folder, 'dags'));
  await writeFile(join(folder, 'waiting.py'), waiting(file));
  const before = await start(newer, env, allParts);
  await writeFile(join(folder, 'dags', 'waits.py'), dag(new Date()));
  await until('deferred', ['sensor', 'operator'], before, 120_000);
  await before.stop();
  expect(await states()).toMatchObject({ sensor: 'deferred', operator: 'deferred' });
  await postgres.query('postgres', 'CREATE DATABASE unconverted TEMPLATE air');

  const result = await takeBack('air', [{ kind: 'convert' }, ...schemas]);
  expect(result).toMatchObject({ ok: true });
  expect(result.facts?.[0]).toMatchObject({
    converted: { 'task_instance.next_kwargs': 2, 'trigger.kwargs': 2 },
    asText: [],
  });
  const after = await start(older, await envAt(older, 'air', 'older'), allParts);
  await writeFile(file, '');
  await until('success', ['operator', 'after_operator'], after, 90_000);

  expect(await takeBack('unconverted', schemas)).toMatchObject({ ok: true });
  const parts: Part[] = ['scheduler', 'triggerer'];
  const doomed = await start(older, await envAt(older, 'unconverted', 'doomed'), parts);
  for (const part of parts) {
    expect(await doomed.untilEnded(part, 60_000)).toContain("KeyError: <Encoding.VAR: '__var'>");
  }
  await until('success', ['sensor', 'after_sensor'], after, 120_000);
  expect(after.ended()).toEqual([]);
  await after.stop();
}, 400_000);
