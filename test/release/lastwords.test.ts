import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { knownErrors } from '../../src/release/airflow/errors.ts';
import { explained, lastWordsInWords, lastWordsOf, masked } from '../../src/release/airflow/log.ts';

/** What real Airflows printed before they ended: recorded on PostgreSQL 18, each file's first line says of what. */
const recorded = new URL('lastwords/', import.meta.url);
const log = (name: string) => readFileSync(new URL(`${name}.txt`, recorded), 'utf8');

/** By recording: a part of what is said, and of what it means. */
const wanted: Record<string, [said: string | RegExp, means: RegExp]> = {
  'scheduler-row-of-3.2': ["KeyError: <Encoding.VAR: '__var'>", /in the form of Airflow 3\.2 .*#68317/],
  'triggerer-row-of-3.2': ["KeyError: <Encoding.VAR: '__var'>", /in the form of Airflow 3\.2 .*#68317/],
  'migrate-database-ahead': [/^alembic\.util\.exc\.CommandError: Can't locate/, /at revision 1d6611b6ab7c, .*ahead/],
  'check-database-ahead': [/^TimeoutError: There are still/, /at '1d6611b6ab7c' and this image needs '509b94a1042d'/],
  'check-database-ahead-of-2': [/^TimeoutError/, /at '1d6611b6ab7c' and this image needs '5f2621c13b39'/],
  'check-database-empty': [/^TimeoutError/, /is empty or has no version table/],
  'check-provider-ahead': [/^TimeoutError/, /so a provider's is not/],
  'scheduler-database-empty': [/^ERROR: You need to initialize/, /the database is empty/],
  'scheduler-database-ahead': [/^ERROR: You need to migrate/, /ahead or behind/],
  'scheduler-database-ahead-of-2': [/^ERROR: You need to upgrade/, /ahead or behind/],
  'scheduler-database-behind': [/^\[error {4}\] Database migration required/, /ahead or behind/],
  'scheduler-stamped-column': [/UndefinedColumn\) column deadline\.callback does not exist$/, /stamped by hand/],
  'scheduler-stamped-table': [/relation "asset_partition_dag_run" does not exist$/, /stamped by hand/],
  'statement-without-type': [/type "callback_state" does not exist$/, /stamped by hand/],
  'scheduler-next-run': [/"dag_run_dag_id_(run_id|logical_date)_key"$/, /#65688/],
  'check-password': [/password authentication failed for user "postgres"$/, /correct user or password/],
  'scheduler-no-database': [/database "nosuchdb" does not exist$/, /correct it/],
  'scheduler-too-many': [/too many connections for role "few"$/, /no more connections/],
  'scheduler-refused': [/failed: Connection refused$/, /nobody listens/],
  'scheduler-no-host': [/could not translate host name "no-such-host.invalid"/, /DNS/],
  'api-no-auth-manager': [/^airflow\.exceptions\.AirflowConfigException/, /the setting auth_manager in \[core\]/],
  'check-no-manager': [/No module named 'airflow.providers.acme'$/, /lacks the provider with airflow\.providers\.acme/],
  'scheduler-no-executor': [/could not be loaded\. Please check "executor"/, /the setting executor in \[core\]/],
  'triggerer-other-key': ['cryptography.fernet.InvalidToken', /Fernet key does not open/],
  'triggerer-bad-key': [/Could not create Fernet object/, /Fernet key is none/],
};

describe('S4-2, S4-14: the last words of an Airflow that does not fit are explained', () => {
  it.each(Object.entries(wanted))('%s', (name, [said, means]) => {
    const words = lastWordsOf(log(name));
    if (typeof said === 'string') expect(words?.said).toBe(said);
    else expect(words?.said).toMatch(said);
    expect(words?.means).toMatch(means);
  });

  it('every recording is looked at, and says of what it is', () => {
    const files = readdirSync(recorded).map((file) => file.replace(/\.txt$/, ''));
    expect(files.sort()).toEqual(Object.keys(wanted).sort());
    for (const name of files) expect(log(name)).toMatch(/^# .* of [23]\.\d+\.\d/);
  });

  it.each([
    ["(1146, \"Table 'air.ab_user' doesn't exist\")", /FAB provider/],
    ['relation "ab_group" does not exist', /FAB provider/],
    ["(1146, \"Table 'air.dag_version' doesn't exist\")", /stamped by hand/],
    ["(1054, \"Unknown column 'dag_run.run_after' in 'field list'\")", /stamped by hand/],
    ['sqlite3.OperationalError: no such table: dag_version', /stamped by hand/],
    ["Duplicate entry 'd-scheduled__2026' for key 'dag_run.dag_run_dag_id_run_id_key'", /#65688/],
    ['(1040, "Too many connections")', /no more connections/],
    ['FATAL: sorry, too many clients already', /no more connections/],
    ['FATAL: no more connections allowed (max_client_conn)', /no more connections/],
    ["(1045, \"Access denied for user 'airflow'@'10.0.0.7' (using password: YES)\")", /correct user or password/],
    ['(1049, "Unknown database \'air\'")', /correct it/],
    ["ModuleNotFoundError: No module named 'acme'", /lacks the Python module acme/],
    ['exec /usr/bin/dumb-init: exec format error', /another kind of processor/],
    ["KeyError: '__var'", /#68317/],
  ])('%s', (line, means) => {
    expect(lastWordsOf(line)?.means).toMatch(means);
    expect(explained(line)).toMatch(means);
  });

  it('each explanation names the source of its message', () => {
    for (const { from, means } of knownErrors) expect([from.length > 5, means.length < 330]).toEqual([true, true]);
  });
});

describe('words that are not known', () => {
  it.each<[string, string, string]>([
    [
      'are shown as they are',
      'Traceback (most recent call last):\n  File "x.py"\nValueError: it\'s odd',
      "ValueError: it's odd",
    ],
    [
      'an error counts more than what was logged after it',
      'KeyError: 7\n[2026-11-21T22:00:00.0+0000] INFO - bye',
      'KeyError: 7',
    ],
    ['without an error the last line', 'starting\nstopping', 'stopping'],
    [
      'not the values of a row',
      'IntegrityError: odd\nDETAIL: Key (a)=(secret)\n[SQL: SELECT 1]\n[parameters: (2)]',
      'IntegrityError: odd',
    ],
    ["no restart's own time", '2026-11-21T22:00:00.123456Z [error    ] odd', '[error    ] odd'],
    [
      'an error from before the last traceback is none of it',
      `KeyError: '__var'\nTraceback (most recent call last):\nValueError: odd`,
      'ValueError: odd',
    ],
  ])('%s', (_name, text, said) => {
    expect(lastWordsOf(text)).toEqual({ said });
    expect(lastWordsInWords(text)).toBe(`it says "${said}"`);
  });

  it('an error that led to the last one explains it', () => {
    const chain = `Traceback (most recent call last):
KeyError: '__var'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
RuntimeError: odd`;
    expect(lastWordsOf(chain)).toMatchObject({ said: "KeyError: '__var'", means: expect.stringContaining('#68317') });
  });

  it('no line, no words', () => {
    expect(lastWordsOf('\n  \n')).toBeUndefined();
    expect(lastWordsInWords('')).toBe('');
  });

  it('are cut to a length that a person reads, around what is known', () => {
    expect(lastWordsOf('x'.repeat(5000))?.said).toHaveLength(301);
    const json = `{"event": "${'a '.repeat(400)}", "exception": "KeyError: '__var'"}`;
    expect(lastWordsOf(json)?.said).toMatch(/^KeyError: '__var'/);
  });
});

describe('no secret is shown', () => {
  const token = `gAAAAABrAhTNZFRPxtP2Xiq8nyN7hy${'-x7Q'.repeat(20)}`;
  it.each([
    ['postgresql://airflow:hunter2@db:5432/air', 'postgresql://airflow:***@db:5432/air'],
    ['redis://:p@ss@redis:6379/0', 'redis://:***@redis:6379/0'],
    ["password='hunter2' is wrong", "password='***' is wrong"],
    ['AIRFLOW__CORE__FERNET_KEY=gY0ynQGDzhJ0cN0Pj9qYJbqEPg9WnTQ0nMnBQx2d1yU=', 'AIRFLOW__CORE__FERNET_KEY=***'],
    [`can't read ${token}`, "can't read ***"],
    ['Authorization: Bearer eyJhbGciOi.eyJzdWIi.x', 'Authorization: Bearer ***'],
    [`got ${'0123456789abcdef'.repeat(4)}`, 'got ***'],
  ])('%s', (text, shown) => {
    expect(masked(text)).toBe(shown);
    expect(lastWordsOf(`RuntimeError: ${text}`)?.said).toBe(`RuntimeError: ${shown}`);
  });

  it.each([
    'relation "_airflow_moved__3_0_0__offending_dag_run" does not exist',
    '/home/airflow/.local/lib/python3.12/site-packages/airflow/serialization/serialized_objects.py',
    "Can't locate revision identified by '1d6611b6ab7c'",
    'airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor',
    'duplicate key value violates unique constraint "dag_run_dag_id_run_id_key"',
  ])('%s stays readable', (text) => {
    expect(masked(text)).toBe(text);
  });
});
