/** What people read while the older version does not start, in a world in memory. */
import { describe, expect, it } from 'vitest';
import type { World } from '../make/world-parts.ts';
import { deploy, goOn, isDone, look, newer, older, outcomes, record, running, shown, until } from './place.ts';

/** The pods of the older version crash with these words. */
async function crashing(log: string): Promise<World> {
  const world = running(newer);
  world.lastLog = log;
  await deploy(world, older);
  await until(world, () => record(world).resumeStartedAt !== undefined);
  for (let i = 0; i < 12; i++) {
    for (const { metadata, spec } of world.pods)
      if (spec.containers.some(({ image }) => image === older)) world.crashing.add(metadata.name);
    await goOn(world, 1);
  }
  return world;
}

describe('a target that does not get Ready', () => {
  it('S4-2, S4-14: its known error is explained, and said once', async () => {
    const world = await crashing("Traceback (most recent call last):\nKeyError: <Encoding.VAR: '__var'>\n");
    expect(shown(world)).toMatchObject({
      phase: 'Resuming',
      reason: 'TargetNotReady',
      message: expect.stringMatching(
        /deployment\/\S+ not Ready: pod\/\S+: \S+ ended with exit code 1; it says "KeyError: <Encoding.VAR: '__var'>", that is: .*#68317/,
      ),
    });
    // S4-13: nobody calls it a success before these pods are Ready.
    expect(outcomes(world)).toEqual([undefined]);
    expect(shown(world).message).toContain('; it says the same as above');
    expect(shown(world).conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }));
    const said = () => world.events.filter(({ reason }) => reason === 'TargetNotReady').length;
    const before = said();
    expect(before).toBeGreaterThan(0);
    await goOn(world, 10);
    expect(said()).toBe(before);
  });

  it('it goes on by itself once they start', async () => {
    const world = await crashing('ValueError: odd\n');
    world.crashing.clear();
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('unknown words are shown as they are', async () => {
    const world = await crashing('ValueError: odd\n');
    expect(shown(world).message).toMatch(/; it says "ValueError: odd"(;|$)/);
  });

  it('a log that can not be had is said, with what is known without it', async () => {
    const world = await crashing('');
    const reads = {
      ...world.reads,
      podLog: async () => {
        throw new Error('pods/log is forbidden');
      },
    };
    await look(world, { reads });
    expect(shown(world).message).toMatch(/ended with exit code 1; its log can't be read \(pods\/log is forbidden\)/);
  });
});

describe('S2-41: the plan', () => {
  it.each([
    [26, /newer than 3\.1\.8 has run here for 26 h, since .*three ways/],
    [2, /newer than 3\.1\.8 has run here for 2 h, since \S+$/],
  ])('says since when the newer version has run: %s h', async (hours, note) => {
    const world = running(newer);
    const made = (revision: number, ago: number, image: string) => ({
      workload: 'deployment/af-scheduler',
      revision,
      createdAt: new Date(world.now.getTime() - ago * 3_600_000).toISOString(),
      images: [image],
    });
    const { name, uid } = world.workloads.find((w) => w.metadata.name.includes('scheduler'))!.metadata;
    world.history = [made(1, hours + 100, older), made(2, hours, newer)].map((one) => ({
      ...one,
      workload: `deployment/${name}`,
      owner: uid!,
    }));
    await deploy(world, older);
    await until(world, () => record(world).plan !== undefined);
    expect(record(world).plan!.notes).toContainEqual(expect.stringMatching(note));
  });
});

it('S2-12: what ran before is written down: version, digest, and the heads of all schemas', async () => {
  const world = running(newer);
  await deploy(world, older);
  await until(world, isDone(world));
  expect(record(world)).toMatchObject({
    from: { image: newer, version: '3.2.1', imageID: expect.stringMatching(/@sha256:[0-9a-f]{64}$/) },
    before: { alembic_version: ['1d6611b6ab7c'], alembic_version_fab: ['02ca36b0235b'] },
  });
});
