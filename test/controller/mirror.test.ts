/** A cluster whose webhook writes a mirror's name into each pod: by that name nobody knows the image. */
import { expect, it } from 'vitest';
import type { StoredRollout } from '../../src/controller/ports.ts';
import { isRewritten, withAskedImages } from '../../src/release/kubernetes/asked-image.ts';
import { readPod } from '../../src/release/kubernetes/pods.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';
import { makeImage, makeWorkload, makeWorkloads } from '../make/release.ts';
import { hashOf } from '../make/rollouts.ts';
import type { World } from '../make/world-parts.ts';
import { deploy, goOn, isDone, look, newer, older, outcomes, running, until } from './place.ts';

const mirrored = (image: string) => (image.includes('@') ? image : `mirror.corp/hub/${image.replace('apache/', 'a/')}`);

/** A release whose pods run under the mirror's names, and the history that Kubernetes keeps of its templates. */
function mirror(): World {
  const world = running(newer);
  const history: StoredRollout[] = [];
  const note = ({ kind, metadata, spec: { template } }: WorkloadObject) => {
    const [workload, hash] = [`${kind!.toLowerCase()}/${metadata.name}`, hashOf(template)];
    if (history.some((one) => one.workload === workload && one.hash === hash)) return;
    const containers = Object.fromEntries(template.spec.containers.map(({ name, image = '' }) => [name, image]));
    const createdAt = world.now.toISOString();
    history.push({
      workload,
      owner: metadata.uid!,
      revision: history.length,
      createdAt,
      images: Object.values(containers),
      hash,
      containers,
    });
  };
  const tick = world.tick;
  world.tick = () => {
    // A Deployment has its ReplicaSet when it rolls out, with the hold off.
    for (const w of world.workloads) note(w);
    tick();
  };
  world.reads.rollouts = async () => structuredClone(history);
  world.mirror = mirrored;
  for (const { spec } of world.pods)
    for (const container of spec.containers) container.image = mirrored(container.image!);
  world.tick();
  return world;
}

it.each(['Copy', 'OldPod'] as const)(
  'the old pods are known by the template that they were made from, and so are those of the target (%s)',
  async (runner) => {
    const world = mirror();
    await deploy(world, older);
    await until(world, isDone(world), { runner });
    await goOn(world, 5, { runner });
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(world.pods.map((p) => p.spec.containers[0]!.image)).toEqual(world.pods.map(() => mirrored(older)));
    expect(world.pods.every((p) => p.status?.phase === 'Running' && !p.spec.schedulingGates?.length)).toBe(true);
    expect(world.gates.size).toBe(0);
    expect(world.harm).toEqual([]);
  },
);

it('where the history is gone they are known by the digest of what is known to have run', async () => {
  const world = mirror();
  const [pod] = world.pods;
  const imageID = pod!.status!.containerStatuses![0]!.imageID!;
  world.learned[newer] = makeImage('3.2.1', { imageID });
  world.reads.rollouts = async () => [];
  await deploy(world, older);
  for (let i = 0; i < 10; i++) {
    await look(world).catch(() => undefined);
    world.tick();
  }
  expect(world.pods.some((p) => p.metadata.labels?.['downdraft.dev/role'] === 'runner')).toBe(true);
});

it('no history is read where every name in a pod is one that somebody asked for, nor where nothing is held', () => {
  const workloads = makeWorkloads({ held: true }).map(makeWorkload);
  const pod = (image: string) =>
    readPod(makePod({ image, labels: { 'pod-template-hash': 'a' } }), { 'af-scheduler-rs': 'af-scheduler' });
  const [named] = workloads[0]!.images;
  expect(isRewritten([pod(named!)], workloads, undefined)).toBe(false);
  expect(isRewritten([pod(mirrored(named!))], workloads, undefined)).toBe(true);
  expect(isRewritten([pod(mirrored(named!))], makeWorkloads().map(makeWorkload), undefined)).toBe(false);
  // A task's pod has an image of its own, and no template.
  expect(isRewritten([readPod(makePod({ image: 'acme/task:1' }), {})], workloads, undefined)).toBe(false);
});

it('of two templates with one hash the first that was made counts: who copies it later names no image', () => {
  const hash = { 'pod-template-hash': 'a' };
  const pod = readPod(makePod({ image: mirrored(newer), labels: hash }), { 'af-scheduler-rs': 'af-scheduler' });
  const template = (createdAt: string, image: string) => ({
    workload: 'deployment/af-scheduler',
    hash: 'a',
    createdAt,
    containers: { scheduler: image },
  });
  const [own, copied] = [template('2026-11-20T09:00:00Z', newer), template('2026-11-21T09:00:00Z', older)];
  for (const templates of [
    [own, copied],
    [copied, own],
  ])
    expect(withAskedImages([pod], templates)[0]?.image).toBe(newer);
});
