/** What a pod says of its owner is its writer's word: a Job is deleted only when it is certain what it is. */
import { describe, expect, it } from 'vitest';
import { isOfOtherVersion, jobOf, jobsToRead, mayEnd } from '../../src/release/misfits.ts';
import type { JobObject } from '../../src/release/objects.ts';
import type { Release } from '../../src/release/release.ts';
import { tidying } from '../../src/release/resuming.ts';
import { readPod } from '../../src/release/workload.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDatabase, makeImage, makeRelease, makeWorkloads } from '../make/release.ts';

const newer = 'apache/airflow:3.2.1';
const older = 'apache/airflow:3.1.8';
const foreign = 'acme/etl:7';

/** A release that has been taken back to 3.1.8, and one gated pod of a Job. */
function seen(shape: { image?: string; job?: JobObject | undefined; jobName?: string } = {}): Release {
  const { image = newer, jobName = 'nightly' } = shape;
  const pod = readPod(makeMigrationPod({ image, gated: true, owner: { kind: 'Job', name: jobName } }), {});
  const job = 'job' in shape ? shape.job : makeJob({ image });
  return makeRelease({
    objects: makeWorkloads({ image: older }),
    pods: [pod],
    database: makeDatabase({ version: '3.1.8' }),
    images: {
      [newer]: makeImage('3.2.1'),
      [older]: makeImage('3.1.8'),
      [foreign]: { image: foreign, source: 'unknown', why: 'not asked' },
    },
    jobs: job ? { [jobName]: job } : {},
    gate: 'absent',
  });
}

function makeJob(shape: { image?: string; uid?: string; release?: string; component?: string } = {}): JobObject {
  const { image = newer, uid = 'uid-nightly', release = 'af' } = shape;
  const { spec, metadata } = makeMigrationPod({ image, release });
  return { metadata: { name: 'nightly', uid }, spec: { template: { metadata: { labels: metadata.labels! }, spec } } };
}

describe('a gated pod that says it is of a Job', () => {
  it('ends with that Job when it certainly is, and the Job is of the other version', () => {
    const release = seen();
    expect(jobOf(release, release.pods[0]!)).toEqual({ name: 'nightly', uid: 'uid-nightly' });
    expect(tidying(release)).toEqual({ act: 'endMisfits', pods: release.pods });
  });

  it.each<[string, JobObject | undefined]>([
    ['there is none of that name', undefined],
    ['another has the name', makeJob({ uid: 'uid-other' })],
    ['the Job is of another release', makeJob({ release: 'bi' })],
    ['the Job has another image', makeJob({ image: older })],
    ['the Job is nothing of Airflow', { metadata: { uid: 'uid-nightly' } }],
    ['the Job has no uid', { ...makeJob(), metadata: { name: 'nightly' } }],
  ])('stays, and so does whatever it names: %s', (_, job) => {
    const release = seen({ job });
    expect(mayEnd(release, release.pods[0]!)).toBe(false);
    expect(tidying(release)).toEqual({ act: 'rest' });
  });

  it.each(['__proto__', 'constructor', '../../../../api/v1/namespaces/prod/pods/pg-0'])(
    'stays when it names %s',
    (jobName) => expect(tidying(seen({ jobName, job: undefined }))).toEqual({ act: 'rest' }),
  );

  it('of an image that nobody knows is let go when the gate opens, and its Job is not even read', () => {
    const release = seen({ image: foreign });
    expect(jobsToRead(release)).toEqual([]);
    expect(tidying(release)).toEqual({ act: 'ungate', pods: release.pods });
  });
});

describe('a gated pod of nobody', () => {
  const alone = (image: string) => {
    const { metadata, ...rest } = makePod({ component: 'worker', gated: true, image });
    return { ...seen(), pods: [readPod({ ...rest, metadata: { ...metadata, ownerReferences: [] } }, {})] };
  };

  it('ends when it is certainly of the other version', () =>
    expect(tidying(alone(newer))).toMatchObject({ act: 'endMisfits' }));

  it('is let go when its image is not known', () => expect(tidying(alone(foreign))).toMatchObject({ act: 'ungate' }));
});

describe('not knowing', () => {
  it.each<[string, Partial<Release>]>([
    ['the database', { database: { state: 'unreadable', why: 'no route' } }],
    ['the image', { images: {} }],
  ])('%s is no certainty that a pod is of the other version', (_, unknown) => {
    const release = { ...seen(), ...unknown };
    expect(isOfOtherVersion(release, release.pods[0]!)).toBe(false);
    expect(jobsToRead(release)).toEqual([]);
  });
});
