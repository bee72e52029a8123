import { describe, expect, it } from 'vitest';
import { consequenceOf, errorKinds } from '../../src/release/model/error-kinds.ts';
import { foundInside, kindsInside, textInside } from '../make/inside.ts';

/** Thrown where it is refused, or told by what the server or a program says (the tables REFUSALS, a lock's time-out). */
const thrown = [/Refused\(\s*"(\w+)"/g, /kind, message = "(\w+)"/g, /^ {4}"\w{5}": \("(\w+)"/gm].flatMap(foundInside);
const listed = kindsInside('ErrorKind');
const ours = ['RunnerEnded', 'NotReturned', 'NotVerified'];
const ofSqlalchemy = ['OperationalError', 'InterfaceError'];

describe('kinds of errors', () => {
  it("are those of the runner's list, SQLAlchemy's and ours", () => {
    expect(Object.keys(errorKinds).sort()).toEqual([...listed, ...ours, ...ofSqlalchemy].sort());
  });

  it('each of the list is thrown somewhere; mypy asks that no other is', () => {
    expect([...new Set(thrown)].sort()).toEqual(listed.sort());
  });

  it('those of the runner stand in its README', () => {
    const [, told] = /^- Error kinds: (.*); else/m.exec(textInside('README.md'))!;
    expect(told!.match(/\w+/g)!.sort()).toEqual(listed.sort());
  });

  it('what nobody listed is a matter for a person', () => {
    for (const kind of ['ProgrammingError', 'constructor', '']) expect(consequenceOf(kind)).toBe('asks');
  });
});
