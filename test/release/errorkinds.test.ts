import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { consequenceOf, errorKinds } from '../../src/release/errorkinds.ts';

const inside = new URL('../../src/inside/', import.meta.url);
const textOf = (name: string) => readFileSync(new URL(name, inside), 'utf8');
const programs = readdirSync(inside).filter((name) => name.endsWith('.py'));

/** Thrown where it is refused, or told by what the server or a program says (the tables REFUSALS). */
const thrown = programs.flatMap((name) => [
  ...[...textOf(name).matchAll(/Refused\(\s*"(\w+)"/g)].map(([, kind]) => kind!),
  ...[...textOf(name).matchAll(/kind, message = "(\w+)"/g)].map(([, kind]) => kind!),
  ...[...textOf(name).matchAll(/^ {4}"\w{5}": \("(\w+)"/gm)].map(([, kind]) => kind!),
]);
const ours = ['RunnerEnded', 'NotReturned', 'NotVerified'];
const ofSqlalchemy = ['OperationalError', 'InterfaceError'];

describe('kinds of errors', () => {
  it('are those that the runner throws, SQLAlchemy and we', () => {
    expect(Object.keys(errorKinds).sort()).toEqual([...new Set([...thrown, ...ours, ...ofSqlalchemy])].sort());
  });

  it('those of the runner stand in its README', () => {
    const [, listed] = /^- Error kinds: (.*); else/m.exec(textOf('README.md'))!;
    expect(listed!.match(/\w+/g)!.sort()).toEqual([...new Set(thrown)].sort());
  });

  it('what nobody listed is a matter for a person', () => {
    for (const kind of ['ProgrammingError', 'constructor', '']) expect(consequenceOf(kind)).toBe('asks');
  });
});
