/** The codes in names and comments of tests are rows of test/REQUIREMENTS.md, and its states are what the tests say. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const states = ['tested', 'not tested', 'not built yet', 'decided otherwise', 'not ours'];
const code = /\b(?:S[0-4]-\d+|G\d+)\b/g;

const rows = readFileSync('test/REQUIREMENTS.md', 'utf8')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter(([, name = '']) => /^(?:S\d+-|G)\d+$/.test(name))
  .map(([, name = '', , said = '', ...more]) => ({ name, said, state: said.split(':')[0]!, more }));

/** By code, the files below test/ that name it. All need a row for it; only a test file makes it tested. */
const naming = new Map<string, string[]>();
for (const file of readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')))
  for (const [found] of readFileSync(join('test', file), 'utf8').matchAll(code))
    naming.set(found, [...(naming.get(found) ?? []), file]);
const isTest = (file: string) => file.endsWith('.test.ts');
const tested = [...naming].filter(([, files]) => files.some(isTest)).map(([name]) => name);

describe('test/REQUIREMENTS.md', () => {
  it('has a row for every code that a test names, and one only', () => {
    const names = rows.map(({ name }) => name);
    expect(
      [...naming].filter(([name]) => !names.includes(name)),
      'a code without a row',
    ).toEqual([]);
    expect(
      names.filter((name, at) => names.indexOf(name) !== at),
      'two rows',
    ).toEqual([]);
    expect(names.length).toBeGreaterThan(130);
  });

  it('calls tested what a test names, and nothing else', () => {
    const told = rows.filter(({ state }) => state === 'tested').map(({ name }) => name);
    expect(
      told.filter((name) => !tested.includes(name)),
      'no test names it',
    ).toEqual([]);
    expect(
      tested.filter((name) => !told.includes(name)),
      'a test names it',
    ).toEqual([]);
  });

  it('has one of the states in each row, and a reason where it was decided otherwise', () => {
    const odd = rows.filter(({ state, more }) => !states.includes(state) || more.length !== 1);
    expect(odd).toEqual([]);
    const bare = rows.filter(({ state, said }) => state === 'decided otherwise' && said === state);
    expect(bare.map(({ name }) => name)).toEqual([]);
  });
});
