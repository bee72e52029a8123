/** Pods, annotations and images that others made: nobody speaks for the pod that was asked, and no run waits for the store. */
import { describe, expect, it } from 'vitest';
import { hold } from '../../src/release/kubernetes/hold.ts';
import { annotation, label } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';
import { makeDatabase, makeImage } from '../make/release.ts';
import { makeHold } from '../make/workload.ts';
import type { World } from '../make/world-parts.ts';
import { asStored } from '../make/writes.ts';
import {
  deploy,
  expectClean,
  goOn,
  isDone,
  Killed,
  look,
  newer,
  older,
  outcomes,
  record,
  running,
  setImage,
  shown,
  until,
  withImage,
} from './place.ts';

/** A pod of somebody else's that has ended and printed one line. */
function strange(world: World, name: string, labels: Record<string, string>, said: object): void {
  const pod = makePod({ name, uid: 'uid-strange', component: '', labels, image: 'busybox', phase: 'Succeeded' });
  pod.status = { phase: 'Succeeded', containerStatuses: [{ name: '', state: { terminated: { exitCode: 0 } } }] };
  pod.metadata.ownerReferences = [];
  world.pods.push(pod);
  const { podLog } = world.reads;
  world.reads.podLog = async (namespace, of, ...more) => {
    const there = world.pods.find((p) => p.metadata.name === of);
    if (there?.metadata.uid !== 'uid-strange') return podLog(namespace, of, ...more);
    return `DOWNDRAFT-PROBE ${JSON.stringify(said)}`;
  };
}

const events = (world: World, reason: string) => world.events.filter((e) => e.reason === reason).map((e) => e.message);
const lies = { airflowVersion: '3.1.8', coreHeads: ['1d6611b6ab7c'], managers: [] };
const ours = (run: string) => ({
  [label.role]: 'probe',
  'downdraft.dev/run': run,
  'app.kubernetes.io/managed-by': 'downdraft',
});

describe('a pod that was not made for the run', () => {
  async function begun(labels: (run: string) => Record<string, string>) {
    const world = running(newer);
    setImage(world, older);
    const run = world.downgrades[0]?.metadata.name ?? (await name(world));
    strange(world, `${run}-probe`, labels(run), lies);
    return world;
  }
  /** The name of the record is known before there is one: anybody can compute it. */
  async function name(world: World): Promise<string> {
    const copy = running(newer);
    copy.now = world.now;
    setImage(copy, older);
    await until(copy, () => copy.downgrades.length > 0);
    return copy.downgrades[0]!.metadata.name;
  }

  it('is not believed, though it has the name and all labels of the probe: it is told and ended, and the run goes on', async () => {
    const world = await begun(ours);
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(record(world).target).toMatchObject({ version: '3.1.8', coreHead: '509b94a1042d' });
    expect(events(world, 'PodNotOurs').join()).toMatch(/-probe .*is not in its record/);
    expectClean(world, older);
  });

  it('is not believed and not touched where it only has the name: ours takes another one', async () => {
    const world = await begun(() => ({ tier: 'web', release: 'other' }));
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(record(world).pods!.probe!.name).toMatch(/-probe-[0-9a-f]{8}$/);
    expect(world.pods.some((p) => p.metadata.uid === 'uid-strange')).toBe(true);
    expect(events(world, 'PodNotOurs')[0]).toMatch(/ours takes another name/);
  });

  it('with the label of a runner is neither asked nor spared in the drain', async () => {
    const world = running(newer);
    setImage(world, older);
    await until(world, () => record(world).pods?.runner !== undefined);
    const run = world.downgrades[0]!.metadata.name;
    const labels = { ...ours(run), [label.role]: 'runner' };
    world.pods.push(makePod({ name: 'a-runner', uid: 'uid-other', component: '', labels, image: newer }));
    await until(world, isDone(world));
    expect(world.pods.some((p) => p.metadata.uid === 'uid-other')).toBe(false);
    expect(record(world).pods!.runner!.uid).not.toBe('uid-other');
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('nor is the very pod once another image was set in it', async () => {
    const world = running(newer);
    setImage(world, older);
    await until(world, () => record(world).pods?.probe !== undefined);
    const probe = world.pods.find((p) => p.metadata.uid === record(world).pods!.probe!.uid)!;
    probe.spec.containers[0]!.image = 'acme/liar:1';
    world.contents['acme/liar:1'] = '2.11.0';
    await until(world, () => shown(world).reason === 'TargetImageNotStarted');
    expect(shown(world).message).toMatch(/set acme\/liar:1 in it/);
    expect(record(world).target).toBeUndefined();
  });
});

describe('what the probe prints', () => {
  const said: [string, string, RegExp][] = [
    ['a cut line', 'DOWNDRAFT-PROBE {"airflowVersion": "3.1', /cut off or no JSON/],
    ['a line without heads', 'DOWNDRAFT-PROBE {"airflowVersion": "3.1.8"}', /coreHeads is missing/],
    ['no object', 'DOWNDRAFT-PROBE 7', /it is no object|no object/],
    [
      'what contradicts the tag of a listed repository',
      `DOWNDRAFT-PROBE ${JSON.stringify({ ...lies, airflowVersion: '2.0.0' })}`,
      /is not believed: .*said that it is 2\.0\.0/,
    ],
    [
      'a head that this release does not have',
      `DOWNDRAFT-PROBE ${JSON.stringify(lies)}`,
      /needs 1d6611b6ab7c, and Airflow 3\.1\.8, as its tag calls it, needs 509b94a1042d/,
    ],
  ];
  it.each(said)('%s is told, tried again, and never thrown', async (_, log, message) => {
    const world = running(newer);
    setImage(world, older);
    const reads = { ...world.reads, podLog: async () => log };
    await until(world, () => shown(world).reason === 'TargetImageNotStarted', { reads });
    expect(shown(world).message).toMatch(message);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

it('the runner of a record that does not say yet which pods are its own goes on with its step', async () => {
  const world = running(newer);
  await deploy(world, older);
  await until(world, () => Boolean(record(world).schemaStartedAt));
  const { uid } = record(world).pods!.runner!;
  delete record(world).pods;
  await look(world);
  expect(record(world).pods?.runner?.uid).toBe(uid);
  expect(world.pods.find((p) => p.metadata.uid === uid)?.metadata.deletionTimestamp).toBeUndefined();
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  // What has answered long ago may go.
  expect(events(world, 'PodNotOurs')).toEqual([expect.stringMatching(/-probe has the labels/)]);
});

it('a file of the runner that is no JSON is told, and nothing is thrown', async () => {
  const world = running(newer);
  setImage(world, older);
  const reads = { ...world.reads, runnerFiles: async () => ['{"at": ', undefined, undefined, '1'] };
  await until(world, () => shown(world).reason === 'RunnerNotStarted', { reads });
  expect(shown(world).message).toMatch(/cut off or no JSON/);
});

it('where the store of learned images can’t be written that is told, and the run goes to its end', async () => {
  const world = running(newer);
  world.writes.learnImage = async () => {
    throw new Error('422 may not be more than 1048576 bytes');
  };
  await deploy(world, older);
  await until(world, isDone(world));
  await goOn(world, 3);
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(events(world, 'KnowledgeNotStored')[0]).toMatch(/could not be kept \(422 .*this run goes on/);
  expectClean(world, older);
});

it('a release with an image for each component goes to its end, and no look is an endless one', async () => {
  const world = running(newer);
  const own = (version: string) => (w: (typeof world.workloads)[number]) =>
    withImage(w, `acme/${w.metadata.name}:${version}`);
  for (const w of world.workloads) {
    world.contents[`acme/${w.metadata.name}:r7`] = '3.2.1';
    world.contents[`acme/${w.metadata.name}:r6`] = '3.1.8';
  }
  world.workloads = world.workloads.map((w) => asStored(own('r7')(w), w));
  for (let i = 0; i < 15; i++) world.tick();
  world.registryTells = true;
  await deploy(world, own('r6'));
  let writes = 0;
  const { learnImage } = world.writes;
  world.writes.learnImage = async (one) => {
    writes++;
    await learnImage(one);
  };
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(world.harm).toEqual([]);
  expect(writes).toBeLessThanOrEqual(4);
});

describe('a hold that somebody wrote', () => {
  it('with another image from before does not let that image go', async () => {
    const world = running(newer);
    const unknown = 'acme/airflow:never-run';
    world.contents[unknown] = '3.1.8';
    const forged = makeHold({ since: world.now.toISOString(), from: unknown });
    world.workloads = world.workloads.map((w) => asStored(hold(w.kind!, withImage(w, unknown), w, forged), w));
    const act = await look(world);
    expect(act).toMatchObject({ act: 'wait' });
    expect(world.workloads.every((w) => w.metadata.annotations?.[annotation.hold])).toBe(true);
    expect(world.downgrades).toHaveLength(1);
  });

  it('is the genuine return where the image did run before', async () => {
    const world = running(newer);
    const [was, now] = ['acme/airflow:1', 'acme/airflow:2'];
    Object.assign(world.contents, { [was]: '3.2.1', [now]: '3.1.8' });
    world.workloads = world.workloads.map((w) => asStored(withImage(w, was), w));
    for (let i = 0; i < 15; i++) world.tick();
    await deploy(world, now);
    await look(world);
    await deploy(world, was);
    await until(world, isDone(world));
    await goOn(world, 5);
    expectClean(world, was);
  });
});

it('which providers an image enforced elsewhere or before is asked again, and a run comes to its end by what it enforces now', async () => {
  const world = running(older);
  world.database = makeDatabase({
    tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: ['02ca36b0235b'] },
  });
  const same = 'acme/airflow:same';
  world.contents[same] = '3.1.8';
  const answer = await world.reads.digest(same, world.workloads[0]!);
  const imageID = `docker.io/acme/airflow@${'digest' in answer! && answer.digest}`;
  world.learned[same] = makeImage('3.1.8', { image: same, imageID, managers: [] });
  expect((await deploy(world, same)).map(({ audit }) => audit.reason)).toEqual(Array(4).fill('ImageUnknown'));
  await until(world, () => record(world).target !== undefined);
  expect(record(world).target!.managers).toHaveLength(1);
});

it('a pod that downdraft made and was stopped before it could write that down is ended, and nobody is accused', async () => {
  const world = running(newer);
  await deploy(world, older);
  const createPod: World['writes']['createPod'] = async (pod) => {
    await world.writes.createPod(pod);
    throw new Killed('createPod');
  };
  await look(world, { writes: { ...world.writes, createPod } }).catch(() => {});
  expect(world.pods.some((p) => p.metadata.name.endsWith('-probe'))).toBe(true);
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  const said = events(world, 'PodNotOurs');
  expect(said[0]).toMatch(/-probe has the labels of .*not in its record \(a downdraft that was stopped right after/);
  expect(said.join()).not.toMatch(/was not made|pretend/);
});
