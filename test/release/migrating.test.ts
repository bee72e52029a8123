/** Which pods migrate the database right now, and that no way of draining ends one. */
import { describe, expect, it } from 'vitest';
import { drain } from '../../src/release/downgrade/draining.ts';
import { keptPod } from '../../src/release/kubernetes/kept-fields.ts';
import { migratingContainer, migrationIn } from '../../src/release/kubernetes/migrations.ts';
import { readPod } from '../../src/release/kubernetes/pods.ts';
import type {
  ContainerSpec,
  ContainerStatus,
  EnvironmentVariable,
  PodObject,
} from '../../src/release/model/kubernetes.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDatabase, makeImage, makeRelease, makeRun } from '../make/release.ts';

const running: ContainerStatus['state'] = { running: {} };
const job = { kind: 'Job', name: 'migrate' };

/** A pod of a scheduler with an init container, as kubelet tells of it. */
function withInit(container: Partial<ContainerSpec>, state: ContainerStatus['state']): PodObject {
  const pod = makePod({ phase: 'Pending' });
  pod.spec.initContainers = [{ name: 'first', image: 'apache/airflow:3.2.1', ...container }];
  pod.status!.initContainerStatuses = [{ name: 'first', ...(state ? { state } : {}) }];
  return pod;
}

function ofJob(container: Partial<ContainerSpec>, owner = job): PodObject {
  const pod = makePod({ component: 'worker', owner });
  Object.assign(pod.spec.containers[0]!, container);
  return pod;
}

/** A pod of a scheduler that is started by its image's entry point, as it is kept. */
function byEntryPoint(
  variable: Partial<EnvironmentVariable>,
  told?: Partial<ContainerStatus>,
  more: Partial<ContainerSpec> = {},
): PodObject {
  const value = variable.valueFrom ? {} : { value: 'true' };
  const pod = makePod();
  const [container] = pod.spec.containers;
  const env = [...container!.env!, { name: '_AIRFLOW_DB_MIGRATE', ...value, ...variable }];
  Object.assign(container!, { args: ['scheduler'], env, ...more });
  if (told) pod.status!.containerStatuses = [{ name: 'scheduler', ...told }];
  return keptPod(pod)!;
}

const airflow = (...args: string[]) => ({ args: ['bash', '-c', `exec \\\nairflow ${args.join(' ')}`] });

const pods: [string, string | undefined, PodObject][] = [
  ["the chart's migration Job", 'run-airflow-migrations', makeMigrationPod({ phase: 'Running' })],
  ['the same, done', undefined, makeMigrationPod({ phase: 'Succeeded' })],
  ['the same, not started', undefined, makeMigrationPod({ phase: 'Pending' })],
  ['the same, behind our gate', undefined, makeMigrationPod({ gated: true })],
  ['the same, ended by a person', undefined, makeMigrationPod({ phase: 'Running', terminating: true })],
  ['a Job with airflow db migrate', 'worker', ofJob(airflow('db', 'migrate'))],
  ['a Job with the words of 2.x', 'worker', ofJob({ command: ['airflow', 'db', 'upgrade'] })],
  ['a Job that does something else', undefined, ofJob(airflow('db', 'clean', '-y'))],
  ['a Job that only waits for the schema', undefined, ofJob(airflow('db', 'check-migrations'))],
  [
    'a Deployment that migrates before it serves',
    undefined,
    ofJob(airflow('db', 'migrate'), { kind: 'ReplicaSet', name: 'x' }),
  ],
  ['an init container that migrates', 'first', withInit({ command: ['airflow', 'db', 'migrate'] }, running)],
  [
    'an init container that has migrated',
    undefined,
    withInit(airflow('db', 'migrate'), { terminated: { exitCode: 0 } }),
  ],
  [
    'a container whose entry point migrates before it serves',
    'scheduler',
    byEntryPoint({}, { ready: false, state: running }),
  ],
  [
    'the same with the name of 2.x',
    'scheduler',
    byEntryPoint({ name: '_AIRFLOW_DB_UPGRADE', value: '1' }, { state: running }),
  ],
  ['the same by a value that is not in the pod', 'scheduler', byEntryPoint({ valueFrom: {} }, { state: running })],
  ['the same, of which kubelet has said nothing', 'scheduler', byEntryPoint({})],
  ['the same, Ready: it is past it', undefined, byEntryPoint({}, { ready: true, state: running })],
  ['the same, between two starts', undefined, byEntryPoint({}, { state: { waiting: { reason: 'CrashLoopBackOff' } } })],
  ['the same with nothing for a value', undefined, byEntryPoint({ value: '' }, { state: running })],
  [
    'a command in the place of the entry point',
    undefined,
    byEntryPoint({}, { state: running }, { command: ['airflow', 'scheduler'] }),
  ],
  [
    'a command that calls the entry point',
    'scheduler',
    byEntryPoint({}, { state: running }, { command: ['dumb-init', '--', '/entrypoint'] }),
  ],
  [
    'a Job whose entry point migrates: no probe tells when it is past it',
    'worker',
    ofJob({ env: [{ name: '_AIRFLOW_DB_MIGRATE', value: 'true' }], args: ['version'] }),
  ],
  [
    'an init container whose entry point migrates',
    'first',
    withInit({ env: [{ name: '_AIRFLOW_DB_MIGRATE', value: 'true' }] }, running),
  ],
  ['an init container that waits', undefined, withInit(airflow('db', 'check-migrations'), running)],
];

it.each(pods)('S3-3: %s: %s', (_, container, pod) => {
  expect(migratingContainer(readPod(pod, {}))).toBe(container);
});

describe('draining, forward and on a return', () => {
  it.each([{}, { schemaStartedAt: 'x' }, { returnStartedAt: 'x' }])(
    '%j: waits for it before anything is ended',
    (status) => {
      const objects = [makePod(), makeMigrationPod({ phase: 'Running' })];
      const run = makeRun({ status: { drainStartedAt: 'x', ...status } });
      const release = makeRelease({ run, gate: 'inForce', pods: objects.map((p) => readPod(p, {})) });
      expect(drain(release)).toMatchObject({ act: 'wait', reason: 'MigrationRunning' });
    },
  );
});

describe('an entry point that migrates before it serves, in a pod that never gets Ready', () => {
  const pod = readPod(byEntryPoint({}, { state: running }), {});
  const at = (head: string) => ({ ...makeDatabase(), versionTables: { alembic_version: [head] } });
  const known = makeImage('3.2.1');
  const scene = (database: ReturnType<typeof at>, images: Record<string, typeof known>) =>
    migrationIn(makeRelease({ pods: [pod], database, images }))?.reason;

  it('has nothing to migrate where the database is where its image needs it: that it is ill may be why somebody goes back', () => {
    expect(scene(at(known.coreHead!), { [pod.image]: known })).toBeUndefined();
  });

  it.each<[string, string, Record<string, typeof known>]>([
    ['the database is behind', '509b94a1042d', { [pod.image]: known }],
    ['nobody knows its image', known.coreHead!, {}],
  ])('may migrate where %s', (_, head, images) => {
    expect(scene(at(head), images)).toBe('MigrationRunning');
  });
});
