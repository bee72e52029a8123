import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { startedAs } from '../../src/release/airflow/command-line.ts';
import { commandsOf } from '../../src/release/airflow/shell-words.ts';

const program = ['sh', '-c', 'echo "ours: $1 $CONN"', 'downdraft', 'x y'];
const named = { env: [{ name: 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', value: 'postgresql://a:b@db/air' }] };
const line = (script: string) => ({ name: 'scheduler', ...named, command: ['bash', '-c', script] });
const scriptOf = (script: string) => startedAs(line(script), program).command?.[2];

describe('the command line of a copy', () => {
  it.each<[string, string, string]>([
    [
      'a sourced file',
      'source /vault/secrets/config && exec airflow scheduler',
      'source /vault/secrets/config && exec "$@"',
    ],
    [
      'a sourced file, no exec',
      '. /vault/secrets/config; airflow api-server --port 8080',
      '. /vault/secrets/config; exec "$@"',
    ],
    ['the whole path', 'source /x && /home/airflow/.local/bin/airflow scheduler', 'source /x && exec "$@"'],
    ['a module', 'source /x && python -m airflow scheduler -n 1', 'source /x && exec "$@"'],
    [
      'lines and comments',
      'set -e\n# airflow scheduler\nexport A=$(cat /x)\nexec \\\nairflow scheduler',
      'set -e\n# airflow scheduler\nexport A=$(cat /x)\nexec "$@"',
    ],
    ['an assignment before it', 'A="x y" B=$(cat /z) exec airflow scheduler', 'A="x y" B=$(cat /z) exec "$@"'],
    ['a wrapper', 'source /x; exec gosu airflow airflow scheduler', 'source /x; exec gosu airflow "$@"'],
    ['another wrapper', 'chamber exec svc -- airflow scheduler', 'exec chamber exec svc -- "$@"'],
    ['output elsewhere', 'source /x; airflow scheduler > /logs/out 2>&1', 'source /x; exec "$@"'],
    ['output piped', 'source /x; airflow scheduler 2>&1 | tee /logs/out', 'source /x; exec "$@"'],
    ['two at once', 'source /x; airflow scheduler & airflow webserver', 'source /x; true & exec "$@"'],
    ['waited for', 'source /x; airflow scheduler & wait', 'source /x; exec "$@"; wait'],
    [
      'a loop',
      'source /x; while true; do airflow scheduler; sleep 1; done',
      'source /x; while true; do exec "$@"; sleep 1; done',
    ],
    ['a block', '{ source /x; airflow scheduler; }', '{ source /x; exec "$@"; }'],
    ['a subcommand that is not known', 'source /x; exec airflow $COMPONENT', 'source /x; exec "$@"'],
  ])('keeps what it does before: %s', (_, given, wanted) => expect(scriptOf(given)).toBe(wanted));

  it.each<[string, string, string]>([
    ['migrates', 'airflow db migrate && exec airflow scheduler', 'true && exec "$@"'],
    ['migrates, old words', 'airflow upgradedb >/dev/null; airflow scheduler', 'true >/dev/null; exec "$@"'],
    ['waits', 'until airflow db check; do sleep 1; done; airflow webserver', 'until true; do sleep 1; done; exec "$@"'],
    ['makes users', 'airflow users create -u "a && b" || true\nairflow webserver', 'true || true\nexec "$@"'],
  ])('leaves out what a copy must never do: it %s', (_, given, wanted) => expect(scriptOf(given)).toBe(wanted));

  it.each<[string, string]>([
    ['nothing else', 'exec airflow scheduler'],
    ['nothing else, in lines', 'exec \\\nairflow scheduler'],
    ['no airflow', 'source /x && run-it'],
    ['airflow is a word only', 'echo airflow scheduler; sleep 1'],
    ['a document in place', 'cat <<EOF\nairflow scheduler\nEOF'],
    ['a function', 'go() { airflow scheduler; }; go'],
    ['a case', 'case "$1" in x) airflow scheduler;; esac'],
    ['its own arguments changed', 'set -- a b; airflow scheduler'],
    ['a quote without end', 'source "/x; airflow scheduler'],
    ['piped into a loop', 'source /x; airflow scheduler | while read l; do echo $l; done'],
  ])('is our program alone where the line does %s', (_, script) =>
    expect(startedAs(line(script), program)).toEqual({ ...named, command: program, args: [] }),
  );

  it.each<[string, object, string[] | undefined, string[]]>([
    ['airflow itself', { command: ['airflow', 'scheduler'] }, program, []],
    ['airflow by the entry point', { args: ['airflow', 'scheduler'], ...named }, program, []],
    ['a component alone', { args: ['scheduler'] }, program, []],
    ['nothing', {}, program, []],
    [
      'a wrapper',
      { command: ['/usr/bin/dumb-init', '--', '/entrypoint'], args: ['airflow', 'scheduler'] },
      ['/usr/bin/dumb-init', '--', '/entrypoint', 'bash', '-c', 'exec "$@"', 'downdraft', ...program],
      [],
    ],
    [
      'a line, the connection in the pod',
      { args: ['bash', '-c', '. /x; airflow scheduler'], ...named },
      ['bash', '-c', '. /x; exec "$@"', 'downdraft', ...program],
      [],
    ],
    [
      'a line, the connection nowhere',
      { args: ['bash', '-c', '. /x; airflow scheduler'] },
      undefined,
      ['bash', '-c', '. /x; exec "$@"', 'downdraft', ...program],
    ],
    [
      'the entry point, the connection nowhere',
      { args: ['bash', '-ec', 'exec airflow scheduler'] },
      undefined,
      ['bash', '-c', 'exec "$@"', 'downdraft', ...program],
    ],
    [
      'airflow, the connection nowhere',
      { args: ['airflow', 'scheduler'] },
      undefined,
      ['bash', '-c', 'exec "$@"', 'downdraft', ...program],
    ],
    [
      'a line with words of its own',
      { command: ['bash', '-c', '. $0; airflow scheduler', '/x'], ...named },
      program,
      [],
    ],
  ])('of %s', (_, container, command, args) => {
    const started = startedAs({ name: 'main', ...container }, program);
    expect([started.command, started.args]).toEqual([command, args]);
  });

  it('an entry point that would migrate or make users when it is told to is told not to', () => {
    const env = [
      { name: '_AIRFLOW_DB_MIGRATE', value: 'true' },
      { name: 'A', value: 'b' },
    ];
    const started = startedAs({ name: 'main', args: ['airflow', 'scheduler'], env }, program);
    expect(started.env).toContainEqual({ name: '_AIRFLOW_DB_MIGRATE', value: '' });
    expect(started.env).toContainEqual({ name: 'A', value: 'b' });
    expect(started.env!.filter(({ name }) => name === '_AIRFLOW_DB_MIGRATE')).toHaveLength(1);
  });

  it('a shell runs it: the file is sourced, and the program has its arguments', () => {
    const { command } = startedAs(line('CONN=sourced; export CONN && exec airflow scheduler | tee /dev/null'), program);
    const { stdout } = spawnSync(command![0]!, command!.slice(1), { encoding: 'utf8' });
    expect(stdout).toBe('ours: x y sourced\n');
  });

  it.each(['"$(', '$' + '{', "'", '\\', '(((', '|&;;', '`', '> > >', '\u0000', 'a '])(
    'an odd line of many %j is read or not, and no more',
    (odd) => {
      for (const times of [1, 2, 1000, 10_000])
        expect(() => commandsOf(`. /x; airflow scheduler ${odd.repeat(times)}`)).not.toThrow();
    },
  );
});
