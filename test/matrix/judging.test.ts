/** How the matrix judges what it saw: rows that are gone, words of the plan, lines of a log. */
import { describe, expect, it } from 'vitest';
import { differences } from './counts.ts';
import { faultyLines } from './installation.ts';
import { untold } from './losses.ts';
import { typed, withParameters } from './mysqlserver.ts';
import { changedValues, type Sweep } from './verify.ts';

describe('rows', () => {
  it.each([
    ['as many as before', { dag: 2 }, { dag: 2 }, []],
    ['some gone', { dag: 2 }, { dag: 1 }, [{ table: 'dag', before: 2, after: 1 }]],
    ['some more', { dag: 2 }, { dag: 3 }, [{ table: 'dag', before: 2, after: 3 }]],
    ['a table gone with its rows', { callback: 1 }, {}, [{ table: 'callback', before: 1, after: null }]],
    ['a table gone that was empty', { callback: 0 }, {}, []],
    ['a table under its former name', { asset: 1 }, { dataset: 1 }, []],
    [
      'a table under its former name with fewer',
      { asset: 2 },
      { dataset: 1 },
      [{ table: 'asset', before: 2, after: 1 }],
    ],
    ['version tables do not count', { alembic_version: 1 }, {}, []],
  ])('%s', (_, before, after, expected) => {
    expect(differences(before, after as Record<string, number>)).toEqual(expected);
  });

  it('gone without a word of the plan make a pair fail', () => {
    const gone = [{ table: 'asset_watcher', before: 1, after: null }];
    expect(untold(gone, [])).toEqual(['asset_watcher had 1 rows and has no table, and the plan did not tell']);
    expect(untold(gone, [{ what: 'asset watchers', count: 0 }])).toHaveLength(1);
    expect(untold(gone, [{ what: 'asset watchers (made again)', count: 1 }])).toEqual([]);
  });

  it('that read as something else are named', () => {
    const sweep = (values: Record<string, unknown>): Sweep => ({ rows: {}, errors: [], stale: [], values });
    const [before, after] = [sweep({ a: 1, b: ['set', ['x']], c: 1 }), sweep({ a: 1, b: ['x'] })];
    expect(changedValues(before, after)).toEqual(['b: ["set",["x"]] became ["x"]']);
  });
});

describe('MySQL answers text', () => {
  it.each([
    ['a number', '12', 12],
    ['nothing', 'NULL', null],
    ['a moment, in UTC', '2026-11-21 18:00:00.250000', new Date('2026-11-21T18:00:00.250Z')],
    ['a name', '3.2.1', '3.2.1'],
  ])('that is %s', (_, text, expected) => {
    expect(typed(text)).toEqual(expected);
  });

  it('and is asked with values in their places', () => {
    const parameters = [new Date('2026-11-21T18:00:00.250Z'), "it's"];
    expect(withParameters('a > $1 AND b = $2', parameters)).toBe("a > '2026-11-21 18:00:00.250' AND b = 'it\\'s'");
  });
});

describe('a log', () => {
  it.each([
    ['of a quiet process', 'all is well\n2026-11-21T18:00:00Z [warning  ] late [airflow]', []],
    [
      'with an error of 3.x',
      '2026-11-21T18:00:00Z [error    ] broken [airflow]',
      ['2026-11-21T18:00:00Z [error    ] broken [airflow]'],
    ],
    [
      'with an error of 2.x, in colours',
      '\u001b[31m[2026] {x.py:1} ERROR - broken\u001b[0m',
      ['[2026] {x.py:1} ERROR - broken'],
    ],
    ['with a traceback', 'Traceback (most recent call last):\n  File "x"\nKeyError: 1', ['Traceback: KeyError: 1']],
  ])('%s', (_, text, expected) => {
    expect(faultyLines(text)).toEqual(expected);
  });
});
