/** A long step as a person reads it: rarely rewritten, told once when someone has to decide, and again when it moves. */
import { describe, expect, it } from 'vitest';
import type { RunnerProgress, ServerActivity } from '../../src/release/model/runner.ts';
import type { World } from '../make/world-parts.ts';
import { look, newer, older, record, running, setImage, shown, until } from './place.ts';

const working: ServerActivity = { state: 'working', seconds: 9, quietSeconds: 0, events: ['processor'] };
const stuck: ServerActivity = { state: 'still', seconds: 9, quietSeconds: 31 * 60, events: ['Timeout/PgSleep'] };

/** A run whose core step stands where it is; what the runner says of it is up to the test. */
async function inCore() {
  const world = running(newer);
  setImage(world, older);
  await until(world, (w) => record(w).progress?.kind === 'core');
  const { runnerFiles } = world.reads;
  const paths = ['/inspect.json', '/progress.json', '/result.json', '/pid'];
  const pod = world.pods.find((p) => p.metadata.name.endsWith('-runner'))!.metadata.name;
  const [inspect, progress, , pid] = await runnerFiles('air', pod, 'x', paths);
  const begun = world.now.getTime() / 1000;
  let said: RunnerProgress = { ...JSON.parse(progress!), begun, since: begun };
  world.reads.runnerFiles = async () => [inspect, JSON.stringify(said), undefined, pid];
  const middle = structuredClone(world.database);
  world.reads.database = async () => structuredClone(middle);
  const counted = { writes: 0 };
  const { patchDowngradeStatus } = world.writes;
  world.writes.patchDowngradeStatus = async (...args) => {
    counted.writes++;
    return patchDowngradeStatus(...args);
  };
  /** Later, with what the runner says then. */
  const say = async (seconds: number, change: Partial<RunnerProgress>) => {
    world.now = new Date(world.now.getTime() + seconds * 1000);
    said = { ...said, at: world.now.getTime() / 1000, ...change };
    return await look(world);
  };
  return { world, say, counted };
}

const stalled = (world: World) => shown(world).conditions ?? [];
const told = (world: World, reason: string) => world.events.filter((e) => e.reason === reason).map((e) => e.message);

describe('a long step', () => {
  it('S2-37: in an hour of numbers that move all the time the status is written about once a minute', async () => {
    const { world, say, counted } = await inCore();
    for (let n = 1; n <= 720; n++)
      await say(5, { server: { ...working, wal: n * 77e6, part: { what: 'an index', percent: n / 7.2 } } });
    expect(counted.writes).toBeLessThan(150);
    expect(counted.writes).toBeGreaterThan(60);
    expect(shown(world).step).toMatch(/^core 1\/2: at it, working for 1 h, WAL 5\d\.\d GiB, 100 % of an index$/);
    expect(told(world, 'Downgrading').length).toBeLessThanOrEqual(1);
  });

  it('S2-38: without movement someone is asked once, nothing is done, and when it moves again an event says so', async () => {
    const { world, say } = await inCore();
    const pods = world.pods.map((p) => p.metadata.name);
    for (let n = 0; n < 20; n++)
      expect(await say(60, { server: { ...stuck, quietSeconds: (31 + n) * 60 } })).toMatchObject({
        reason: 'NoProgress',
      });
    expect(told(world, 'NoProgress')).toEqual([
      expect.stringMatching(/was seen to progress for 30 min.*Decide: wait; or/),
    ]);
    expect(stalled(world)).toContainEqual(
      expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'NoProgress' }),
    );
    expect(world.pods.map((p) => p.metadata.name)).toEqual(pods);

    await say(5, { server: working });
    expect(stalled(world)).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'False' }));
    expect(told(world, 'Downgrading').at(-1)).toMatch(/^it progresses again: core 1\/2, working for 20 min$/);
    expect(world.pods.map((p) => p.metadata.name)).toEqual(pods);
  });

  it('S2-37: that it has outrun its estimate is told once, and stays to be read', async () => {
    const { world, say } = await inCore();
    await say(5, { server: working });
    expect(stalled(world).map(({ type }) => type)).not.toContain('Late');
    for (let n = 0; n < 5; n++) await say(60, { server: working });
    expect(told(world, 'Late')).toEqual([expect.stringMatching(/^core was estimated at less than a minute/)]);
    expect(stalled(world)).toContainEqual(expect.objectContaining({ type: 'Late', status: 'True' }));
  });

  it('S2-20: an abort is ordered once while a revision runs, and a person reads when it takes effect', async () => {
    const { world, say } = await inCore();
    const { writeFile } = world.writes;
    const ordered: string[] = [];
    world.writes.writeFile = async (...args) => {
      ordered.push(JSON.parse(args[4]).run);
      await writeFile(...args);
    };
    world.downgrades[0]!.spec.abort = true;
    await say(5, { server: working });
    expect(ordered).toEqual([expect.stringMatching(/\/return$/)]);
    for (let n = 0; n < 5; n++) await say(60, { server: working, newer: ordered[0]! });
    expect(ordered).toHaveLength(1);
    expect(shown(world).message).toBe(
      'the return begins when core 1/2 is through: a reverse script is never cut off in its middle',
    );
  });
});
