/** Which database it is, and who can be asked where its schema is. */
import { describe, expect, it } from 'vitest';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeDatabase, makeImage } from '../make/release.ts';
import type { World } from '../make/world-parts.ts';
import {
  deployed as deploy,
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
  runningPods,
  shown,
  until,
  withImage,
} from './place.ts';

const other = { database: 'other', oid: '16999', cluster: '7300000000000000002' };
const heldIn = (world: World) => world.workloads.filter((w) => readWorkload(w)?.hold);

const image = (name: string) => (w: WorkloadObject) => withImage(w, name);

/** The connection's Secret is another one. */
const connection = (secret: string) => (w: WorkloadObject) => {
  const changed = structuredClone(w);
  const { containers, initContainers = [] } = changed.spec.template.spec;
  for (const { env = [] } of [...containers, ...initContainers])
    for (const { name, valueFrom } of env)
      if (name.endsWith('SQL_ALCHEMY_CONN')) valueFrom!.secretKeyRef!.name = secret;
  return changed;
};

describe('a change of the connection', () => {
  it('G42: to a database that fits is held, looked at once stored, and let go; the old one is not touched', async () => {
    const world = running(newer);
    world.databases['other-metadata'] = { ...makeDatabase({ version: '3.1.8' }), identity: other };
    const changed = (w: WorkloadObject) => connection('other-metadata')(withImage(w, older));
    expect(await deploy(world, changed)).toEqual(Array(4).fill('ConnectionChanged'));
    expect(heldIn(world)).toHaveLength(4);
    await goOn(world, 20);
    expect(heldIn(world)).toEqual([]);
    expect(outcomes(world)).not.toContain('Downgraded');
    expect(world.database).toEqual(makeDatabase());
    expectClean(world, older);
  });

  it('of the connection alone, the same image: let go as soon as its providers are known to fit', async () => {
    const world = running(newer);
    expect(await deploy(world, connection('other-metadata'))).toEqual(Array(4).fill('ConnectionChanged'));
    await goOn(world, 25);
    expect(heldIn(world)).toEqual([]);
    expectClean(world, newer);
  });

  it('to a database that is ahead: OtherDatabase, nothing drained, and the connection set back ends it', async () => {
    const world = running(newer);
    world.databases['other-metadata'] = { ...makeDatabase(), identity: other };
    const [before] = structuredClone(world.workloads);
    await deploy(world, (w) => connection('other-metadata')(withImage(w, older)));
    await until(world, () => shown(world).reason === 'OtherDatabase');
    await goOn(world, 15);
    expect(shown(world)).toMatchObject({
      reason: 'OtherDatabase',
      message: expect.stringMatching(/airflow .*now name other .*set the connection back/),
    });
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(world.gates.size).toBe(0);
    expect(runningPods(world, newer).length).toBeGreaterThanOrEqual(4);
    expect([world.database, world.databases['other-metadata']]).toMatchObject([
      { versionTables: makeDatabase().versionTables },
      { versionTables: makeDatabase().versionTables },
    ]);
    await deploy(world, (w) => connection('af-metadata')(withImage(w, newer)));
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Canceled']);
    expect(world.workloads[0]!.spec.template).toEqual(before!.spec.template);
    expectClean(world, newer);
  });

  it('old pods are not asked about a database that only the new ones would use', async () => {
    const world = running(newer);
    await deploy(world, (w) => connection('other-metadata')(withImage(w, older)));
    world.outside = 'connection refused';
    world.dialled = [];
    await goOn(world, 5);
    expect(world.dialled.filter((d) => d.startsWith('pod '))).toEqual([]);
    expect(heldIn(world)).toHaveLength(4);
    expect(world.downgrades).toEqual([]);
  });
});

/** Every workload is asked for this image, and held, since nothing can be seen. */
async function changedTo(world: World, name: string): Promise<void> {
  expect(await deploy(world, name)).toEqual(Array(4).fill('DatabaseUnreadable'));
}

async function thoughtBetterOf(world: World): Promise<void> {
  await changedTo(world, older);
  await until(world, () => Boolean(record(world).plan));
  expect(await deploy(world, newer)).toEqual(Array(4).fill('PreviousImage'));
}

const abort = (at: 'drainedAt' | 'schemaStartedAt') => async (world: World) => {
  await changedTo(world, older);
  await until(world, () => Boolean(record(world)[at]));
  world.downgrades[0]!.spec.abort = true;
};

describe('a database that cannot be read from outside', () => {
  it.each(['Copy', 'OldPod'] as const)('is told of by a pod, through a whole run (%s)', async (runner) => {
    const world = running(newer);
    world.outside = 'a cloud login is needed';
    expect(await deploy(world, image(older))).toEqual(Array(4).fill('DatabaseUnreadable'));
    await until(world, isDone(world), { runner });
    await goOn(world, 4, { runner });
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(world.dialled.some((d) => d.startsWith('pod '))).toBe(true);
    expectClean(world, older);
  });

  /** What becomes of a release, by what is asked of it: the image that it ends with, and what its runs came to. */
  it.each<[string, { from: typeof newer | typeof older; course(world: World): Promise<void>; ends: string[] }]>([
    ['an upgrade', { from: older, course: (w) => changedTo(w, newer), ends: [] }],
    ['a downgrade', { from: newer, course: (w) => changedTo(w, older), ends: ['Downgraded'] }],
    ['a downgrade that is thought better of', { from: newer, course: thoughtBetterOf, ends: ['Canceled'] }],
    ['one that is aborted in the drain', { from: newer, course: abort('drainedAt'), ends: ['Canceled'] }],
    ['in the schema step', { from: newer, course: abort('schemaStartedAt'), ends: ['Returned'] }],
  ])('holds nobody for ever: %s', async (_, { from, course, ends }) => {
    const world = running(from);
    Object.assign(world, { outside: 'a cloud login is needed', migrates: from === older });
    await course(world);
    await goOn(world, 60);
    expect(outcomes(world)).toEqual(ends);
    expectClean(world, ends.includes('Downgraded') ? older : newer);
  });

  it('also by one controller that remembers what a pod said', async () => {
    const world = running(newer);
    const maps = makeMaps();
    world.outside = 'a cloud login is needed';
    await deploy(world, image(older));
    await until(world, isDone(world), { maps });
    await goOn(world, 4, { maps });
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  it('an upgrade, held since nothing could be seen, is let go at once', async () => {
    const world = running(older);
    world.outside = 'a cloud login is needed';
    world.migrates = true;
    expect(await deploy(world, image(newer))).toEqual(Array(4).fill('DatabaseUnreadable'));
    await goOn(world, 12);
    expect(world.downgrades).toEqual([]);
    expectClean(world, newer);
  });

  it('S1-15: neither by a pod: both say why, nothing is begun, and it goes on when one of them can', async () => {
    const world = running(newer);
    world.outside = 'connection refused';
    await deploy(world, image(older));
    world.pods = [];
    expect(await look(world)).toMatchObject({
      act: 'wait',
      reason: 'DatabaseUnreadable',
      message: expect.stringContaining('connection refused'),
    });
    expect(world.downgrades).toEqual([]);
    expect(world.events).toContainEqual({
      about: 'deployment/af-scheduler',
      reason: 'DatabaseUnreadable',
      message: expect.stringContaining('connection refused'),
    });
    world.outside = undefined;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('a quiet release is dialled once, and again when something of it changes', async () => {
    const world = running(newer);
    const maps = makeMaps();
    await goOn(world, 5, { maps });
    expect(world.dialled.filter((d) => d.startsWith('database'))).toHaveLength(1);
    world.workloads = world.workloads.map((w) => withImage(w, 'apache/airflow:3.2.2'));
    await look(world, { maps });
    expect(world.dialled.filter((d) => d.startsWith('database'))).toHaveLength(2);
  });

  it('a pod is asked at most once in ten seconds while it is planned', async () => {
    const world = running(newer);
    const maps = makeMaps();
    world.outside = 'a cloud login is needed';
    world.undecipherable = 1;
    await deploy(world, image(older));
    await until(world, () => shown(world).reason === 'RowsUnreadable', { maps });
    world.dialled = [];
    await goOn(world, 30, { maps });
    const asked = world.dialled.filter((d) => d.startsWith('pod ')).length;
    expect(asked).toBeGreaterThanOrEqual(2);
    expect(asked).toBeLessThanOrEqual(4);
  });
});

describe('MySQL, told of by a pod', () => {
  it('an upgrade is let go', async () => {
    const world = running(older);
    Object.assign(world, { backend: 'mysql', outside: 'mysql is not read from outside', migrates: true });
    await deploy(world, image(newer));
    await goOn(world, 12);
    expect(world.downgrades).toEqual([]);
    expectClean(world, newer);
  });

  it('a downgrade asks for a backup that somebody names, and then goes on', async () => {
    const world = running(newer);
    Object.assign(world, {
      backend: 'mysql',
      outside: 'mysql is not read from outside',
      copyImpossible: 'not on MySQL',
    });
    await deploy(world, image(older));
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    await goOn(world, 15);
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(runningPods(world, newer).length).toBeGreaterThanOrEqual(4);
    const [, patch] = /-p '([^']*)'/.exec(String(shown(world).message))!;
    Object.assign(world.downgrades[0]!.spec, JSON.parse(patch!.replace(/<[^>]*>/, 'nightly-2026-11-20')).spec);
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });
});

describe('a tag that was pushed again', () => {
  const tag = 'acme/airflow:prod';

  /** The release runs what the tag was; it is known; then the tag is another version and a pod starts anew. */
  async function moved(registryTells: boolean) {
    const world = running(newer);
    Object.assign(world.contents, { [tag]: '3.2.1' });
    world.registryTells = registryTells;
    world.workloads = world.workloads.map((w) => withImage(w, tag));
    await goOn(world, 15);
    expect(runningPods(world, tag)).toHaveLength(4);
    const running321 = world.pods[0]!.status!.containerStatuses![0]!.imageID!;
    world.learned[tag] = { ...makeImage('3.2.1'), image: tag, imageID: running321 };
    world.contents[tag] = '3.1.8';
    world.pods = world.pods.filter((p) => !p.metadata.name.startsWith('af-scheduler'));
    world.tick();
    world.tick();
    world.tick();
    expect(new Set(world.pods.map((p) => p.status!.containerStatuses![0]!.imageID)).size).toBe(2);
    return world;
  }

  it('is found by the imageID of a running pod: what was learned is forgotten, and TagMoved said', async () => {
    const world = await moved(false);
    await goOn(world, 3);
    expect(world.learned[tag]).toBeUndefined();
    expect(world.events).toContainEqual(
      expect.objectContaining({ reason: 'TagMoved', message: expect.stringMatching(/pushed again/) }),
    );
    expect(heldIn(world)).toEqual([]);
  });

  it('the next change by that tag asks anew', async () => {
    const world = await moved(false);
    await goOn(world, 3);
    const again = (w: WorkloadObject) => withImage(w, `${tag}-2`);
    world.contents[`${tag}-2`] = '3.1.8';
    expect((await deploy(world, again))[0]).toBe('ImageUnknown');
    await until(world, () => Boolean(record(world).target));
    expect(record(world).target).toMatchObject({ version: '3.1.8' });
  });

  it('is held where the registry says which Airflow the running digest has', async () => {
    const world = await moved(true);
    await goOn(world, 3);
    expect(heldIn(world)).toHaveLength(4);
    const digest = world.pods.find((p) => p.metadata.name.startsWith('af-scheduler'))!.status!.containerStatuses![0]!
      .imageID;
    expect(world.dialled).toContain(`registry ${digest!.replace('docker.io/', '')}`);
    expect(world.downgrades).toHaveLength(1);
  });
});
