/** What a pod says of its owner is its writer's word: a Job is deleted only when it is certain what it is. */
import { describe, expect, it } from 'vitest';
import { tidying } from '../../src/release/downgrade/gates.ts';
import { isOfOtherVersion, jobOf, jobsToRead, mayEnd } from '../../src/release/downgrade/misfits.ts';
import { next } from '../../src/release/downgrade/next.ts';
import { readPod } from '../../src/release/kubernetes/pods.ts';
import type { EnvironmentVariable, JobObject } from '../../src/release/model/kubernetes.ts';
import type { Release } from '../../src/release/model/release.ts';
import type { Pod } from '../../src/release/model/workload.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDatabase, makeImage, makeRelease, makeWorkloads } from '../make/release.ts';

const newer = 'apache/airflow:3.2.1';
const older = 'apache/airflow:3.1.8';
const foreign = 'acme/etl:7';

/** A release that has been downgraded to 3.1.8, and one gated pod of a Job. */
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

/** A gated pod of a Job of which only its own spec tells what it does. */
function workOf(name: string, command: string[], env: EnvironmentVariable[] = []): Pod {
  const pod = makePod({ component: 'worker', image: foreign, gated: true, owner: { kind: 'Job', name } });
  Object.assign(pod.spec.containers[0]!, { env, ...(command.length > 0 ? { command } : {}) });
  return readPod(pod, {});
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
    expect(tidying(release)).toMatchObject({ act: 'wait', reason: 'MigrationHeld' });
  });

  it.each(['__proto__', 'constructor', '../../../../api/v1/namespaces/prod/pods/pg-0'])(
    'stays when it names %s',
    (jobName) =>
      expect(tidying(seen({ jobName, job: undefined }))).toMatchObject({ act: 'wait', reason: 'MigrationHeld' }),
  );

  it('of an image that nobody knows is let go when the gate opens, and its Job is not even read', () => {
    const release = { ...seen({ image: foreign }), pods: [workOf('etl', ['python', 'etl.py'])] };
    expect(jobsToRead(release)).toEqual([]);
    expect(tidying(release)).toEqual({ act: 'ungate', pods: release.pods });
  });
});

describe('a gated pod that would migrate', () => {
  const migrating: [string, Pod][] = [
    ["the chart's migration Job", readPod(makeMigrationPod({ image: foreign, gated: true }), {})],
    ['a Job by its command', workOf('prepare', ['airflow', 'db', 'migrate'])],
    ["a Job by its image's entry point", workOf('prepare', [], [{ name: '_AIRFLOW_DB_MIGRATE', value: 'true' }])],
  ];

  it.each(migrating)('is not let go while nobody knows its image, and says so: %s', (_, pod) => {
    const release = { ...seen({ image: foreign }), pods: [pod] };
    const act = tidying(release);
    expect(act).toMatchObject({ act: 'wait', reason: 'MigrationHeld', about: [pod] });
    expect(act).toMatchObject({
      message: expect.stringMatching(/^pod\/\S+ of job\/\S+ would migrate .*acme\/etl:7 .*not asked/),
    });
    expect(tidying({ ...release, gate: 'inForce' })).toEqual({ act: 'deleteGate' });
  });

  it.each(migrating)('goes as soon as its image is known to fit, or is what the release asks for: %s', (_, pod) => {
    const release = { ...seen({ image: foreign }), pods: [pod] };
    const known = { ...release.images, [foreign]: makeImage('3.1.8', { image: foreign }) };
    expect(tidying({ ...release, images: known })).toEqual({ act: 'ungate', pods: [pod] });
    const workloads = makeRelease({ objects: makeWorkloads({ image: foreign }) }).workloads;
    expect(tidying({ ...release, workloads })).toEqual({ act: 'ungate', pods: [pod] });
  });

  it('is not let go while the database can not be read, since it may be behind its image', () => {
    const release = { ...seen({ image: newer }), database: { state: 'unreadable', why: 'no route' } as const };
    expect(tidying(release)).toMatchObject({
      act: 'wait',
      reason: 'MigrationHeld',
      message: expect.stringContaining('no route'),
    });
  });

  it('keeps nothing else waiting: what an earlier run left is tidied all the same', () => {
    const release = seen({ image: foreign });
    const surplus = { run: 'af-1', uid: 'u' };
    expect(next({ ...release, surplus })).toEqual({ act: 'deleteRecord', surplus });
    expect(next(release)).toMatchObject({ act: 'wait', reason: 'MigrationHeld' });
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
