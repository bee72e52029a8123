/** What a real Airflow tells of its settings, without telling them: the same in two pods only where they are the same. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { digestsScript, shellCommand } from '../../src/inside/bundle.ts';
import { digestsIn } from '../../src/release/model/messages.ts';
import { type Digests, digested } from '../../src/release/model/runner.ts';
import { airflowEnv } from './airflow.ts';
import { ensureVenv } from './venv.ts';

const conn = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';
const fernet = 'AIRFLOW__CORE__FERNET_KEY';
// Nobody listens there: nothing is connected.
const url = 'postgresql+psycopg2://airflow:Zq7secret@127.0.0.1:9/air';
const key = '0123456789abcdef'.repeat(4);

let folder: string;
let bin: string;
let pods = 0;
const processes: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-digests-'));
  bin = await ensureVenv('3.1.8');
}, 900_000);
afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

interface Pod {
  /** As the pod's spec says, which is all that an exec gets. */
  spec: NodeJS.ProcessEnv;
  home: string;
}

/**
 * A pod in which a process runs with more than the spec says: an Airflow, or our runner. A program that is called airflow
 * stands for either.
 */
async function pod(of: 'airflow' | 'runner', spec: NodeJS.ProcessEnv, added: NodeJS.ProcessEnv = {}): Promise<Pod> {
  const home = join(folder, `pod${++pods}`);
  await mkdir(join(home, 'work'), { recursive: true });
  const base = { ...airflowEnv(bin, home, ''), [conn]: undefined, [fernet]: undefined };
  const env = { ...base, DOWNDRAFT_DIR: join(home, 'work'), ...spec };
  await writeFile(join(home, of), 'echo ready; exec 2>/dev/null; read line\n');
  // Its name stands where the interpreter's first argument does, as of any console script.
  const child = spawn('sh', [join(home, of)], { env: { ...env, ...added } });
  processes.push(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  if (of === 'runner') await writeFile(join(home, 'work/pid'), String(child.pid));
  return { spec: env, home };
}

/** Asks a pod as exec does. */
async function ask(of: 'airflow' | 'runner', { spec }: Pod, by = key) {
  const [command, ...args] = shellCommand(digestsScript(of, by));
  const child = spawn(command!, args, { env: { ...spec, DOWNDRAFT_ASK_SECONDS: '60' } });
  let printed = '';
  child.stdout.on('data', (text) => {
    printed += text;
  });
  child.stderr.resume();
  await new Promise((resolve) => child.once('close', resolve));
  const line = /^DOWNDRAFT-DIGESTS (.*)\n$/.exec(printed)?.[1];
  if (line === undefined) throw new Error(`not one line: ${printed}`);
  expect(line).not.toMatch(/Zq7|secret|airflow:|127\.0\.0\.1/);
  const read = digestsIn(line);
  if ('fault' in read) throw new Error(read.fault);
  return read.told.digests;
}

const differing = (a: Digests, b: Digests) => digested.filter((name) => a[name] !== b[name]);

let told: Digests;
const keyA = 'gY0ynQGDzhJ0cN0Pj9qYJbqEPg9WnTQ0nMnBQx2d1yU=';

describe('the old pod, whose entry point has added the connection and the Fernet key', () => {
  it('answers with what its Airflow has, and a copy that has it by any other way answers the same', async () => {
    const old = await pod('airflow', {}, { [conn]: url, [fernet]: keyA });
    told = await ask('airflow', old);
    expect(Object.values(told)).not.toContain(null);
    const home = join(folder, `pod${pods + 1}`);
    const copy = await pod('runner', { [`${conn}_CMD`]: `cat ${home}/url` }, { [fernet]: keyA });
    await writeFile(join(home, 'url'), url);
    expect(differing(await ask('runner', copy), told)).toEqual([]);
    expect(differing(await ask('airflow', old, 'ff'), told)).toEqual([...digested]);
  });

  it.each<[string, NodeJS.ProcessEnv, string[]]>([
    ['no Fernet key', { [fernet]: undefined }, ['fernet_key']],
    ['another Fernet key', { [fernet]: `${keyA},x` }, ['fernet_key']],
    ['another host', { [conn]: url.replace('127.0.0.1', 'db.corp') }, ['host']],
    ['another database', { [conn]: `${url}2` }, ['sql_alchemy_conn']],
    ['another search path', { [conn]: `${url}?options=-csearch_path%3Dx` }, ['sql_alchemy_conn']],
    ['another login', { [conn]: url.replace('airflow:Zq7secret', 'v-kube-1:other') }, ['credentials']],
    ['another schema', { AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA: 'x' }, ['sql_alchemy_schema']],
    ['another auth manager', { AIRFLOW__CORE__AUTH_MANAGER: 'a.B' }, ['auth_manager']],
    ['other managers', { AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS: 'a.B' }, ['external_db_managers']],
    ['settings that no reverse script reads', { AIRFLOW__CORE__DAGS_FOLDER: '/elsewhere' }, []],
  ])('of a copy with %s is told apart by that alone', async (_, other, differ) => {
    const copy = await pod('runner', {}, { [conn]: url, [fernet]: keyA, ...other });
    expect(differing(await ask('runner', copy), told)).toEqual(differ);
  });
});

it('an SQLite file is told apart by its name, and is not made', async () => {
  const [a, b] = ['a.db', 'b.db'].map((name) => join(folder, name)) as [string, string];
  const [one, other] = await Promise.all(
    [a, b].map(async (file) => await ask('airflow', await pod('airflow', {}, { [conn]: `sqlite:///${file}` }))),
  );
  expect(differing(one!, other!)).toEqual(['sql_alchemy_conn']);
  expect([a, b].filter((file) => existsSync(file))).toEqual([]);
});

it('where no such process shows its environment, that is said, and nothing is answered from the spec alone', async () => {
  const old = await pod('airflow', { [conn]: url });
  await expect(ask('runner', old)).rejects.toThrow('no runner that runs here shows its environment');
  processes.splice(0).map((child) => child.kill('SIGKILL'));
  const elsewhere = { ...old.spec, AIRFLOW_HOME: join(folder, 'nowhere') };
  await expect(ask('airflow', { ...old, spec: elsewhere })).rejects.toThrow('no airflow that runs here');
});
