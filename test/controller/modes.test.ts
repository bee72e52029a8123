/** What a DowngradePolicy changes for the loop: Observe lets everything go, Deny lets nothing be downgraded. */
import { describe, expect, it } from 'vitest';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  expectClean,
  expectUnheld,
  goOn,
  isDone,
  killedAt,
  newer,
  older,
  outcomes,
  record,
  running,
  runningPods,
  shown,
  until,
} from './place.ts';

const unknown = 'acme/airflow:prod-42';
const heldIn = (world: World) => world.workloads.filter((w) => readWorkload(w)?.hold);

describe('Observe', () => {
  it('nothing is held and nothing written: the answer says what would have been', async () => {
    const world = running(newer);
    world.mode = 'Observe';
    for (const answer of await deploy(world, older)) {
      expect(answer).toMatchObject({
        allowed: true,
        patch: [],
        audit: { reason: 'Observed', observed: { verdict: 'hold', reason: 'DatabaseAhead' } },
      });
      expect(answer.warnings.join(' ')).toMatch(/only observes here; it would hold/);
    }
    const count = { n: 0 };
    await goOn(world, 10, { writes: killedAt(world.writes, -1, 'before', count) });
    expect(count.n).toBe(0);
    expect(runningPods(world, older)).toHaveLength(4);
  });

  it.each<[string, (world: World) => boolean]>([
    ['before there is a record', () => true],
    ['in Planning', (w) => Boolean(record(w).target)],
    ['while it is drained', (w) => Boolean(record(w).drainStartedAt)],
  ])('set while something is held, %s: all is let go, and the schema stays', async (_, due) => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, due);
    world.mode = 'Observe';
    await goOn(world, 15);
    expect(heldIn(world)).toEqual([]);
    for (const w of world.workloads) expectUnheld(w);
    expect(world.gates.size).toBe(0);
    expect(outcomes(world).every(Boolean)).toBe(true);
    expect(outcomes(world)).not.toContain('Downgraded');
    expect(world.database).toMatchObject({ versionTables: { alembic_version: ['1d6611b6ab7c'] } });
    expect(runningPods(world, older)).toHaveLength(4);
  });

  it('set once the schema step has begun: the run is brought to its end', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).schemaStartedAt));
    world.mode = 'Observe';
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });
});

describe('Deny', () => {
  it('a known downgrade is refused at the door, naming the policy, and nothing is stored', async () => {
    const world = running(newer);
    world.mode = 'Deny';
    const before = structuredClone(world.workloads);
    for (const answer of await deploy(world, older)) {
      expect(answer).toMatchObject({ allowed: false, audit: { reason: 'PolicyDenies' } });
      expect(answer.status?.message).toMatch(
        /DowngradePolicy platform forbids downgrades in namespace air: keep the newer image, or ask/,
      );
    }
    expect(world.workloads).toEqual(before);
  });

  it('found to be a downgrade only when the image was asked: PolicyDenies, nothing drained, and the newer image again ends it', async () => {
    const world = running(newer);
    world.mode = 'Deny';
    world.contents[unknown] = '3.1.8';
    expect((await deploy(world, unknown)).map((a) => a.audit.reason)).toEqual(Array(4).fill('ImageUnknown'));
    await until(world, () => shown(world).reason === 'PolicyDenies');
    await goOn(world, 15);
    expect(shown(world).reason).toBe('PolicyDenies');
    expect(shown(world).conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }));
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(world.gates.size).toBe(0);
    expect(runningPods(world, newer).length).toBeGreaterThanOrEqual(4);
    await deploy(world, newer);
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Canceled']);
    expectClean(world, newer);
  });

  it('no downgrade after all: what was asked and fits is let go', async () => {
    const world = running(newer);
    world.mode = 'Deny';
    world.contents[unknown] = '3.2.1';
    await deploy(world, unknown);
    await until(world, isDone(world));
    await goOn(world, 5);
    expect(outcomes(world)).toEqual(['NotNeeded']);
    expectClean(world, unknown);
  });
});
