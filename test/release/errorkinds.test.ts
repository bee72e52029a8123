import { describe, expect, it } from 'vitest';
import { consequenceOf, errorKinds } from '../../src/release/model/error-kinds.ts';
import { foundInside, textInside } from '../make/inside.ts';

/** Thrown where it is refused, or told by what the server or a program says (the tables REFUSALS, a lock's time-out). */
const thrown = [/Refused\(\s*"(\w+)"/g, /kind, message = "(\w+)"/g, /^ {4}"\w{5}": \("(\w+)"/gm].flatMap(foundInside);
const ours = ['RunnerEnded', 'NotReturned', 'NotVerified'];
const ofSqlalchemy = ['OperationalError', 'InterfaceError'];

describe('kinds of errors', () => {
  it('are those that the runner throws, SQLAlchemy and we', () => {
    expect(Object.keys(errorKinds).sort()).toEqual([...new Set([...thrown, ...ours, ...ofSqlalchemy])].sort());
  });

  it('those of the runner stand in its README', () => {
    const [, listed] = /^- Error kinds: (.*); else/m.exec(textInside('README.md'))!;
    expect(listed!.match(/\w+/g)!.sort()).toEqual([...new Set(thrown)].sort());
  });

  it('what nobody listed is a matter for a person', () => {
    for (const kind of ['ProgrammingError', 'constructor', '']) expect(consequenceOf(kind)).toBe('asks');
  });
});
