/** A controller killed before and after every write, on the hardest case that there is: everything odd at once. */
import { expect, it } from 'vitest';
import { apply } from '../make/door.ts';
import { makeDatabase, makeWorkloads } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import type { World } from '../make/world.ts';
import {
  expectClean,
  goOn,
  isDone,
  Killed,
  killedAt,
  look,
  newer,
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

const turns: [string, (world: World) => boolean, (world: World) => Promise<unknown>][] = [
  ['spec.abort in the drain', (w) => Boolean(record(w).drainStartedAt), abort],
  ['spec.abort while the copy is made', (w) => Boolean(record(w).backup), abort],
  ['spec.abort in the schema step', (w) => record(w).progress?.kind === 'core', abort],
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
  async (_, at, turn) => {
    const run = async (due: number, when: 'before' | 'after') => {
      const world = running(newer);
      world.rules = { ...world.rules, backup: { ...world.rules.backup, keepHours: 1 } };
      for (const w of structuredClone(world.workloads)) await apply(world, withImage(w, 'apache/airflow:3.1.8'));
      const count = { n: 0 };
      const writes = killedAt(world.writes, due, when, count);
      let turned = false;
      for (let i = 0; i < 150 && !isDone(world)(); i++) {
        await look(world, { writes }).catch((error) => {
          if (!(error instanceof Killed)) throw error;
        });
        if (!turned && at(world)) {
          await turn(world);
          turned = true;
        }
        world.tick();
      }
      await goOn(world, 4);
      expect([due, when, turned]).toEqual([due, when, true]);
      expect([due, when, ...outcomes(world)]).toEqual([due, when, expect.stringMatching(/^Returned$|^Reverted$/)]);
      expect(world.database).toMatchObject({ versionTables: makeDatabase().versionTables });
      expectClean(world, newer);
      return count.n;
    };
    const writes = await run(-1, 'before');
    for (let due = 0; due < writes; due++) for (const when of ['before', 'after'] as const) await run(due, when);
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
