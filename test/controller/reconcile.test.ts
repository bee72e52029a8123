/** The whole loop on a world in memory: every path of next, and a controller that is killed at every write. */
import { describe, expect, it } from 'vitest';
import { hold } from '../../src/release/kubernetes/hold.ts';
import { makeImage, makeWorkloads } from '../make/release.ts';
import { makeHold } from '../make/workload.ts';
import { makeWorld } from '../make/world.ts';
import {
  expectClean,
  isDone,
  Killed,
  killedAt,
  look,
  newer,
  older,
  outcomes,
  running,
  setImage,
  until,
} from './place.ts';

describe.each(['Copy', 'OldPod'] as const)('with runner %s', (runner) => {
  it('S0-3: a held release ends on the older version, core and FAB, with nothing of ours left', async () => {
    const world = running(newer);
    setImage(world, older);
    await until(world, isDone(world), { runner });
    for (let i = 0; i < 3; i++) world.tick();
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(world.database).toMatchObject({
      versionTables: { alembic_version: ['509b94a1042d'], alembic_version_fab: ['6709f7a774b9'] },
    });
    expectClean(world, older);
    expect(await look(world, { runner })).toEqual({ act: 'rest' });
  });

  it('S4-16: rows that nobody can convert block the plan, and it goes on when they are gone', async () => {
    const world = running(newer);
    world.undecipherable = 2;
    setImage(world, older);
    await until(world, () => world.downgrades[0]?.status?.reason === 'RowsUnreadable', { runner });
    expect(world.downgrades[0]!.status!.message).toMatch(/2 rows of trigger\.kwargs/);
    expect(
      world.pods.filter((p) => p.spec.containers[0]!.image === newer && p.status?.phase === 'Running').length,
    ).toBeGreaterThanOrEqual(4);
    world.undecipherable = 0;
    await until(world, isDone(world), { runner });
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('a request withdrawn in mid-drain brings the newer version back', async () => {
    const world = running(newer);
    setImage(world, older);
    await until(world, () => Boolean(world.downgrades[0]?.status?.record?.drainStartedAt), { runner });
    setImage(world, newer);
    await until(world, isDone(world), { runner });
    for (let i = 0; i < 3; i++) world.tick();
    expect(outcomes(world)).toEqual(['Canceled']);
    expectClean(world, newer);
  });
});

describe('reconcile', () => {
  it('rows that appear during the drain are found before the schema step, and the old pods come back', async () => {
    const world = running(newer);
    setImage(world, older);
    await until(world, () => Boolean(world.downgrades[0]?.status?.record?.drainStartedAt));
    world.undecipherable = 1;
    await until(world, () => world.downgrades[0]?.status?.reason === 'RowsUnreadable');
    await until(
      world,
      () => world.gates.size === 0 && world.pods.filter((p) => p.status?.phase === 'Running').length >= 4,
    );
    expect(world.harm).toEqual([]);
    expect(world.downgrades[0]!.status!.record!.schemaStartedAt).toBeUndefined();
  });

  it('an image that cannot be pulled touches nothing, says why, and setting the image back ends it', async () => {
    const world = running(newer);
    world.broken.add(older);
    setImage(world, older);
    await until(world, () => world.downgrades[0]?.status?.reason === 'TargetImageNotStarted');
    expect(world.downgrades[0]!.status!.message).toMatch(/ImagePullBackOff: not found/);
    expect(world.gates.size).toBe(0);
    setImage(world, newer);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Canceled']);
    expectClean(world, newer);
  });

  it.each([
    ['of the newer version', newer],
    ['that nobody knows', 'acme/airflow:prod-42'],
  ])('S0-8: waits while one workload still asks for an image %s', async (_, image) => {
    const world = running(newer);
    const dagProcessor = world.workloads[2]!;
    setImage(world, older);
    const still = structuredClone(dagProcessor);
    still.spec.template.spec.containers[0]!.image = image;
    world.workloads[2] = image === newer ? still : hold('Deployment', still, dagProcessor, makeHold());
    await until(world, () => world.downgrades[0]?.status?.reason === 'WaitingForWorkloads');
    expect(world.downgrades[0]!.status!.message).toContain(`deployment/af-dag-processor (${image})`);
    for (let i = 0; i < 10; i++) {
      await look(world);
      world.tick();
    }
    expect(world.gates.size).toBe(0);
    setImage(world, older);
    await until(world, isDone(world));
    expectClean(world, older);
  });

  it('G22: a failed step leaves the release drained, with the error; a deleted runner tries again', async () => {
    const world = running(newer);
    world.stepFails = 'canceling statement due to lock timeout';
    setImage(world, older);
    await until(world, () => world.downgrades[0]?.status?.reason === 'DowngradeFailed');
    expect(world.downgrades[0]!.status!.message).toBe('canceling statement due to lock timeout');
    expect(world.gates.size).toBe(1);
    expect(world.harm).toEqual([]);
    world.pods = world.pods.filter((p) => !p.metadata.name.endsWith('-runner'));
    await until(world, isDone(world));
    expectClean(world, older);
  });

  it('S1-15: a database that cannot be read starts nothing', async () => {
    const world = running(newer);
    world.database = { state: 'unreadable', why: 'connection refused' };
    setImage(world, older);
    expect(await look(world)).toMatchObject({ act: 'wait', reason: 'DatabaseUnreadable' });
    expect(world.downgrades).toEqual([]);
    expect(world.events).toContainEqual({
      about: 'deployment/af-scheduler',
      reason: 'DatabaseUnreadable',
      message: expect.stringContaining('connection refused'),
    });
  });

  it.each([1, 2, 3, 4])(
    'a request withdrawn after %i looks, whatever has been learned by then, ends cleanly',
    async (looks) => {
      const world = running(newer);
      world.broken.add(older);
      setImage(world, older);
      for (let i = 0; i < looks; i++) {
        await look(world);
        if (i > 1) world.tick();
      }
      setImage(world, newer);
      await until(world, isDone(world));
      expect(outcomes(world)).toEqual(['Canceled']);
      expectClean(world, newer);
    },
  );

  it('S0-10, G31: the gate stands until the last pod of the newer version that waits behind it is gone', async () => {
    const world = running(newer);
    setImage(world, older);
    let waited = 0;
    await until(world, () => {
      const waiting = world.pods.filter((p) => p.spec.schedulingGates?.length && p.spec.containers[0]!.image === newer);
      if (waiting.length > 0) waited++;
      // An autoscaler or an eviction would make its ReplicaSet bring another one, and that must be gated as well.
      expect([waiting.length > 0, world.gates.size]).not.toEqual([true, 0]);
      return isDone(world)();
    });
    expect(waited).toBeGreaterThan(5);
  });

  it('S1-5, G14: another release in the namespace is left alone', async () => {
    const world = makeWorld([...makeWorkloads(), ...makeWorkloads({ release: 'bystander' })]);
    for (let i = 0; i < 5; i++) world.tick();
    const bystanders = () => world.pods.filter((p) => p.metadata.labels?.release === 'bystander');
    const before = bystanders().map((p) => p.metadata.uid);
    const others = world.workloads.filter((w) => w.metadata.labels?.release === 'bystander');
    setImage(world, older);
    const changed = world.workloads.filter((w) => w.metadata.labels?.release === 'af');
    world.workloads = [...changed, ...others];
    await until(world, () => world.downgrades[0]?.status?.phase === 'Downgrading');
    expect(bystanders().map((p) => p.metadata.uid)).toEqual(before);
    await until(world, isDone(world));
    expect(world.downgrades.map((d) => d.spec.release)).toEqual(['af']);
    expect(world.workloads.filter((w) => w.metadata.labels?.release === 'bystander')).toEqual(
      others.map((w) => expect.objectContaining({ spec: w.spec })),
    );
  });

  it('a database that cannot be read is no reason to refuse the return to what still runs', async () => {
    const world = running(newer);
    world.database = { state: 'unreadable', why: 'connection refused' };
    setImage(world, older);
    await look(world);
    setImage(world, newer);
    for (let i = 0; i < 6; i++) {
      await look(world);
      world.tick();
    }
    expectClean(world, newer);
  });

  it('a held workload whose image fits after all is let go without a run', async () => {
    const world = running(newer);
    setImage(world, newer);
    world.learned[newer] = makeImage('3.2.1', { imageID: world.pods[0]!.status!.containerStatuses![0]!.imageID! });
    for (let i = 0; i < 3; i++) {
      await look(world);
      world.tick();
    }
    expect(world.downgrades).toEqual([]);
    expectClean(world, newer);
  });
});

describe('a controller killed before and after every write', () => {
  async function runThrough(due: number, when: 'before' | 'after', runner: 'Copy' | 'OldPod') {
    const world = running(newer);
    setImage(world, older);
    const count = { n: 0 };
    const writes = killedAt(world.writes, due, when, count);
    for (let i = 0; i < 150 && !isDone(world)(); i++) {
      await look(world, { runner, writes }).catch((error) => {
        if (!(error instanceof Killed)) throw error;
      });
      world.tick();
    }
    for (let i = 0; i < 3; i++) world.tick();
    return { world, writes: count.n };
  }

  it.each(['Copy', 'OldPod'] as const)(
    'G20, G28: always ends in the same place (%s)',
    async (runner) => {
      const { writes } = await runThrough(-1, 'before', runner);
      expect(writes).toBeGreaterThan(20);
      console.info(`${writes} writes, each killed before and after`);
      for (let due = 0; due < writes; due++)
        for (const when of ['before', 'after'] as const) {
          const { world } = await runThrough(due, when, runner);
          expect([due, when, outcomes(world)]).toEqual([due, when, ['Downgraded']]);
          expectClean(world, older);
        }
    },
    120_000,
  );
});
