import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { FoundHazard, WhatWasFound } from '../../src/release/model/runner.ts';
import { estimateSeconds } from '../../src/release/plan/estimate.ts';
import { hazardsOfPlan } from '../../src/release/plan/hazards.ts';

interface Listed extends FoundHazard {
  rows: Record<string, string>;
}

const source = new URL('../../src/inside/downdraft/inspect/hazards.json', import.meta.url);
const listed: Listed[] = JSON.parse(readFileSync(source, 'utf8')).hazards;

describe('S4-15: the table of hazards', () => {
  const lossy = listed.filter(({ effect }) => effect === 'loses' || effect === 'breaks');
  it.each(lossy.map((hazard) => [hazard.id, hazard] as const))('%s names the tables that it counts', (_id, hazard) => {
    const selects = Object.values(hazard.rows).join(' ');
    expect(hazard.tables?.length).toBeGreaterThan(0);
    for (const name of hazard.tables!) for (const part of name.split('.')) expect(selects).toContain(part);
  });
});

const refusing: FoundHazard = {
  id: 'bundle-url-long',
  crosses: '509b94a1042d',
  effect: 'refuses',
  what: '{count} Dag bundles have a long template',
  remedy: 'shorten them',
  count: 2,
  examples: ['main', 'other'],
};
const crossing = (...revisions: string[]) => new Set(revisions);
const found = (change: Partial<FoundHazard>, all: Partial<WhatWasFound> = {}): WhatWasFound => ({
  hazards: [{ ...refusing, ...change }],
  ...all,
});

describe('what was found, in a plan', () => {
  it('a hazard that refuses blocks, with its number, examples and what to do', () => {
    expect(hazardsOfPlan(found({}), crossing('509b94a1042d'))).toEqual({
      blockers: [
        {
          reason: 'ScriptWouldFail',
          message: '2 Dag bundles have a long template (for example main, other); shorten them',
        },
      ],
      losses: [],
      notes: [],
    });
  });

  it('a hazard of a revision that is not crossed says nothing', () => {
    const nothing = { blockers: [], losses: [], notes: [] };
    expect(hazardsOfPlan(found({}), crossing('82dbd68e6171'))).toEqual(nothing);
    expect(hazardsOfPlan({}, crossing('509b94a1042d'))).toEqual(nothing);
  });

  const { remedy: _, ...noRemedy } = refusing;
  it.each<[string, Partial<FoundHazard>, object]>([
    [
      'S2-40: what is dropped is a loss, with its number',
      { effect: 'loses', what: 'teams', count: 3 },
      { losses: [{ what: 'teams; shorten them', count: 3 }] },
    ],
    [
      'S4-15: a loss names its tables, with the number of rows',
      { effect: 'loses', what: 'teams', count: 3, tables: ['team', 'dag_bundle_team'] },
      { losses: [{ what: '3 rows of team, dag_bundle_team: teams; shorten them', count: 3 }] },
    ],
    [
      'what the older version stumbles over is agreed to like a loss',
      { effect: 'breaks', what: 'callbacks' },
      { losses: [{ what: 'callbacks; shorten them', count: 2 }] },
    ],
    [
      'what we mend is a note',
      { effect: 'repaired', what: '{count} rows are mended' },
      { notes: ['2 rows are mended; shorten them'] },
    ],
    [
      'what can not be counted is a note',
      { effect: 'unchecked', what: 'it may refuse', count: null },
      { notes: ['it may refuse; shorten them'] },
    ],
    [
      'a count that failed is a note that says so, never a zero',
      { count: null, error: 'canceling statement' },
      { notes: ['not known (canceling statement): how many Dag bundles have a long template; shorten them'] },
    ],
  ])('%s', (_name, change, told) => {
    expect(hazardsOfPlan(found(change), crossing('509b94a1042d'))).toMatchObject({ blockers: [], ...told });
  });

  it('revisions newer than the table of hazards are one note', () => {
    const hazards = ['a', 'b', 'c', 'd'].map((crosses) => ({
      ...noRemedy,
      id: 'not-in-table',
      crosses,
      effect: 'unchecked' as const,
      count: null,
    }));
    const { notes } = hazardsOfPlan({ hazards }, crossing('a', 'b', 'c', 'd'));
    expect(notes).toEqual([
      expect.stringMatching(/^4 of the revisions to reverse \(a, b, c, …\) are newer than downdraft's table/),
    ]);
  });

  it('S2-36: time limits of the role are told, in seconds, and none is not', () => {
    const { notes } = hazardsOfPlan({ limits: { statement_timeout: 60_000, lock_timeout: 0 } }, crossing());
    expect(notes).toEqual([
      expect.stringMatching(/^statement_timeout of the database's user is 60 s: a statement that takes longer/),
    ]);
  });

  it('S2-32: who could keep a step waiting is named', () => {
    const obstacles = [
      { what: 'idle in a transaction', pid: 7, user: 'anna', application: 'psql', seconds: 600 },
      { what: 'prepared transaction x', pid: null, user: 'app', application: '', seconds: 70 },
    ];
    expect(hazardsOfPlan({ obstacles }, crossing()).notes).toEqual([
      expect.stringMatching(/^may block a step: pid 7, anna, psql: idle in a transaction since 10 min;/),
      expect.stringMatching(/^may block a step: app: prepared transaction x since 70 s;/),
    ]);
    expect(hazardsOfPlan({ obstacles: null }, crossing()).notes).toEqual([]);
  });
});

describe('S2-33: the estimate', () => {
  const gigabyte = 1024 ** 3;
  const sizes = (tables: Record<string, number>) => ({
    sizes: {
      databaseBytes: 1,
      tables: Object.entries(tables).map(([table, bytes]) => ({ table, bytes, rows: bytes / 500, estimated: true })),
    },
  });

  it('grows with the tables that the crossed revisions rewrite, and with no others', () => {
    const small = estimateSeconds(sizes({ task_instance: gigabyte, log: gigabyte }), crossing('a5a3e5eb9b8d'));
    const large = estimateSeconds(sizes({ task_instance: 5 * gigabyte, log: gigabyte }), crossing('a5a3e5eb9b8d'));
    const none = estimateSeconds(sizes({ task_instance: 5 * gigabyte }), crossing('fe199e1abd77'));
    expect(large.seconds).toBeGreaterThan(4 * small.seconds);
    expect(none.seconds).toBeLessThan(5);
    expect(large.why).toMatch(/task_instance/);
  });

  it('agrees with the one field report within a factor of 2: 8 minutes for 9.4 GB in one step', () => {
    const { seconds } = estimateSeconds(
      sizes({ task_instance: 5.8 * gigabyte, task_instance_history: 3.6 * gigabyte }),
      crossing('a5a3e5eb9b8d'),
    );
    expect(seconds).toBeGreaterThan(240);
    expect(seconds).toBeLessThan(960);
  });

  it('says so when the sizes are not known', () => {
    expect(estimateSeconds({}, crossing('a5a3e5eb9b8d')).why).toMatch(/not known/);
  });
});
