/** Which old pod the runner is made of, and what is said when the first choice is not taken. */
import { expect, it } from 'vitest';
import { isCopy } from '../../src/release/kubernetes/helper-pods.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import { makeLabelledWorkloads, makeWorkloads } from '../make/release.ts';
import type { World } from '../make/world-parts.ts';
import { deploy, expectClean, goOn, isDone, newer, older, outcomes, record, running, shown, until } from './place.ts';

const runnerOf = (world: World) => world.pods.find((p) => p.metadata.labels?.[label.role] === 'runner');
const mainOf = (world: World) => runnerOf(world)?.spec.containers[0]?.name;
const told = (world: World) =>
  world.events.filter(({ reason }) => reason === 'RunnerStarting').map(({ message }) => message);
const isRunner = (pod: { metadata: { labels?: Record<string, string> } }) =>
  pod.metadata.labels?.[label.role] === 'runner';

/** A release of which the pods of these components mount a claim. */
function withClaims(
  claims: Record<string, string>,
  modes: Record<string, string[]>,
  workloads?: Parameters<typeof running>[1],
): World {
  const world = workloads ? running(newer, workloads) : running(newer);
  for (const { spec, metadata } of world.pods) {
    const claimName = claims[metadata.labels!.component!];
    if (!claimName) continue;
    spec.volumes = [{ name: 'data', persistentVolumeClaim: { claimName } }];
    spec.containers[0]!.volumeMounts = [{ name: 'data', mountPath: '/data' }];
  }
  world.claimModes = modes;
  return world;
}

it.each<[string, Record<string, string>, Record<string, string[]>, string]>([
  ['no claim of one node before one that has', { 'api-server': 'a' }, { a: ['ReadWriteOnce'] }, 'scheduler'],
  ['a claim that many can have is as good as none', { 'api-server': 'a' }, { a: ['ReadWriteMany'] }, 'api-server'],
  [
    'a claim of one pod never',
    { 'api-server': 'a', scheduler: 'b', 'dag-processor': 'c' },
    { a: ['ReadWriteOncePod'], b: ['ReadWriteOncePod'], c: ['ReadWriteOnce'] },
    'triggerer',
  ],
])('of several old pods: %s', async (_, claims, modes, component) => {
  const world = withClaims(claims, modes);
  await deploy(world, older);
  await until(world, () => runnerOf(world) !== undefined);
  expect(mainOf(world)).toBe(component);
  await until(world, isDone(world));
  expectClean(world, older);
});

it('one that the API server lets nobody copy is passed over for the next, and both are told, with why', async () => {
  const world = running(newer);
  world.admits = (pod) =>
    isRunner(pod) && pod.spec.containers[0]!.name === 'api-server' ? 'a rule says no' : undefined;
  await deploy(world, older);
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(told(world)[0]).toMatch(
    /^the runner is a copy of pod\/af-scheduler-\d+; pod\/af-api-server-\d+: a rule says no$/,
  );
});

it('a rule that wants a label of the release on every pod admits probe and runner, which have it only then', async () => {
  const labelled = makeWorkloads({ image: newer }).map((w) => {
    const { metadata } = w.spec.template;
    metadata!.labels = { ...metadata!.labels, 'acme.example/team': 'data' };
    return w;
  });
  const made = (world: World) => world.pods.filter((p) => p.metadata.labels?.['downdraft.dev/role'] !== undefined);
  for (const wanted of [true, false]) {
    const world = running(newer, structuredClone(labelled));
    world.admits = ({ metadata }) =>
      !wanted || metadata.labels?.['acme.example/team']
        ? undefined
        : 'validation error: label acme.example/team is required';
    await deploy(world, older);
    await until(world, () => runnerOf(world) !== undefined);
    expect(isCopy({ object: runnerOf(world)! } as never)).toBe(true);
    const labels = made(world).map(({ metadata }) => metadata.labels);
    for (const own of labels) expect(own?.['acme.example/team']).toBe(wanted ? 'data' : undefined);
    for (const own of labels) expect(own).not.toHaveProperty('component');
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(told(world)).toEqual([]);
  }
});

it('where no copy is admitted the runner lives in an old pod, and it is told that no copy of the database can be made', async () => {
  const world = running(newer);
  world.admits = (pod) => (isRunner(pod) ? 'a rule says no' : undefined);
  await deploy(world, older);
  await until(world, () => runnerOf(world) !== undefined);
  expect(runnerOf(world)!.metadata.name).toMatch(/^af-api-server-/);
  expect(isCopy({ object: runnerOf(world)! } as never)).toBe(false);
  expect(told(world)[0]).toMatch(
    /no copy of an old pod is admitted \(.*a rule says no.*\): the runner lives in pod\/af-api-server/,
  );
  await goOn(world, 10);
  expect(told(world)).toHaveLength(1);
  // Somebody is asked to go without a backup, before anything is drained.
  expect(shown(world)).toMatchObject({ phase: 'AwaitingApproval' });
  expect(record(world)).not.toHaveProperty('drainStartedAt');
});

it('a claim that no second pod can have leaves only the old pod itself', async () => {
  const claims = { 'api-server': 'a', scheduler: 'a', 'dag-processor': 'a', triggerer: 'a' };
  const world = withClaims(claims, { a: ['ReadWriteOncePod'] });
  await deploy(world, older);
  await until(world, () => runnerOf(world) !== undefined);
  expect(isCopy({ object: runnerOf(world)! } as never)).toBe(false);
  expect(told(world)[0]).toMatch(/its volume claim a is ReadWriteOncePod, no second pod can have it/);
});

it('of a labelled release no pod is taken out of its Service: the run says what was refused', async () => {
  const world = running(newer, makeLabelledWorkloads());
  world.admits = (pod) => (isRunner(pod) ? 'a rule says no' : undefined);
  await deploy(world, older);
  await expect(until(world, isDone(world))).rejects.toThrow('a rule says no');
  expect(shown(world)).toMatchObject({ reason: 'Blocked' });
  expect(shown(world).message).toMatch(
    /a rule says no.*the runner can't live in an old pod here; admit one of these pods/,
  );
  expect(runnerOf(world)).toBeUndefined();
  world.admits = () => undefined;
  await until(world, isDone(world));
  expectClean(world, older);
});
