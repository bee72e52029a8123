import { describe, expect, it } from 'vitest';
import { minutes, type Pace, paceOf, withoutSizes } from '../../src/release/downgrade/pace.ts';
import { stepOf } from '../../src/release/downgrade/phase.ts';
import type { Plan } from '../../src/release/model/plan.ts';
import type { Release } from '../../src/release/model/release.ts';
import type { Run } from '../../src/release/model/run.ts';
import type { Inspection, RunnerProgress, ServerActivity } from '../../src/release/model/runner.ts';
import { type StepFacts, type StepKind, stepKinds } from '../../src/release/model/step-kinds.ts';
import { makeDatabase, makeRelease, makeRun } from '../make/release.ts';

const minute = 60;
const gigabyte = 1024 ** 3;
const at = Date.parse('2026-11-21T12:01:00Z') / 1000;
const blocker = 'pid 4711, other, psql, idle in transaction, transaction since 2026-11-21 11:50 UTC';

const working: ServerActivity = { state: 'working', seconds: 240, quietSeconds: 0, events: ['IO/DataFileRead'] };
const waiting: ServerActivity = {
  state: 'waiting',
  seconds: 130,
  quietSeconds: 130,
  events: ['Lock/relation'],
  pid: 99,
};
const still: ServerActivity = { state: 'still', seconds: 90, quietSeconds: 150, events: ['Timeout/PgSleep'], pid: 99 };
const unknown: ServerActivity = { state: 'unknown', seconds: 130, quietSeconds: 130, why: 'the server is gone' };

/** In the middle of core: its revision since 4 minutes, the step since 5. */
const progress: RunnerProgress = {
  token: 1,
  run: 'uid-af-x7k2q',
  step: 0,
  steps: 1,
  kind: 'core',
  done: 1,
  of: 3,
  revision: 'b',
  message: 'Drop a column',
  at,
  begun: at - 5 * minute,
  since: at - 4 * minute,
};
const step = { kind: 'core', from: 'a5a3e5eb9b8d', toRevision: 'c', revisions: 3, command: '' } as const;
const chain = ['a5a3e5eb9b8d', 'b', '3ac9e5732b1f', 'c'].map((revision, n, all) => ({
  revision,
  down: all[n + 1] ?? null,
}));
const sizes = { databaseBytes: gigabyte, tables: [{ table: 'task_instance', rows: 1e6, bytes: gigabyte }] };

function scene(change: Partial<RunnerProgress>, backend = 'postgresql'): [Release, Run] {
  const run = makeRun({ status: { schemaStartedAt: 'then', plan: { steps: [step] } as unknown as Plan, progress } });
  const database = { ...makeDatabase(), backend };
  const inspection = { core: { heads: [], chain }, sizes, database } as unknown as Inspection;
  const ready = { state: 'ready', pod: 'p', container: 'c', image: 'i', inspection } as const;
  const release = makeRelease({ run, runner: { ...ready, progress: { ...progress, ...change } } });
  return [release, run];
}

const pace = (change: Partial<RunnerProgress>, backend?: string): Pace => paceOf(...scene(change, backend))!;

describe('S2-32, S2-35: how a long step gets on, in words with numbers', () => {
  const part = { what: 'an index of task_instance (building index)', percent: 64 };
  it.each<[string, Partial<RunnerProgress>, string]>([
    ['a short one says nothing', { server: working, since: at - 20 }, ''],
    ['nor does a short wait', { server: { ...waiting, seconds: 3 } }, ''],
    ['it works', { server: working }, 'working for 4 min'],
    [
      'with what it has written and how much is done',
      { server: { ...working, wal: 1.24 * gigabyte, databaseBytes: 300 * 1024 ** 2, part } },
      'working for 4 min, WAL 1.2 GiB, database grown by 300 MiB, 60 % of an index of task_instance (building index)',
    ],
    [
      'S2-34: with replicas that are far behind, and slots that keep much',
      {
        server: {
          ...working,
          replicas: [
            { name: 'east', bytes: 2 * gigabyte },
            { name: 'west', bytes: null },
            { name: 'near', bytes: 99 },
          ],
          slots: [{ name: 'cdc', active: false, bytes: 3 * gigabyte }],
        },
      },
      'working for 4 min, replicas behind: east 2.0 GiB, WAL kept by slots: cdc 3.0 GiB',
    ],
    ['it waits for somebody', { server: waiting, blockedBy: [blocker] }, `waiting for 2 min for ${blocker}`],
    [
      'for several',
      { server: waiting, blockedBy: [blocker, 'pid 1', 'pid 2'] },
      `waiting for 2 min for ${blocker}; and 2 more`,
    ],
    ['it is not seen for whom', { server: waiting }, 'waiting for 2 min for a lock, it is not seen whose'],
    ['nothing moves', { server: still }, 'nothing has moved for 2 min (Timeout/PgSleep)'],
    [
      'nor does a statement run',
      { server: { ...still, events: [] } },
      'nothing has moved for 2 min (no statement of ours runs)',
    ],
    ['it is not known', { server: unknown }, 'not known for 2 min whether it moves: the server is gone'],
    [
      'a runner that is silent has told nothing, whatever it said last',
      { at: at - 4 * minute, server: working },
      'not known for 4 min whether it moves: the runner gives no sign of life',
    ],
    ['a kind of step that is not looked at has its time', {}, 'for 4 min'],
    ['an older runner tells no times', { at: undefined, begun: undefined, since: undefined } as never, ''],
  ])('%s', (_what, change, words) => {
    expect(pace(change).words).toBe(words);
  });

  it('S2-19: it stands in STEP', () => {
    const [release, run] = scene({ server: working });
    expect(stepOf(run.status, '', { pace: paceOf(release, run) })).toBe('core 1/3: Drop a column, working for 4 min');
  });

  it('nothing is said of another run, nor of what is over', () => {
    expect(paceOf(...scene({ run: 'another' }))).toBeUndefined();
    const [release, run] = scene({ server: still });
    const result = { token: 1, run: run.uid, ok: true, versionTables: {} } as const;
    expect(paceOf({ ...release, runner: { ...release.runner, result } as never }, run)).toBeUndefined();
  });
});

describe('S2-38: when a person is asked', () => {
  const long = { begun: at - 121 * minute, since: at - 3 * minute, server: working };
  const quiet = (server: ServerActivity) => ({ server: { ...server, quietSeconds: 31 * minute } });
  it.each<[string, Partial<RunnerProgress>, string | undefined]>([
    ['not while it moves', { server: working }, undefined],
    ['not before the time', { server: { ...still, quietSeconds: 29 * minute } }, undefined],
    ['after 30 minutes without movement', quiet(still), 'NoProgress'],
    ['of which a wait is one', quiet(waiting), 'NoProgress'],
    ['also when nothing is known for so long', quiet(unknown), 'NoProgress'],
    ['also when the runner is silent for so long', { at: at - 31 * minute, server: working }, 'NoProgress'],
    ['after 2 hours of one step, though it moves', long, 'LongStep'],
    ['also of a step that is not looked at', { ...long, server: undefined } as never, 'LongStep'],
    ['what does not move is more pressing', { ...long, ...quiet(still) }, 'NoProgress'],
  ])('%s', (_what, change, reason) => {
    expect(pace(change).asks?.reason).toBe(reason);
  });

  it('the limits are settings', () => {
    const [release, run] = scene({ server: working });
    expect(paceOf({ ...release, patience: { noProgressMinutes: 30, longStepMinutes: 5 } }, run)?.asks?.reason).toBe(
      'LongStep',
    );
    const impatient = { ...release, patience: { noProgressMinutes: 1, longStepMinutes: 500 } };
    expect(paceOf(impatient, run)?.asks).toBeUndefined();
  });

  it.each<[string, string, ServerActivity, RegExp, RegExp | undefined]>([
    [
      'who waits may end the blocker',
      'postgresql',
      waiting,
      /waiting for 2 min for pid 4711.*or end the session that/,
      undefined,
    ],
    [
      'of PostgreSQL the statement may be ended, once aborted',
      'postgresql',
      still,
      /"abort":true.*pg_cancel_backend\(99\)/,
      /end the session/,
    ],
    ['of MySQL never', 'mysql', still, /never end its statement/, /pg_cancel_backend/],
  ])('the sentence says what there is to decide: %s', (_what, backend, server, says, not) => {
    const { message } = pace({ ...quiet(server), blockedBy: [blocker] }, backend).asks!;
    expect(message).toMatch(/^nothing of core 1\/3 was seen to progress for 30 min \(/);
    expect(message).toMatch(says);
    expect(message).toMatch(
      /Decide: wait; or .*kubectl -n air patch downgrade af-x7k2q.*after what runs now.*downdraft ends nothing on its own$/,
    );
    if (not) expect(message).not.toMatch(not);
  });
});

describe('S2-38: what a person may decide, by what the runner is at', () => {
  const asked = (kind: string, backend: string, server: ServerActivity) =>
    pace({ kind, server: { ...server, quietSeconds: 31 * minute } }, backend).asks!.message;
  const kinds = Object.keys(stepKinds) as StepKind[];
  const thatAre = (is: (facts: StepFacts) => boolean) => kinds.filter((kind) => is(stepKinds[kind]));

  it.each(thatAre(({ part }) => part === 'return'))('%s, which brings the newer version back: only to wait', (kind) => {
    for (const backend of ['postgresql', 'mysql'])
      expect(asked(kind, backend, still)).toMatch(/Decide: wait\. downdraft ends nothing on its own$/);
  });

  it.each(thatAre(({ reverses }) => !reverses))(
    '%s, of which nothing is a revision: its statement is no matter',
    (kind) => {
      for (const backend of ['postgresql', 'mysql'])
        expect(asked(kind, backend, still)).not.toMatch(/statement|pg_cancel_backend|revision/);
    },
  );

  it.each(thatAre(({ abort }) => abort === 'at once'))('%s ends at once when it is aborted', (kind) => {
    expect(asked(kind, 'postgresql', still)).toMatch(/"abort":true.*which takes effect at once\. /);
  });

  it('a kind that only a newer runner knows: what is safe for every one', () => {
    expect(asked('vacuum', 'postgresql', still)).toMatch(/"abort":true.*which takes effect after what runs now\. /);
  });
});

describe('S2-33, S2-37: what became of the estimate', () => {
  // By the sizes: 40 s for a5a3e5eb9b8d and 3 s for 3ac9e5732b1f.
  const part = { what: 'an index of task_instance', percent: 50, remainingSeconds: 130 };
  it.each<[string, Partial<RunnerProgress>, string | undefined]>([
    ['in time', { begun: at - 58, server: working }, undefined],
    ['a little late is not worth a word', { begun: at - 100, server: working }, undefined],
    [
      'late, without anything to go by',
      { server: working },
      'core was estimated at less than a minute and has run for 5 min; how long it still takes is not known',
    ],
    [
      'late, with a new estimate from what is done',
      { server: { ...working, part } },
      'core was estimated at less than a minute and has run for 5 min; by its pace an index of task_instance needs about 2 min more, and the revisions after this one about less than a minute',
    ],
    [
      'a runner that went on from the middle is measured by what it does itself',
      { of: 1, done: 0, begun: at - 75, server: working },
      'core was estimated at less than a minute and has run for 1 min; how long it still takes is not known',
    ],
    ['other steps have no estimate', { kind: 'convert', server: working }, undefined],
  ])('%s', (_what, change, late) => {
    expect(pace(change).late).toBe(late);
  });
});

it('times and sizes are told in grains', () => {
  const told = [59, 60, 599, 17 * 60, 59 * 60, 3600, 4199, 4200, 7300].map(minutes);
  expect(told).toEqual(['less than a minute', '1 min', '9 min', '15 min', '55 min', '1 h', '1 h', '1 h 10 min', '2 h']);
  expect(withoutSizes('WAL 1.2 GiB, 60 %')).toBe(withoutSizes('WAL 980 MiB, 60 %'));
});
