/** What fails again and again, or is decided again and again, is said where people look, and ends there. */
import { describe, expect, it } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import type { Reads } from '../../src/controller/ports.ts';
import { databaseOf, sessionsOf } from '../../src/wiring/database.ts';
import { makeWorkloads } from '../make/release.ts';
import { makeDeployment } from '../make/workload.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  deployed,
  expectClean,
  goOn,
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

const forbidden = (what: string) => new ApiError(403, 'Forbidden', `GET ${what}: 403 is forbidden`);

/** Looks often enough that what passes by itself would have passed; answers the words of the last failure. */
async function lookOften(world: World, maps = makeMaps()): Promise<string> {
  let words = '';
  for (let i = 0; i < 4; i++) {
    await look(world, { maps }).catch((error: Error) => {
      words = error.message;
    });
    world.tick();
  }
  return words;
}

const saidOn = (world: World, about: string) =>
  world.events.filter((e) => e.about.startsWith(about) && e.reason === 'Blocked').map((e) => e.message);

describe('what cannot be looked at, look after look', () => {
  const always = ['pods', 'replicaSetOwners', 'downgrades', 'gateExists', 'learnedImages'] as const;

  it.each(always)('%s: is said on what is held, and what is done goes on when it can be', async (name) => {
    const world = running(newer);
    const maps = makeMaps();
    await deploy(world, older);
    const reading = world.reads[name];
    Object.assign(world.reads, { [name]: () => Promise.reject(forbidden(name)) });
    expect(await lookOften(world, maps)).toContain(`GET ${name}: 403`);
    expect(saidOn(world, 'deployment/af-scheduler')).toEqual([expect.stringContaining(`GET ${name}: 403`)]);
    Object.assign(world.reads, { [name]: reading });
    await until(world, isDone(world), { maps });
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  const inRun: [keyof Reads, (world: World) => boolean][] = [
    ['pods', (world) => Boolean(record(world).plan)],
    ['podLog', (world) => world.downgrades.length > 0],
    ['rollouts', (world) => Boolean(record(world).target)],
    ['gateExists', (world) => Boolean(record(world).drainStartedAt)],
  ];

  it.each(inRun)('%s, in a run: the Downgrade is Stalled with it', async (name, then) => {
    const world = running(newer);
    const maps = makeMaps();
    await deploy(world, older);
    await until(world, then, { maps });
    Object.assign(world.reads, { [name]: () => Promise.reject(forbidden(name)) });
    await lookOften(world, maps);
    expect(shown(world)).toMatchObject({ reason: 'Blocked', message: expect.stringContaining(`GET ${name}: 403`) });
    expect(shown(world).conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }));
    expect(saidOn(world, 'downgrade/')).toHaveLength(1);
  });

  it('is not said of what passes by itself, and not at each look of what does not', async () => {
    const world = running(newer);
    const maps = makeMaps();
    await deploy(world, older);
    const { pods } = world.reads;
    const failing = async (times: number) => {
      world.reads.pods = () => Promise.reject(forbidden('pods'));
      for (let i = 0; i < times; i++) await look(world, { maps }).catch(() => undefined);
      world.reads.pods = pods;
      await look(world, { maps });
    };
    await failing(2);
    expect(saidOn(world, 'deployment/af-scheduler')).toEqual([]);
    await failing(100);
    expect(saidOn(world, 'deployment/af-scheduler')).toHaveLength(6);
  });

  it('the sessions on the database: a while, as with sessions that are seen', async () => {
    const world = running(newer);
    await deploy(world, older);
    world.reads.sessions = () => Promise.reject(new Error('permission denied for pg_stat_activity'));
    await until(world, () => shown(world).reason === 'SessionsRemain');
    expect(shown(world).message).toContain('permission denied for pg_stat_activity');
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

describe('a Secret or ConfigMap that downdraft may not read', () => {
  const workload = makeDeployment();
  const refusing = (error: Error) => ({ request: () => Promise.reject(error) }) as unknown as Client;
  const of = forbidden('/api/v1/namespaces/air/secrets/af-metadata');

  it.each([
    [of, /^downdraft may not read Secret af-metadata, .* needs the right to get it there$/],
    [new ApiError(500, '', 'secret words of a proxy'), /^Secret af-metadata, .*: the API server answered 500$/],
    [new Error('connect ECONNREFUSED'), /^Secret af-metadata, .*ECONNREFUSED$/],
  ])('makes the database unreadable, in words, and fails nothing (%#)', async (error, why) => {
    const state = await databaseOf(refusing(error), workload, 'scheduler', 100);
    expect(state).toEqual({ state: 'unreadable', why: expect.stringMatching(why) });
    await expect(sessionsOf(refusing(error), workload, 'scheduler', 100)).rejects.toThrow(why);
  });

  it('so a pod is asked, and the run ends as any other', async () => {
    const world = running(newer);
    world.reads.database = (object, container) => databaseOf(refusing(of), object, container, 100);
    world.reads.sessions = (object, container) => sessionsOf(refusing(of), object, container, 100);
    expect(await deployed(world, older)).toEqual(Array(4).fill('DatabaseUnreadable'));
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    await goOn(world, 4);
    expectClean(world, older);
  });
});

describe('one request after the other, while held', () => {
  it.each([['as often as it is thought of anew', ['apache/airflow:3.1.8', 'apache/airflow:2.11.0', older, older]]])(
    'each has a run of its own, %s',
    async (_, images) => {
      const world = running(newer);
      world.rules = { ...world.rules, approval: 'Always' };
      for (const image of images) {
        await deploy(world, image);
        await until(
          world,
          () => shown(world).reason === 'AwaitingApproval' && world.downgrades.at(-1)!.spec.to === image,
        );
      }
      expect(outcomes(world)).toEqual(['Canceled', 'Canceled', undefined]);
      expect(new Set(world.downgrades.map(({ metadata }) => metadata.name)).size).toBe(3);
      world.rules = { ...world.rules, approval: 'Never' };
      await until(world, isDone(world));
      expect(outcomes(world).at(-1)).toBe('Downgraded');
    },
  );

  it('a name that is taken by a run that is over is said, not taken for this one', async () => {
    const world = running(newer);
    const maps = makeMaps();
    const { createDowngrade } = world.writes;
    world.writes.createDowngrade = async (object) => {
      world.downgrades = [{ ...object, status: { record: { completedAt: 'before', outcome: 'Canceled' } } }];
      await createDowngrade(object);
    };
    await deploy(world, older);
    expect(await lookOften(world, maps)).toMatch(/is there already/);
    expect(saidOn(world, 'deployment/af-scheduler')).toEqual([expect.stringMatching(/is there already/)]);
  });
});

it('a decision that repeats itself ends the look after a few acts, and is said on what is held', async () => {
  const world = running(newer);
  const maps = makeMaps();
  await deploy(world, older);
  await until(world, () => record(world).pods?.runner !== undefined && record(world).target !== undefined, { maps });
  // Whatever is written into the record is gone again.
  const { patchDowngradeStatus } = world.writes;
  let written = 0;
  world.writes.patchDowngradeStatus = async (namespace, name, { record: lost, ...status }, read) => {
    if (lost !== undefined) written++;
    return patchDowngradeStatus(namespace, name, status, read);
  };
  for (let i = 0; i < 5; i++) {
    expect(await look(world, { maps })).toMatchObject({ act: 'wait', reason: 'Blocked' });
    world.tick();
  }
  expect(written).toBeLessThanOrEqual(4 * 5);
  const message = expect.stringMatching(/decided again and again \(\w+\).*set the image back/);
  expect(shown(world)).toMatchObject({ reason: 'Blocked', message });
  expect(saidOn(world, 'deployment/af-scheduler')).toEqual([message]);
});

it('a release with more workloads than there are looks in one go is not taken for one that repeats itself', async () => {
  const many = Array.from({ length: 45 }, (_, n) =>
    makeDeployment({ component: 'worker', name: `af-worker-${n}`, image: newer }),
  );
  const world = running(newer, [...makeWorkloads({ image: newer }), ...many]);
  await deploy(world, older);
  await until(world, isDone(world), { maps: makeMaps() });
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(world.events.filter(({ reason }) => reason === 'Blocked')).toEqual([]);
});
