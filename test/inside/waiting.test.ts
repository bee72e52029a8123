/** The bounds of the list of waiting triggers, without a database: rows.test.ts has one. */
import { expect, it } from 'vitest';
import type { WaitingTrigger } from '../../src/release/model/runner.ts';
import { run } from '../cluster/command.ts';
import { packageEnv } from '../make/inside.ts';

/** The list for these rows of deferred tasks, given as Python. */
async function listed(rows: string, before = ''): Promise<WaitingTrigger[]> {
  const program = `import json
from downdraft.inspect import waiting
waiting.has_column = lambda connection, table, column: table == "task_instance"
waiting.referred_triggers = lambda *place: ${rows}
${before}
print(json.dumps(waiting.waiting_triggers(None)))`;
  return JSON.parse(
    (await run('python3', ['-c', program], { env: { ...process.env, ...packageEnv } })).stdout,
  ) as WaitingTrigger[];
}

it('a hundred kinds are listed, the most awaited first, and the others counted together', async () => {
  const found = await listed(`[("x.Y%d" % n, '{"a": 1}', n) for n in range(1, 151)]`);
  expect(found).toHaveLength(101);
  expect([found[0]?.class, found[99]?.class]).toEqual(['x.Y150', 'x.Y51']);
  expect(found[100]).toEqual({ class: null, arguments: null, tasks: (50 * 51) / 2, watchers: 0, callbacks: 0 });
});

it('what there is no time to open has no names of arguments', async () => {
  const found = await listed(`[("x.Y", '{"a": 1}', 1)] * 3`, 'waiting.OPENING_SECONDS = 0');
  expect(found).toEqual([{ class: 'x.Y', arguments: null, tasks: 3, watchers: 0, callbacks: 0 }]);
});

it.each([
  ['a value of a JSON column', `{"__type": "dict", "__var": {"b": 1, "a": 2}}`, ['a', 'b']],
  ['the envelope twice', `'{"__type": "dict", "__var": {"__type": "dict", "__var": {"a": 2}}}'`, ['a']],
  ['no arguments', `'{}'`, []],
  ['no mapping', `'[1]'`, null],
  ['no JSON', `'{'`, null],
  ['a name that Kubernetes would read as a variable', `'{"$(HOME)": 1}'`, null],
  ['more names than any class has', `json.dumps({"a%d" % n: 1 for n in range(41)})`, null],
])('%s', async (_, stored, names) => {
  expect((await listed(`[("x.Y", ${stored}, 1)]`))[0]?.arguments).toEqual(names);
});
