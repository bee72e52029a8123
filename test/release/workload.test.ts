/** Kubernetes objects → our words: which images count, which database is named, whose pod it is. */
import { describe, expect, it } from 'vitest';
import { readPod, releaseOfPod } from '../../src/release/kubernetes/pods.ts';
import { connectionFingerprint, readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type {
  ContainerSpec,
  EnvironmentSource,
  EnvironmentVariable,
  WorkloadObject,
} from '../../src/release/model/kubernetes.ts';
import { annotation, gateName, label } from '../../src/release/model/kubernetes.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeCommunityWorkloads, makeWorkload } from '../make/release.ts';
import { makeDeployment, makeEnvironment, makeStatefulSet } from '../make/workload.ts';

const conn = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';
const secret = (name: string, key = 'connection'): EnvironmentVariable => ({
  name: conn,
  valueFrom: { secretKeyRef: { name, key } },
});
const value = (text: string, name = conn): EnvironmentVariable => ({ name, value: text });
const from = (name: string, prefix?: string): EnvironmentSource => ({
  secretRef: { name },
  ...(prefix ? { prefix } : {}),
});

function print(env: EnvironmentVariable[], envFrom?: EnvironmentSource[]): string {
  const container: ContainerSpec = { name: 'scheduler', env, ...(envFrom ? { envFrom } : {}) };
  return connectionFingerprint(container);
}

describe('the connection’s environment', () => {
  const base = [...makeEnvironment('af')];

  it.each<[string, string, string]>([
    ['another variable is added', print(base), print([...base, value('1', 'AIRFLOW__CORE__PARALLELISM')])],
    ['another variable changes', print([...base, value('1', 'X')]), print([...base, value('2', 'X')])],
    ['other variables change places', print([value('1', 'X'), ...base]), print([...base, value('1', 'X')])],
    ['an empty envFrom is written out', print(base), print(base, [])],
    ['a result backend is another', print(base), print([...base, value('db+x', 'AIRFLOW__CELERY__RESULT_BACKEND')])],
    [
      'the connection and another variable change places',
      print([secret('a'), value('x', 'AIRFLOW_HOME')]),
      print([value('x', 'AIRFLOW_HOME'), secret('a')]),
    ],
  ])('is the same when %s', (_, before, after) => {
    expect(after).toBe(before);
  });

  it.each<[string, string, string]>([
    ['the value', print([value('postgresql://a/x')]), print([value('postgresql://b/x')])],
    ['a value becomes a Secret', print([value('postgresql://a/x')]), print([secret('af-metadata')])],
    ['the Secret', print([secret('af-metadata')]), print([secret('bf-metadata')])],
    ['the key in the Secret', print([secret('af-metadata')]), print([secret('af-metadata', 'other')])],
    [
      'a Secret becomes a ConfigMap',
      print([secret('a')]),
      print([{ name: conn, valueFrom: { configMapKeyRef: { name: 'a', key: 'connection' } } }]),
    ],
    ['the variable goes', print([secret('a')]), print([])],
    [
      'the deprecated CORE name comes',
      print([secret('a')]),
      print([secret('a'), value('postgresql://b/x', 'AIRFLOW__CORE__SQL_ALCHEMY_CONN')]),
    ],
    ['the form _CMD comes', print([]), print([value('cat /x', `${conn}_CMD`)])],
    ['the form _SECRET is another', print([value('a', `${conn}_SECRET`)]), print([value('b', `${conn}_SECRET`)])],
    [
      'the schema',
      print([secret('a')]),
      print([secret('a'), value('airflow', 'AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA')]),
    ],
    ['a part of the community chart’s', print([value('a', 'DATABASE_HOST')]), print([value('b', 'DATABASE_HOST')])],
    ['envFrom comes', print(base), print(base, [from('extra')])],
    ['envFrom is another', print(base, [from('extra')]), print(base, [from('other')])],
    ['the prefix of envFrom', print(base, [from('extra')]), print(base, [from('extra', 'P_')])],
    [
      'which of two sources has the last word',
      print(base, [from('a'), from('b')]),
      print(base, [from('b'), from('a')]),
    ],
    ['which of two values has the last word', print([value('a'), value('b')]), print([value('b'), value('a')])],
  ])('is another when it changes: %s', (_, before, after) => {
    expect(after).not.toBe(before);
  });

  it('is another when a variable changes that its value is made of', () => {
    const made = (host: EnvironmentVariable) => print([host, value('postgresql://u@$(DB_HOST)/airflow')]);
    expect(made(value('new', 'DB_HOST'))).not.toBe(made(value('old', 'DB_HOST')));
  });

  it('keeps nothing of what it says: a plain value may hold a password', () => {
    const text = print([value('postgresql://u:hunter2@h/x')]);
    expect(text).toMatch(/^[0-9a-f]{12}$/);
  });

  it('is that of the main container', () => {
    const object = makeDeployment();
    const changed = structuredClone(object);
    changed.spec.template.spec.containers[1]!.env = [value('postgresql://groomer/x')];
    expect(makeWorkload(changed).connection).toBe(makeWorkload(object).connection);
    changed.spec.template.spec.containers[0]!.env = [value('postgresql://main/x')];
    expect(makeWorkload(changed).connection).not.toBe(makeWorkload(object).connection);
  });
});

/** The object with these images by container name. */
function images(object: WorkloadObject, of: Record<string, string>, init: Record<string, string> = {}): string[] {
  const changed = structuredClone(object);
  changed.spec.template.spec.containers = Object.entries(of).map(([name, image]) => ({ name, image }));
  changed.spec.template.spec.initContainers = Object.entries(init).map(([name, image]) => ({ name, image }));
  return makeWorkload(changed).images;
}

describe('the images that open the database', () => {
  const scheduler = makeDeployment();
  it.each<[string, string[], string[]]>([
    ['of the main container', images(scheduler, { scheduler: 'a:1' }), ['a:1']],
    ['the main one first, wherever it stands', images(scheduler, { 'git-sync': 'g:1', scheduler: 'a:1' }), ['a:1']],
    [
      'not of a groomer or a sidecar',
      images(scheduler, { scheduler: 'a:1', 'scheduler-log-groomer': 'a:2', proxy: 'p:1' }),
      ['a:1'],
    ],
    ['of a second main container', images(scheduler, { scheduler: 'a:1', triggerer: 'a:2' }), ['a:1', 'a:2']],
    [
      'of the container that waits',
      images(scheduler, { scheduler: 'a:1' }, { 'wait-for-airflow-migrations': 'a:2' }),
      ['a:1', 'a:2'],
    ],
    ['not of another init container', images(scheduler, { scheduler: 'a:1' }, { 'git-sync-init': 'g:1' }), ['a:1']],
    ['each once', images(scheduler, { scheduler: 'a:1' }, { 'wait-for-airflow-migrations': 'a:1' }), ['a:1']],
    [
      'of both that wait in the community chart',
      images(
        makeCommunityWorkloads()[2]!,
        { 'airflow-scheduler': 'a:1' },
        { 'check-db': 'a:2', 'wait-for-db-migrations': 'a:3' },
      ),
      ['a:1', 'a:2', 'a:3'],
    ],
  ])('%s', (_, found, wanted) => {
    expect(found).toEqual(wanted);
  });
});

/** Without labels of its own, nor on its pods. */
function bare(object: WorkloadObject): WorkloadObject {
  const { template } = object.spec;
  return { ...object, metadata: { name: 'x' }, spec: { ...object.spec, template: { ...template, metadata: {} } } };
}

describe('a workload', () => {
  it('whose own labels a person took off is known by those of its pods', () => {
    const object = { ...makeDeployment(), metadata: { name: 'x', namespace: 'air', labels: {} } };
    expect(readWorkload(object)).toMatchObject({ release: 'af', component: 'scheduler' });
  });

  it.each<[string, WorkloadObject | undefined]>([
    ['another kind', { ...makeDeployment(), kind: 'DaemonSet' }],
    ['a component without the database', makeDeployment({ component: 'flower' })],
    ['no labels on it nor on its pods', bare(makeDeployment())],
    ['a container that is none', { ...makeDeployment(), spec: { template: { spec: { containers: [] } } } }],
    ['a Job’s workload', { ...makeDeployment({ component: 'run-airflow-migrations' }) }],
  ])('%s is none of ours', (_, object) => {
    expect(readWorkload(object!)).toBeUndefined();
  });

  it('the community chart’s db-migrations is one', () => {
    expect(readWorkload(makeCommunityWorkloads()[0]!)).toMatchObject({
      profile: 'community',
      component: 'db-migrations',
    });
  });

  it('the annotation with the version may stand on the workload or on its pods; the workload’s counts', () => {
    const own = { [annotation.version]: '3.1.8' };
    const pods = { [annotation.version]: '3.2.1' };
    expect(makeWorkload(makeDeployment({ annotations: own })).declaredVersion).toBe('3.1.8');
    expect(makeWorkload(makeDeployment({ podAnnotations: pods })).declaredVersion).toBe('3.2.1');
    expect(makeWorkload(makeDeployment({ annotations: own, podAnnotations: pods })).declaredVersion).toBe('3.1.8');
    expect(makeWorkload(makeDeployment()).declaredVersion).toBeUndefined();
  });

  const seen = { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1 };
  const settled = (status: WorkloadObject['status'], object = makeDeployment()) =>
    makeWorkload({ ...object, ...(status ? { status } : { status: undefined as never }) }).settled;
  const onDelete = makeStatefulSet({ updateStrategy: { type: 'OnDelete' } });
  it.each<[string, boolean, boolean]>([
    ['all updated and Ready', settled(seen), true],
    ['no status yet', settled(undefined), false],
    ['a newer change that its controller has not seen', settled(seen, makeDeployment({ generation: 2 })), false],
    ['one not Ready', settled({ ...seen, readyReplicas: 0 }), false],
    ['an old pod beside the new one', settled({ ...seen, replicas: 2 }), false],
    ['not updated', settled({ ...seen, updatedReplicas: 0 }), false],
    ['scaled to nothing', settled({ observedGeneration: 1 }, makeDeployment({ replicas: 0 })), true],
    ['OnDelete, whose updated pods are not counted', settled({ ...seen, updatedReplicas: 0 }, onDelete), true],
  ])('is settled or not: %s', (_, is, wanted) => {
    expect(is).toBe(wanted);
  });
});

describe('a workload that says that a Job owns it', () => {
  const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name: 'x', uid: 'x', controller: true }];

  it.each([
    ['labelled', 'scheduler'],
    ['community', 'db-migrations'],
    ['official', 'scheduler'],
  ] as const)('%s: is a workload of Airflow all the same', (profile, component) => {
    const object = makeDeployment({ profile, component });
    const owned = { ...object, metadata: { ...object.metadata, ownerReferences } };
    expect(readWorkload(owned)).toMatchObject({ profile, release: 'af' });
  });
});

describe('a pod', () => {
  const pod = readPod(makePod({ gated: true, terminating: true }), { 'af-scheduler-rs': 'af-scheduler' });

  it('has its Deployment as owner, not its ReplicaSet', () => {
    expect(pod.owner).toEqual({ kind: 'Deployment', name: 'af-scheduler' });
    expect(readPod(makePod(), {}).owner).toEqual({
      kind: 'ReplicaSet',
      name: 'af-scheduler-rs',
      uid: 'uid-af-scheduler-rs',
    });
  });

  it('is gated by our gate alone', () => {
    expect(pod).toMatchObject({ gated: true, terminating: true, ended: false });
    const others = makePod();
    others.spec.schedulingGates = [{ name: 'example.org/quota' }];
    expect(readPod(others, {}).gated).toBe(false);
    others.spec.schedulingGates.push({ name: gateName });
    expect(readPod(others, {}).gated).toBe(true);
  });

  it.each(['Succeeded', 'Failed'] as const)('%s will not run again', (phase) => {
    expect(readPod(makePod({ phase }), {}).ended).toBe(true);
  });

  it.each([
    ['of the official chart', makePod(), 'af'],
    ['of a Job', makeMigrationPod(), 'af'],
    ['a runner, by its selector’s labels', makePod({ role: 'runner' }), 'af'],
    ['a labelled runner', makePod({ role: 'runner', labels: { [label.release]: 'prod' } }), 'prod'],
    ['of another application', makePod({ labels: { tier: 'backend' } }), undefined],
    ['without the database', makePod({ component: 'statsd' }), undefined],
  ])('belongs to a release: %s', (_, object, release) => {
    expect(releaseOfPod(object)).toBe(release);
  });
});
