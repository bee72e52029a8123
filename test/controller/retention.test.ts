/** S2-14: what a run leaves on the database's server goes after its time, and not before; in a world in memory. */
import { describe, expect, it } from 'vitest';
import { readRun } from '../../src/release/kubernetes/downgrade.ts';
import { asideName } from '../../src/release/model/backup-names.ts';
import { defaultRules } from '../../src/release/model/policy.ts';
import type { World } from '../make/world-parts.ts';
import {
  expectClean,
  isDone,
  Killed,
  killedAt,
  look,
  newer,
  older,
  record,
  running,
  setImage,
  until,
} from './place.ts';

const copies = (world: World) => Object.keys(world.copies);
const pass = (world: World, ms: number) => {
  world.now = new Date(world.now.getTime() + ms);
};
const hours = (n: number) => n * 3_600_000;

function withHours(keepHours: number): World {
  const world = running(newer);
  world.rules = { ...defaultRules, backup: { ...defaultRules.backup, keepHours } };
  return world;
}

async function downgraded(world = running(newer)): Promise<World> {
  const before = world.downgrades.length;
  setImage(world, older);
  await until(world, () => world.downgrades.length > before && isDone(world)());
  return world;
}

/** Downgraded, then returned in the middle of the schema step. */
async function returned(world = running(newer)): Promise<World> {
  setImage(world, older);
  await until(world, () => Boolean(record(world).schemaStartedAt));
  world.downgrades[0]!.spec.abort = true;
  await until(world, isDone(world));
  return world;
}

describe('a verified copy', () => {
  it('stays until its term is over, and is then dropped and noted, once', async () => {
    const world = await downgraded();
    pass(world, Date.parse(record(world).backup!.keepUntil!) - world.now.getTime() - 1);
    expect(await look(world)).toEqual({ act: 'rest' });
    expect(copies(world)).toEqual([record(world).backup!.name]);
    pass(world, 1);
    expect(await look(world)).toEqual({ act: 'rest' });
    expect(copies(world)).toEqual([]);
    const droppedAt = world.now.toISOString();
    expect(record(world).backup).toMatchObject({ droppedAt, name: expect.any(String) });
    expect(world.downgrades[0]!.status).toMatchObject({ backup: { droppedAt, way: 'ServerCopy' } });
    pass(world, hours(1000));
    await look(world);
    expect(record(world).backup).toMatchObject({ droppedAt });
    expectClean(world, older);
  });

  it('goes at once where the policy keeps it for 0 hours', async () => {
    const world = await downgraded(withHours(0));
    expect(copies(world)).toEqual([]);
    expect(record(world)).toMatchObject({ outcome: 'Downgraded', backup: { droppedAt: expect.any(String) } });
  });

  it('of an earlier run goes while the next one keeps its own', async () => {
    const world = await downgraded();
    setImage(world, newer, { held: false });
    world.migrates = true;
    for (let i = 0; i < 12; i++) world.tick();
    world.migrates = false;
    pass(world, hours(167));
    await downgraded(world);
    expect(copies(world)).toHaveLength(2);
    pass(world, hours(2));
    await look(world);
    expect(copies(world)).toEqual([record(world).backup!.name]);
  });
});

describe('after the return', () => {
  it('what was put aside stays as long as the copy would have', async () => {
    const world = await returned();
    const aside = asideName(readRun(world.downgrades[0]!));
    expect(record(world).outcome).toBe('Returned');
    await look(world);
    expect(copies(world)).toEqual([aside]);
    pass(world, hours(169));
    await look(world);
    expect(copies(world)).toEqual([]);
    expectClean(world, newer);
  });
});

describe('a copy that was begun and never verified', () => {
  it('goes as soon as the run is over', async () => {
    const world = running(newer);
    setImage(world, older);
    await until(world, () => copies(world).length > 0);
    expect(record(world).backup!.verifiedAt).toBeUndefined();
    world.downgrades[0]!.spec.abort = true;
    await until(world, isDone(world));
    expect(record(world)).toMatchObject({ outcome: 'Canceled', backup: { droppedAt: expect.any(String) } });
    expect(copies(world)).toEqual([]);
  });
});

describe('what can not be dropped', () => {
  it('is said in the status and tried again, every ten minutes at most', async () => {
    const world = await downgraded();
    world.copyKept = 'still on it: pid 7, ada, psql';
    const patch = world.writes.dropCopy;
    let tries = 0;
    const writes = {
      ...world.writes,
      dropCopy: async (...of: Parameters<typeof patch>) => {
        tries++;
        return patch(...of);
      },
    };
    pass(world, hours(169));
    for (let i = 0; i < 590; i += 10) {
      await look(world, { writes });
      pass(world, 10_000);
    }
    const failure = `database ${record(world).backup!.name} could not be dropped: still on it: pid 7, ada, psql`;
    expect([tries, record(world).backup!.failure, copies(world).length]).toEqual([1, failure, 1]);
    expect(world.downgrades[0]!.status).toMatchObject({ backup: { failure } });
    world.copyKept = undefined;
    pass(world, hours(1));
    await look(world, { writes });
    expect([tries, copies(world)]).toEqual([2, []]);
    expect(record(world).backup!.failure ?? undefined).toBeUndefined();
  });

  it('because the release was uninstalled: said once; it goes when the release is back', async () => {
    const world = await downgraded();
    const { workloads } = world;
    world.workloads = [];
    world.pods = [];
    pass(world, hours(169));
    await look(world);
    const told = record(world).backup!;
    expect(told.failure).toMatch(/no workload of release af is left .*; drop it by hand$/);
    pass(world, hours(5));
    expect(await look(world)).toEqual({ act: 'rest' });
    expect(record(world).backup).toEqual(told);
    world.workloads = workloads;
    for (let i = 0; i < 6; i++) world.tick();
    await look(world);
    expect(copies(world)).toEqual([]);
  });
});

describe.each(['before', 'after'] as const)('a controller that is killed %s a write', (when) => {
  it.each([0, 1])('number %i of the drop ends with the copy gone and the record right', async (due) => {
    const world = await downgraded();
    pass(world, hours(169));
    const writes = killedAt(world.writes, due, when, { n: 0 });
    await expect(look(world, { writes })).rejects.toThrow(Killed);
    expect(await look(world)).toEqual({ act: 'rest' });
    expect([copies(world), record(world).backup!.droppedAt]).toEqual([[], expect.any(String)]);
  });
});
