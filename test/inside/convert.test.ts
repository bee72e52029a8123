import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { airflowEnv, type Runner, startRunner } from './airflow.ts';
import { ensureVenv } from './venv.ts';

/** Values as Dags and triggers hand them over, in a module that both releases can import, and how each is compared. */
const values = `
import dataclasses, datetime, decimal, enum, uuid
import attrs, pendulum, pydantic
from airflow.triggers import base

class Model(pydantic.BaseModel):
    number: int

@dataclasses.dataclass
class Data:
    number: int

@attrs.define
class Attrs:
    number: int

class Colour(str, enum.Enum):
    RED = "red"

class Watch(getattr(base, "BaseEventTrigger", base.BaseTrigger)):
    def serialize(self):
        return "values.Watch", {"topics": ["a"], "args": (), "more": {"b": (1, {"c": None})}}
    async def run(self):
        yield None

UTC = datetime.timezone.utc
when = datetime.datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=UTC)
TABLE = {
    "text, numbers, truth and null": {"a": "", "b": [1, -2.5, 0.1, 2**60, True, None]},
    "an empty mapping": {},
    "a moment in UTC": {"moment": when},
    "a moment in a time zone": {"moment": pendulum.instance(when).in_timezone("Europe/Berlin")},
    "a moment without a time zone": {"moment": when.replace(tzinfo=None)},
    "a span of time": {"span": datetime.timedelta(days=1, microseconds=7)},
    "a tuple in a tuple": {"t": (1, ("a", when), [])},
    "a set": {"s": {"a", "b"}},
    "a frozen set": {"s": frozenset({1, 2})},
    "mappings in mappings in lists": {"m": {"": {"x": [{"y": {"z": [{}]}}]}}},
    "names that look like ours": {"__type": "dict", "other": {"__var": 1}},
    "an enum": {"c": Colour.RED},
    "a time zone": {"z": pendulum.timezone("Europe/Berlin")},
    "a Decimal": {"d": decimal.Decimal("1.5")},
    "a UUID": {"u": uuid.UUID(int=7)},
    "a date": {"d": datetime.date(2026, 11, 21)},
    "a pydantic model": {"p": Model(number=1)},
    "a data class": {"p": Data(number=1)},
    "an attrs class": {"p": Attrs(number=1)},
}
`;

/** Read as the value itself, or, where the older form has no place for it, as what 3.1.8 makes of it when it writes. */
const names: [name: string, kept: 'equal' | 'as 3.1.8 writes it'][] = [
  ['text, numbers, truth and null', 'equal'],
  ['an empty mapping', 'equal'],
  ['a moment in UTC', 'equal'],
  ['a moment in a time zone', 'equal'],
  ['a moment without a time zone', 'as 3.1.8 writes it'],
  ['a span of time', 'equal'],
  ['a tuple in a tuple', 'equal'],
  ['a set', 'equal'],
  ['a frozen set', 'equal'],
  ['mappings in mappings in lists', 'equal'],
  ['names that look like ours', 'equal'],
  ['an enum', 'equal'],
  ['a time zone', 'equal'],
  ['a Decimal', 'as 3.1.8 writes it'],
  ['a UUID', 'as 3.1.8 writes it'],
  ['a date', 'as 3.1.8 writes it'],
  ['a pydantic model', 'as 3.1.8 writes it'],
  ['a data class', 'as 3.1.8 writes it'],
  ['an attrs class', 'as 3.1.8 writes it'],
];

/** Writes rows with 3.2.1's own writers: as the models do, as a worker's deferral does, as an asset's watcher does. */
const writeRows = `
import json, values
from sqlalchemy import text
from airflow import settings
from airflow.models.trigger import Trigger
from airflow.sdk.serde import serialize
from airflow.serialization.encoders import encode_trigger

PLACES = {
  "task_instance": "INSERT INTO task_instance (id, task_id, dag_id, run_id, try_number, pool, pool_slots, next_kwargs)"
    " VALUES (gen_random_uuid(), :name, 'd', 'r', 1, 'p', 1, CAST(:kwargs AS jsonb))",
  "task_instance_history": "INSERT INTO task_instance_history (task_instance_id, task_id, dag_id, run_id, map_index,"
    " try_number, pool, pool_slots, next_kwargs) VALUES (gen_random_uuid(), :name, 'd', 'r', -1, 1, 'p', 1,"
    " CAST(:kwargs AS jsonb))",
}
with settings.Session() as session:
    session.execute(text("SET session_replication_role = replica"))
    for name, kwargs in values.TABLE.items():
        session.add(Trigger(classpath=name, kwargs=kwargs))
        deferred = Trigger(classpath=name + " (deferred)", kwargs={})
        deferred.encrypted_kwargs = json.dumps(serialize(kwargs))
        session.add(deferred)
        for insert in PLACES.values():
            session.execute(text(insert), {"name": name, "kwargs": json.dumps(serialize(kwargs))})
    watcher = encode_trigger(values.Watch())
    session.add(Trigger(classpath="watcher", kwargs=watcher["kwargs"]))
    session.commit()
`;

/** Reads all rows with this release's own readers and compares; prints by name which differ, and how. */
const readRows = `
import json, values
from sqlalchemy import select
from airflow import settings
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.trigger import Trigger
from airflow.serialization.serialized_objects import BaseSerialization
from airflow.serialization import serialized_objects
try:
    from airflow.serialization.decoders import smart_decode_trigger_kwargs as decoded
except ImportError:
    # 3.0.2 and older give a trigger what is stored.
    decoded = getattr(serialized_objects, "smart_decode_trigger_kwargs", lambda value: value)

def read(raw):
    try:
        from airflow.sdk.serde import deserialize
    except ImportError:
        return raw  # 3.1's columns are read by its ORM.
    try:
        return deserialize(raw)
    except (ImportError, KeyError, AttributeError, TypeError):
        return BaseSerialization.deserialize(raw)

found = {}
with settings.Session() as session:
    for model in (TaskInstance, TaskInstanceHistory):
        for name, raw in session.execute(select(model.task_id, model.next_kwargs)):
            found.setdefault(name, []).append(read(raw))
    for name, stored in session.execute(select(Trigger.classpath, Trigger.encrypted_kwargs)):
        kwargs = {k: decoded(v) for k, v in Trigger._decrypt_kwargs(stored).items()}
        found.setdefault(name.replace(" (deferred)", ""), []).append(kwargs)
told = {"watcher": found.pop("watcher") == [values.Watch().serialize()[1]]}
for name, reads in found.items():
    written = values.TABLE[name]
    own = BaseSerialization.deserialize(json.loads(json.dumps(BaseSerialization.serialize(written))))
    told[name] = {"equal": all(r == written for r in reads), "as 3.1.8 writes it": all(r == own for r in reads), "rows": len(reads)}
    told[name]["reads"] = repr(reads)
print("READ " + json.dumps(told))
`;

type Told = Record<string, { reads: string }> & { watcher: boolean };

let postgres: Postgres;
let folder: string;
let newer: string;
let older: string;
let number = 0;
const started: Runner[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-convert-'));
  await writeFile(join(folder, 'values.py'), values);
  [newer, older] = [await ensureVenv('3.2.1'), await ensureVenv('3.1.8')];
  postgres = await startPostgres();
  await postgres.createDatabase('migrated');
  await run(join(newer, 'airflow'), ['db', 'migrate'], { env: envAt(newer, 'migrated') });
}, 900_000);

afterEach(() => {
  for (const runner of started.splice(0)) if (runner.child.exitCode === null) runner.child.kill('SIGKILL');
});

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

function envAt(bin: string, database: string): NodeJS.ProcessEnv {
  return {
    // A home for each release: the first one that runs in a home writes an airflow.cfg there.
    ...airflowEnv(bin, join(folder, bin === newer ? 'newer' : 'older'), postgres.url(database)),
    PYTHONPATH: folder,
    AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES: 'airflow.* values.*',
  };
}

async function python(bin: string, database: string, script: string, extra: NodeJS.ProcessEnv = {}): Promise<string> {
  return (await run(join(bin, 'python'), ['-c', script], { env: { ...envAt(bin, database), ...extra } })).stdout;
}

async function readBy(bin: string, database: string): Promise<Told> {
  const printed = await python(bin, database, readRows);
  return JSON.parse(printed.match(/^READ (.*)$/m)![1]!);
}

/** A database at 3.2.1's head and a way to have its rows converted; `extra` goes into the runner's environment. */
async function scene(extra: NodeJS.ProcessEnv = {}) {
  const name = `air${++number}`;
  await postgres.query('postgres', `CREATE DATABASE ${name} TEMPLATE migrated`);
  let token = 0;
  const start = async () => {
    const runner = await startRunner({ ...envAt(newer, name), ...extra }, join(folder, `${name}-${token}`));
    started.push(runner);
    const { database } = await runner.file('inspect.json');
    const order = async (steps: unknown[] = [{ kind: 'convert' }], name = 'one') =>
      await runner.order({ token: ++token, run: name, identity: database.identity, steps });
    const result = async () => await runner.file('result.json', (r) => r.token === token);
    return { ...runner, order, result };
  };
  const convert = async (steps?: unknown[]) => {
    const runner = await start();
    await runner.order(steps);
    const result = await runner.result();
    await runner.stop();
    return { ...result, printed: runner.printed() };
  };
  /** Triggers with these stored texts, or so many of the same. */
  const addTriggers = async (kwargs: string[]) => {
    const insert = `INSERT INTO trigger (classpath, kwargs, created_date) SELECT 'c', k, now() FROM unnest($1::text[]) k`;
    await postgres.query(name, insert, [kwargs]);
  };
  const triggers = async () =>
    (await postgres.query(name, 'SELECT kwargs FROM trigger ORDER BY id')).map((row) => String(row.kwargs));
  const checksum = async () => {
    const rows = await postgres.query(
      name,
      `SELECT id::text, kwargs FROM trigger UNION ALL SELECT id::text, next_kwargs::text FROM task_instance
       UNION ALL SELECT task_instance_id::text, next_kwargs::text FROM task_instance_history ORDER BY 1`,
    );
    return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
  };
  return { name, start, convert, addTriggers, triggers, checksum };
}

const oldForm = '{"__var": {"a": {"__var": 1.5, "__type": "datetime"}}, "__type": "dict"}';
const newForm = '{"a": "the secret of a trigger"}';
const missingClass = '{"a": {"__classname__": "airflow.gone.Thing", "__version__": 1, "__data__": "a secret"}}';

describe('the rows that 3.2.1 has written', () => {
  let result: Awaited<ReturnType<Awaited<ReturnType<typeof scene>>['convert']>>;
  let byOlder: Told;
  let byNewer: Told;
  let unconverted: string;
  let plain: string[];

  beforeAll(async () => {
    const { name, convert, triggers } = await scene();
    await python(newer, name, writeRows);
    unconverted = await readBy(older, name).then(
      () => 'read',
      (error) => String(error),
    );
    result = await convert();
    plain = (await triggers()).filter((kwargs) => !kwargs.startsWith('gAAAAA'));
    [byOlder, byNewer] = [await readBy(older, name), await readBy(newer, name)];
  }, 120_000);

  it('can not be read by 3.1.8 before they are converted (S4-2, S4-7)', () => {
    expect(unconverted).toContain("KeyError: <Encoding.VAR: '__var'>");
  });

  it('are converted, all of them, in three columns (S4-6, S4-15)', () => {
    const count = names.length;
    expect(result).toMatchObject({ ok: true });
    expect(result.facts?.[0]?.converted).toEqual({
      'task_instance.next_kwargs': count,
      'task_instance_history.next_kwargs': count,
      'trigger.kwargs': 2 * count + 1,
    });
    expect(Object.keys(byOlder).sort()).toEqual([...names.map(([name]) => name), 'watcher'].sort());
  });

  it('say which of them hold something as text from now on', () => {
    expect(result.facts?.[0]?.asText).toContainEqual({
      table: 'task_instance',
      column: 'next_kwargs',
      count: 6,
      ids: expect.stringMatching(/^([0-9a-f-]{36}, ){5}…$/),
      why: 'datetime.date, decimal.Decimal, uuid.UUID, values.Attrs, values.Data, values.Model',
    });
  });

  it.each(names)('%s: 3.1.8 reads it (%s)', (name, kept) => {
    expect(byOlder[name], byOlder[name]?.reads).toMatchObject({ [kept]: true, rows: 4 });
  });

  it.each(names)('%s: 3.2.1 still reads it, if the downgrade is withdrawn (%s)', (name, kept) => {
    expect(byNewer[name], byNewer[name]?.reads).toMatchObject({ [kept]: true, rows: 4 });
  });

  it("keep the arguments of an asset's watcher, which 3.2.1 encodes twice (S4-17, #65973)", () => {
    expect([byOlder.watcher, byNewer.watcher]).toEqual([true, true]);
  });

  it('leave no trigger in plain text when there is a key', () => {
    expect(plain).toEqual([]);
  });
});

describe('convert', () => {
  it('leaves rows in the older form as they are, and finds none to convert in a healthy 3.1 database (S4-11)', async () => {
    const { convert, addTriggers, checksum } = await scene();
    await addTriggers([oldForm, oldForm]);
    const before = await checksum();
    const result = await convert();
    expect(result.facts?.[0]).toEqual({
      converted: { 'task_instance.next_kwargs': 0, 'task_instance_history.next_kwargs': 0, 'trigger.kwargs': 0 },
      asText: [],
    });
    expect(await checksum()).toBe(before);
  }, 60_000);

  it('reads what a retired key has encrypted, and writes with the first key of the list', async () => {
    const first = 'bm8tbm8tbm8tbm8tbm8tbm8tbm8tbm8tbm8tbm8tbm8=';
    const retired = String(airflowEnv(newer, folder, '').AIRFLOW__CORE__FERNET_KEY);
    const key = 'AIRFLOW__CORE__FERNET_KEY';
    const { name, convert, triggers } = await scene({ [key]: `${first},${retired}` });
    const add = `from airflow import settings; from airflow.models.trigger import Trigger
with settings.Session() as session:
    session.add(Trigger(classpath="c", kwargs={"a": (1,)})); session.commit()`;
    await python(newer, name, add);
    expect(await convert()).toMatchObject({ ok: true });
    const [stored] = await triggers();
    const open = `from airflow.models.trigger import Trigger; print(Trigger._decrypt_kwargs("${stored}"))`;
    expect(await python(older, name, open, { [key]: first })).toContain("{'a': (1,)}");
  }, 60_000);

  it('stores plain text when there is no key', async () => {
    const { convert, addTriggers, triggers } = await scene({ AIRFLOW__CORE__FERNET_KEY: '' });
    await addTriggers([newForm]);
    expect(await convert()).toMatchObject({ ok: true });
    const wanted = { __type: 'dict', __var: { a: 'the secret of a trigger' } };
    expect((await triggers()).map((text) => JSON.parse(text))).toEqual([wanted]);
  }, 60_000);

  it('rewrites what lies deeper in an envelope, and a mix of both forms', async () => {
    const { convert, addTriggers, triggers } = await scene({ AIRFLOW__CORE__FERNET_KEY: '' });
    const old = { __var: 1.5, __type: 'datetime' };
    const fresh = { __classname__: 'builtins.tuple', __version__: 1, __data__: [old, { b: 1 }] };
    const wanted = { __type: 'tuple', __var: [old, { __type: 'dict', __var: { b: 1 } }] };
    await addTriggers([
      JSON.stringify({ __var: { deep: [{ a: fresh }] }, __type: 'dict' }),
      JSON.stringify({ old, fresh }),
    ]);
    expect(await convert()).toMatchObject({ ok: true });
    expect((await triggers()).map((text) => JSON.parse(text))).toEqual([
      { __type: 'dict', __var: { deep: [{ __type: 'dict', __var: { a: wanted } }] } },
      { __type: 'dict', __var: { old, fresh: wanted } },
    ]);
  }, 60_000);

  it('names the rows that can not be converted, and then changes none, also not by the steps beside it', async () => {
    const { name, convert, addTriggers, checksum } = await scene();
    await addTriggers([newForm, 'gAAAAAother-key', missingClass, newForm]);
    const before = await checksum();
    const result = await convert([{ kind: 'convert' }, { kind: 'core', toRevision: '509b94a1042d' }]);
    expect(result).toMatchObject({ ok: false, error: { kind: 'RowsUnreadable', step: 0 } });
    expect(result.error?.message).toContain('trigger.kwargs: 1 rows (ids 2): no key of this image opens them');
    expect(result.error?.message).toContain('trigger.kwargs: 1 rows (ids 3): ');
    expect(result.error?.message).toContain('airflow.gone.Thing');
    expect(result.error?.message + result.printed).not.toMatch(/secret|gAAAAA/);
    expect(await checksum()).toBe(before);
    expect(result.versionTables.alembic_version).toEqual(['1d6611b6ab7c']);
    expect((await postgres.query(name, 'SELECT version_num FROM alembic_version'))[0]?.version_num).toBe(
      '1d6611b6ab7c',
    );
  }, 60_000);

  it('goes on after a kill in the middle, and is ended between two batches by orders of another run', async () => {
    const { name, start, addTriggers, triggers } = await scene();
    await addTriggers(Array.from({ length: 1600 }, (_, at) => JSON.stringify({ at })));
    const blocker = new pg.Client({ connectionString: postgres.url(name) });
    await blocker.connect();
    const encrypted = async () => (await triggers()).map((text) => text.startsWith('gAAAAA'));
    const block = async (id: number) => await blocker.query(`BEGIN; SELECT 1 FROM trigger WHERE id = ${id} FOR UPDATE`);

    await block(700);
    const first = await start();
    await first.order();
    const stuck = await first.file('progress.json', (p) => p.blockedBy !== undefined);
    expect(stuck).toMatchObject({ kind: 'convert', done: 500, of: 1600, message: 'trigger.kwargs' });
    first.child.kill('SIGKILL');
    await first.ended();
    await blocker.query('ROLLBACK');
    expect((await encrypted()).filter((is) => is)).toHaveLength(500);

    await block(1100);
    const second = await start();
    await second.order();
    await second.file('progress.json', (p) => p.blockedBy !== undefined);
    await second.order([{ kind: 'convert' }], 'another');
    await blocker.query('ROLLBACK');
    await waitFor('the end of the first orders', 20_000, () => second.printed().includes('Superseded'));
    // The first runner had written 500, the second two batches before it saw the newer orders.
    expect(await second.result()).toMatchObject({ ok: true, facts: [{ converted: { 'trigger.kwargs': 100 } }] });
    await second.stop();
    await blocker.end();
    expect(await encrypted()).toEqual(Array.from({ length: 1600 }, () => true));
    const open = `from airflow import settings; from sqlalchemy import text; from airflow.models.trigger import Trigger
with settings.Session() as session:
    stored = session.execute(text("SELECT kwargs FROM trigger ORDER BY id")).scalars()
    print([Trigger._decrypt_kwargs(one)["at"] for one in stored] == list(range(1600)))`;
    expect(await python(older, name, open)).toContain('True');
  }, 90_000);
});
