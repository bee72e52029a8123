/** A write that comes late, of a leader that was replaced or of one who decided before a person spoke, undoes nothing. And what is kept of runs and releases has an end. */
import { expect, it } from 'vitest';
import type { Writes } from '../../src/controller/ports.ts';
import { keptRecords } from '../../src/release/downgrade/retention.ts';
import { newDowngrade } from '../../src/release/kubernetes/downgrade.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  expectClean,
  isDone,
  look,
  makeMaps,
  newer,
  older,
  outcomes,
  record,
  running,
  shown,
  until,
} from './place.ts';

/** Stands for the write of an old leader that is on its way: decided now, made when `arrive` is called. */
function inFlight(world: World, due: (status: { record?: object }) => boolean) {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: sent, resolve: send } = Promise.withResolvers<void>();
  const writes: Writes = {
    ...world.writes,
    patchDowngradeStatus: async (...args) => {
      if (due(args[2])) {
        send();
        await arrived;
      }
      return world.writes.patchDowngradeStatus(...args);
    },
  };
  return { writes, sent, arrive };
}

it.each<[string, (world: World) => boolean, string]>([
  ['opens the release again', (w) => Boolean(record(w).drainStartedAt), 'drainStartedAt'],
  ['writes a plan', (w) => Boolean(record(w).target), 'plan'],
  ['begins the return', (w) => Boolean(record(w).schemaStartedAt), 'returnStartedAt'],
])('of an old leader that %s, when the new one is further by then', async (_, due, field) => {
  const world = running(newer);
  await deploy(world, older);
  await until(world, due);
  const { writes, sent, arrive } = inFlight(world, ({ record: facts }) => field in (facts ?? {}));
  // What made the old leader decide so is over when the new one looks.
  if (field === 'drainStartedAt') world.mode = 'Deny';
  if (field === 'returnStartedAt') world.downgrades[0]!.spec.abort = true;
  const late = look(world, { writes }).catch((error: Error) => error);
  await sent;
  world.mode = 'Hold';
  world.downgrades[0]!.spec.abort = false;
  await until(world, isDone(world));
  const after = structuredClone(world.downgrades);
  arrive();
  // It meets the conflict, looks again and finds that there is nothing left to do.
  expect(await late).toEqual({ act: 'rest' });
  expect(world.downgrades).toEqual(after);
  expect(outcomes(world)).toEqual(['Downgraded']);
  expectClean(world, older);
});

it('of this leader, when a person approved meanwhile: it looks again, and nothing is told as trouble', async () => {
  const world = running(newer);
  await deploy(world, older);
  let spoken = 0;
  const writes: Writes = {
    ...world.writes,
    patchDowngradeStatus: async (...args) => {
      const [object] = world.downgrades;
      if (spoken++ === 2) object!.metadata.resourceVersion = '1000';
      return world.writes.patchDowngradeStatus(...args);
    },
  };
  await until(world, isDone(world), { writes });
  expect(spoken).toBeGreaterThan(3);
  expect(world.events.map(({ reason }) => reason)).not.toContain('Blocked');
  expect(outcomes(world)).toEqual(['Downgraded']);
});

it('of a workload that somebody changed meanwhile: it looks again, and nothing is told as trouble', async () => {
  const world = running(newer);
  await deploy(world, older);
  let touched = 0;
  const writes: Writes = {
    ...world.writes,
    patchWorkload: async (workload, patch) => {
      if (touched++ === 0)
        world.workloads.find((w) => w.metadata.name === workload.metadata.name)!.metadata.resourceVersion = '1000';
      return world.writes.patchWorkload(workload, patch);
    },
  };
  await until(world, isDone(world), { writes });
  expect(world.events.map(({ reason }) => reason)).not.toContain('Blocked');
  expect(shown(world).reason).toBe('Downgraded');
});

it('what is kept of finished runs and of releases that are gone has an end', async () => {
  const world = running(newer);
  const maps = makeMaps();
  const times = keptRecords + 5;
  for (let n = 0; n < times; n++) {
    const heldSince = new Date(Date.UTC(2026, 0, n + 1)).toISOString();
    const object = newDowngrade({ namespace: 'air', release: 'af', to: older, heldSince });
    await world.writes.createDowngrade(object);
    Object.assign(world.downgrades.at(-1)!.metadata, { creationTimestamp: heldSince });
    world.downgrades.at(-1)!.status = { record: { completedAt: heldSince, outcome: 'Downgraded' } };
  }
  const newest = world.downgrades.slice(-keptRecords).map((d) => d.metadata.name);
  await look(world, { maps });
  expect(world.downgrades.map((d) => d.metadata.name)).toEqual(newest);
  expect(maps.examined.size).toBe(1);
  maps.told.set('air/af', 'said');
  maps.asked.set('air/af', { at: 0, told: { database: world.database } });
  world.workloads = [];
  await look(world, { maps });
  expect([maps.told, maps.examined, maps.asked].map((map) => map.size)).toEqual([0, 0, 0]);
});
