/** A controller killed before and after every write, on the hardest case that there is: everything odd at once. */
import { expect, it } from 'vitest';
import type { Rules } from '../../src/release/model/policy.ts';
import { apply } from '../make/door.ts';
import { makeDatabase, makeWorkloads } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import type { World } from '../make/world-parts.ts';
import {
  expectClean,
  goOn,
  isDone,
  Killed,
  killedAt,
  look,
  newer,
  older,
  outcomes,
  record,
  running,
  withImage,
} from './place.ts';

const target = 'apache/airflow:2.11.0';

/**
 * From 3.x to 2.x: the triggerer is OnDelete, the scheduler slips past the webhook, and when the drain begins the tool
 * deletes api-server and dag-processor and creates the webserver.
 */
async function begin(): Promise<World> {
  const world = running(newer, [
    ...makeWorkloads().slice(0, 3),
    makeStatefulSet({ updateStrategy: { type: 'OnDelete' } }),
  ]);
  for (const w of structuredClone(world.workloads)) await apply(world, withImage(w, target));
  const scheduler = world.workloads[1]!;
  scheduler.metadata.annotations = {};
  delete scheduler.spec.paused;
  return world;
}

async function meddle(world: World): Promise<void> {
  if (!record(world).drainStartedAt || world.workloads.some((w) => w.metadata.name === 'af-webserver')) return;
  await apply(world, makeDeployment({ component: 'webserver', image: target }));
  world.workloads = world.workloads.filter((w) => !/api-server|dag-processor/.test(w.metadata.name));
}

async function runThrough(due: number, when: 'before' | 'after') {
  const world = await begin();
  const count = { n: 0 };
  const writes = killedAt(world.writes, due, when, count);
  for (let i = 0; i < 150 && !isDone(world)(); i++) {
    // Killed before it could hold what slipped past, its pod starts; from the drain on nothing of the kind is excused.
    if (!record(world).drainedAt) world.harm = world.harm.filter((h) => !h.startsWith('af-scheduler'));
    await look(world, { writes }).catch((error) => {
      if (!(error instanceof Killed)) throw error;
    });
    world.tick();
    await meddle(world);
  }
  await goOn(world, 4);
  return { world, writes: count.n };
}

it('G20, G28: from 3.x to 2.x with the tool meddling, always ends in the same place', {
  timeout: 240_000,
}, async () => {
  const { writes } = await runThrough(-1, 'before');
  expect(writes).toBeGreaterThan(20);
  for (let due = 0; due < writes; due++)
    for (const when of ['before', 'after'] as const) {
      const { world } = await runThrough(due, when);
      expect([due, when, outcomes(world)]).toEqual([due, when, ['Downgraded']]);
      expect([due, when, world.workloads.map((w) => w.metadata.name).sort()]).toEqual([
        due,
        when,
        ['af-scheduler', 'af-triggerer', 'af-webserver'],
      ]);
      expectClean(world, target);
    }
});

const maker = ({ kind }: { kind: string }) => (kind === 'Backup' ? { phase: 'completed' } : { readyToUse: true });

/** Every way beside the copy, one after a copy that failed: what a killed controller must find again. */
const snapshots: Partial<Rules['backup']> = { ways: ['VolumeSnapshot'], volumeSnapshot: { claim: 'data-db-0' } };
const dumps: Partial<Rules['backup']> = { ways: ['ServerCopy', 'Dump'], dump: { claim: 'backups' } };
const ways: [string, Partial<Rules['backup']>][] = [
  ['Dump, after a copy that failed', dumps],
  ['VolumeSnapshot', snapshots],
  ['CNPGBackup', { ways: ['CNPGBackup'], cnpg: { cluster: 'pg' } }],
];

it.each(ways)(
  'S2-31, G20: with the way %s, killed before and after every write from the drain to the schema step: one backup, one end',
  { timeout: 120_000 },
  async (way, backup) => {
    const run = async (due: number, when: 'before' | 'after') => {
      const world = running(newer, makeWorkloads().slice(0, 2));
      world.rules = { ...world.rules, backup: { ...world.rules.backup, ...backup } };
      world.maker = maker;
      if (way.includes('failed')) world.copyFails = 'DiskFull: no space left';
      for (const w of structuredClone(world.workloads)) await apply(world, withImage(w, older));
      const count = { n: 0 };
      const writes = killedAt(world.writes, due, when, count);
      const span = { from: 0, to: 0 };
      for (let i = 0; i < 150 && !isDone(world)(); i++) {
        await look(world, { writes }).catch((error) => {
          if (!(error instanceof Killed)) throw error;
        });
        if (!record(world).drainStartedAt) span.from = count.n;
        if (!record(world).schemaStartedAt) span.to = count.n + 2;
        world.tick();
      }
      await goOn(world, 4);
      expect([due, when, ...outcomes(world)]).toEqual([due, when, 'Downgraded']);
      const { name, verifiedAt, way: taken } = record(world).backup ?? {};
      expect([due, when, taken, typeof verifiedAt]).toEqual([due, when, way.split(',')[0], 'string']);
      const made = [...Object.keys(world.dumps), ...world.backups.map(({ metadata }) => metadata.name)];
      expect([due, when, ...made]).toEqual([due, when, name]);
      expect([due, when, world.copies]).toEqual([due, when, {}]);
      expectClean(world, older);
      return span;
    };
    const { from, to } = await run(-1, 'before');
    expect(to - from).toBeGreaterThan(4);
    for (let due = from; due < to; due++) for (const when of ['before', 'after'] as const) await run(due, when);
  },
);

type Turn = [string, (world: World) => boolean, (world: World) => Promise<unknown>, Partial<Rules['backup']>?];

const turns: Turn[] = [
  ['spec.abort in the drain', (w) => Boolean(record(w).drainStartedAt), abort],
  ['spec.abort while the copy is made', (w) => Boolean(record(w).backup), abort],
  ['spec.abort in the schema step', (w) => record(w).progress?.kind === 'core', abort],
  [
    'spec.abort in the schema step, with a dump',
    (w) => record(w).progress?.kind === 'core',
    abort,
    { ...dumps, ways: ['Dump'] },
  ],
  ['spec.abort while a snapshot is awaited', (w) => w.backups.length > 0, abort, snapshots],
  ['the newer image again in the schema step', (w) => record(w).progress?.kind === 'core', wishBack],
];

async function abort(world: World): Promise<void> {
  world.downgrades[0]!.spec.abort = true;
}

async function wishBack(world: World): Promise<void> {
  for (const w of structuredClone(world.workloads)) await apply(world, withImage(w, newer));
}

it.each(turns)(
  'S2-39, G22: %s, and killed before and after every write: entirely on the newer version',
  {
    timeout: 120_000,
  },
  async (_, at, turn, backup = {}) => {
    const run = async (due: number, when: 'before' | 'after') => {
      const world = running(newer);
      world.rules = { ...world.rules, backup: { ...world.rules.backup, keepHours: 1, ...backup } };
      for (const w of structuredClone(world.workloads)) await apply(world, withImage(w, 'apache/airflow:3.1.8'));
      const count = { n: 0 };
      const writes = killedAt(world.writes, due, when, count);
      let returned = false;
      let from = 0;
      for (let i = 0; i < 150 && !isDone(world)(); i++) {
        await look(world, { writes }).catch((error) => {
          if (!(error instanceof Killed)) throw error;
        });
        if (!returned && at(world)) {
          await turn(world);
          returned = true;
          from = count.n;
        }
        world.tick();
      }
      await goOn(world, 4);
      expect([due, when, returned]).toEqual([due, when, true]);
      expect([due, when, ...outcomes(world)]).toEqual([due, when, expect.stringMatching(/^Returned$|^Canceled$/)]);
      expect(world.database).toMatchObject({ versionTables: makeDatabase().versionTables });
      expectClean(world, newer);
      return { writes: count.n, from };
    };
    const { writes, from } = await run(-1, 'before');
    // Up to the turn the ways differ in nothing that the others do not show.
    for (let due = backup.ways ? from : 0; due < writes; due++)
      for (const when of ['before', 'after'] as const) await run(due, when);
  },
);

it('S0-8: two controllers that look at the same moment, as when a leader sleeps and wakes: one record, one runner, one end', async () => {
  const world = await begin();
  const made: string[] = [];
  const { createPod } = world.writes;
  world.writes.createPod = async (pod) => {
    made.push(pod.metadata.name);
    return createPod(pod);
  };
  for (let i = 0; i < 100 && !isDone(world)(); i++) {
    const looks = await Promise.allSettled([look(world), look(world)]);
    for (const failed of looks.filter((l) => l.status === 'rejected'))
      expect(String(failed.reason)).toMatch(/has changed/);
    world.tick();
    await meddle(world);
  }
  await goOn(world, 4);
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(new Set(made).size).toBe(2);
  expectClean(world, target);
});
