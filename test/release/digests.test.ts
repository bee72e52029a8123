/** A tag that was pushed again is found by the digests that run under its name. */
import { describe, expect, it } from 'vitest';
import { digestOf, isLearned, isMoved, learnedOf, readPod, runningDigests } from '../../src/release/kubernetes/pods.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { makePod, type PodShape } from '../make/pod.ts';
import { makeImage } from '../make/release.ts';

const [a, b] = ['a', 'b'].map((c) => `sha256:${c.repeat(64)}`) as [string, string];
const id = (digest: string) => `docker.io/acme/airflow@${digest}`;
const tag = 'acme/airflow:prod';

/** A pod whose containers kubelet has reported. */
function pod(shape: PodShape, digest: string | undefined, created = '2026-11-21T12:00:00Z'): PodObject {
  const object = makePod({ image: tag, ...shape });
  object.metadata.creationTimestamp = created;
  const statuses = object.spec.containers.map(({ name }) => ({ name, ...(digest ? { imageID: id(digest) } : {}) }));
  object.status = { ...object.status!, containerStatuses: statuses };
  return object;
}

const digests = (...objects: PodObject[]) => Object.fromEntries(runningDigests(objects.map((o) => readPod(o, {}))));

describe('an imageID', () => {
  it.each([
    ['of containerd', `docker.io/apache/airflow@${a}`, a],
    ['of docker', `docker-pullable://apache/airflow@${a}`, a],
    ['of a registry with a port', `registry.example:5000/airflow@${a}`, a],
    ['a local image’s own id is no digest of a manifest', a, undefined],
    ['too short', 'docker.io/apache/airflow@sha256:abc', undefined],
    ['in capitals', `docker.io/apache/airflow@sha256:${'A'.repeat(64)}`, undefined],
    ['empty', '', undefined],
    ['none', undefined, undefined],
  ])('%s', (_, imageID, digest) => {
    expect(digestOf(imageID)).toBe(digest);
  });
});

describe('the digests that run', () => {
  it('are told by image reference', () => {
    expect(digests(pod({}, a))).toEqual({ [tag]: a });
  });
  it('the newest pod wins, in whatever order they are listed', () => {
    const [older, newer] = [pod({ name: 'o' }, a), pod({ name: 'n' }, b, '2026-11-21T12:05:00Z')];
    expect(digests(older, newer)).toEqual({ [tag]: b });
    expect(digests(newer, older)).toEqual({ [tag]: b });
  });
  it.each<[string, PodObject]>([
    ['a pod that has ended', pod({ phase: 'Succeeded' }, a)],
    ['a runner', pod({ role: 'runner' }, a)],
    ['a probe', pod({ role: 'probe' }, a)],
    ['a pod that kubelet has not reported', pod({}, undefined)],
  ])('%s tells nothing', (_, object) => {
    expect(digests(object)).toEqual({});
  });
  it('a sidecar’s image is not among them, the one that waits is', () => {
    const object = pod({}, a);
    object.spec.containers.push({ name: 'git-sync', image: 'git-sync:4' });
    object.spec.initContainers = [{ name: 'wait-for-airflow-migrations', image: 'acme/airflow:wait' }];
    object.status!.containerStatuses!.push({ name: 'git-sync', imageID: id(b) });
    object.status!.initContainerStatuses = [{ name: 'wait-for-airflow-migrations', imageID: id(b) }];
    expect(digests(object)).toEqual({ [tag]: a, 'acme/airflow:wait': b });
  });
});

describe('what was learned by a name', () => {
  const told = makeImage('3.2.1', { image: tag, imageID: id(a) });
  const other = makeImage('3.1.8', { image: 'acme/airflow:next', imageID: id(b) });
  const learned = [told, other];

  it.each<[string, string, string | undefined, typeof told | undefined]>([
    ['by a name that has the digest that was asked', tag, a, told],
    ['by a name that has another one, which was asked, too', tag, b, { ...other, image: tag }],
    ['by a name that nobody asked for, with a digest that was', 'acme/web:1', b, { ...other, image: 'acme/web:1' }],
    ['by a digest, whatever its name', `acme/airflow@${b}`, undefined, { ...other, image: `acme/airflow@${b}` }],
    ['by a name of which the digest is not known', tag, undefined, undefined],
    ['by a name that has a digest which nobody asked', tag, `sha256:${'c'.repeat(64)}`, undefined],
    ['by a name like constructor', 'constructor', undefined, undefined],
  ])('is believed of the very image alone: %s', (_, image, digest, known) => {
    expect(learnedOf(image, learned, digest)).toEqual(known);
  });
  it('counts for no name that was never asked', () => {
    expect([tag, 'acme/airflow:other', '__proto__'].map((name) => isLearned(name, learned))).toEqual([
      true,
      false,
      false,
    ]);
  });
  it.each<[string, string | undefined, string | undefined, boolean]>([
    ['another digest', id(a), b, true],
    ['the same', id(a), a, false],
    ['asked without a digest', undefined, b, false],
    ['asked of a local image', a, b, false],
    ['nothing runs', id(a), undefined, false],
  ])('has moved only when it certainly has: %s', (_, imageID, digest, moved) => {
    expect(isMoved(makeImage('3.2.1', { imageID: imageID! }), digest)).toBe(moved);
  });
});
