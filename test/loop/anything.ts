/**
 * Anything that a tenant may store, by fast-check: a whole object that the API server takes, and what is done to it before
 * it is sent and in each of its updates.
 */
import fc from 'fast-check';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { asWritten } from '../admission/written.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import { type Spoiling, spoiling } from './spoiling.ts';
import type { Thing } from './things.ts';

/** Where it is stored; downdraft only observes the last one. */
export const guarded = ['air', 'sea'];
export const observed = 'calm';

/** Images that are asked for by name; what is in them the test's oracle says. */
const images = {
  running: ['apache/airflow:3.2.1', 'apache/airflow:3.2.0', 'apache/airflow:slim-3.2.1-python3.12'],
  desired: [
    'apache/airflow:3.1.8',
    'apache/airflow:2.11.0',
    'apache/airflow:slim-3.1.8-python3.11',
    'docker.io/apache/airflow:3.0.6',
    'localhost:1/apache/airflow:3.1.8',
    'localhost:1/ours/airflow:9.9.9',
    'localhost:1/ours/airflow',
    `apache/airflow:3.2.1@sha256:${'a'.repeat(64)}`,
    `apache/airflow@sha256:${'b'.repeat(64)}`,
    'apache/airflow:latest',
    'apache/airflow:3.3.0',
    'apache/airflow:3.2.1',
  ],
};

/** One object's life. */
export interface Life {
  /** Of those that are in no namespace: undefined. */
  namespace: string | undefined;
  object: Thing;
  spoilings: Spoiling[];
  updates: Update[];
}

export interface Update {
  /** Whether it is made of what was written, as Helm does, or of what is stored, as kubectl edit does. */
  fresh: boolean;
  /** Of all containers; undefined: as it was. */
  image: string | undefined;
  spoilings: Spoiling[];
}

const components = ['scheduler', 'triggerer', 'worker', 'api-server', 'webserver', 'dag-processor'] as const;
const communitys = ['scheduler', 'triggerer', 'worker', 'web', 'sync-users'] as const;
const shape = fc
  .record({
    profile: fc.constantFrom('official', 'official', 'official', 'community', 'labelled' as const),
    at: fc.nat(),
    release: fc.constantFrom('af', 'af', 'blue', 'My_Airflow', 'constructor'),
    image: fc.constantFrom(...images.running),
    replicas: fc.constantFrom(0, 0, 0, 1),
    paused: fc.constantFrom(undefined, undefined, true),
  })
  .map(({ at, ...given }) => {
    const of = given.profile === 'community' ? communitys : components;
    return { ...given, component: of[at % of.length]!, connection: 'metadata' };
  });

/** A workload of Airflow as people write it, in the form of each kind that has pods. */
function workloadOf(kind: string, given: typeof shape extends fc.Arbitrary<infer T> ? T : never, at: number): Thing {
  const { paused, ...common } = given;
  const made =
    kind === 'StatefulSet' ? makeStatefulSet(common) : makeDeployment({ ...common, ...(paused && { paused }) });
  // No Secret can be called as that release is.
  const { spec, ...written }: WorkloadObject = JSON.parse(
    JSON.stringify(asWritten(made)).replaceAll('My_Airflow-', 'my-'),
  );
  const { namespace: _, ...metadata } = written.metadata;
  const name = `${kind.toLowerCase().slice(0, 6)}-${at}`;
  const { template, selector, replicas } = spec;
  delete template.spec.serviceAccountName;
  const of = (other: object): Thing => ({ kind, metadata: { ...metadata, name }, spec: other as Thing['spec'] });
  const once = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  const schedule = '0 0 1 1 *';
  switch (kind) {
    case 'ReplicaSet':
      return of({ replicas, selector, template });
    case 'DaemonSet':
      return of({ selector, template });
    case 'Job':
      return of({ template: once, suspend: replicas === 0 });
    case 'CronJob':
      return of({ schedule, jobTemplate: { spec: { template: once } } });
    case 'Pod':
      return { ...of(template.spec), metadata: { ...template.metadata, name } };
    default:
      return of(spec);
  }
}

const releaseName = fc.constantFrom('af', 'blue', 'none', 'constructor');
const downgradeSpec = fc.record(
  {
    release: releaseName,
    to: fc.constantFrom(...images.desired),
    approved: fc.constantFrom('0123456789ab'),
    acceptRows: fc.boolean(),
    abort: fc.boolean(),
    backup: fc.constantFrom({ reference: 'rds:x' }, { waivedBy: 'Ada' }),
  },
  { requiredKeys: ['release', 'to'] },
);
/** Only stricter ones: where it is observed and where not is certain all the time. */
const policySpec = fc.record(
  {
    mode: fc.constantFrom('Hold', 'Deny'),
    approval: fc.constantFrom('WhenLossy', 'Always', 'Never'),
    backup: fc.constantFrom({}, { ways: ['ServerCopy'] }, { required: false, keepHours: 0 }),
    onFailure: fc.constantFrom('Ask', 'Return'),
    namespaceSelector: fc.constantFrom(
      { matchLabels: { team: 'x' } },
      { matchLabels: { 'kubernetes.io/metadata.name': 'sea' } },
      { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['calm'] }] },
    ),
  },
  { requiredKeys: ['mode', 'namespaceSelector'] },
);

/** Mostly none, else up to three. */
const spoilings: fc.Arbitrary<Spoiling[]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Spoiling[]>([]) },
  { weight: 2, arbitrary: fc.array(spoiling, { minLength: 1, maxLength: 3 }) },
);

const update: fc.Arbitrary<Update> = fc.record({
  fresh: fc.boolean(),
  image: fc.constantFrom(undefined, ...images.desired, ...images.desired.slice(0, 4), images.running[0]),
  spoilings,
});

/** Lives, each with a name of its own: `at` is the how-manieth. */
export const life = fc
  .record({
    kind: fc.constantFrom(
      ...['Deployment', 'Deployment', 'Deployment', 'Deployment', 'StatefulSet', 'StatefulSet', 'StatefulSet'],
      ...['DaemonSet', 'ReplicaSet', 'Job', 'CronJob', 'Pod', 'Downgrade', 'DowngradePolicy'],
    ),
    namespace: fc.constantFrom(...guarded, ...guarded, observed),
    given: shape,
    downgrade: downgradeSpec,
    policy: policySpec,
    spoilings,
    updates: fc.array(update, { minLength: 1, maxLength: 3 }),
  })
  .map(({ kind, namespace, given, downgrade, policy, ...rest }) => (at: number): Life => {
    const metadata = { name: `${kind.toLowerCase()}-${at}` };
    if (kind === 'Downgrade') return { ...rest, namespace, object: { kind, metadata, spec: downgrade } };
    if (kind === 'DowngradePolicy') return { ...rest, namespace: undefined, object: { kind, metadata, spec: policy } };
    return { ...rest, namespace, object: workloadOf(kind, given, at) };
  });
