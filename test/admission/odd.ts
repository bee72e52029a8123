/**
 * Odd objects, each as the API server takes it: whatever is optional is left out here and there, whatever may be empty is
 * empty, and some are as large as they can be. Most are nobody's business, some look like Airflow's from afar.
 */
import fc from 'fast-check';

export interface OddObject {
  apiVersion: string;
  kind: 'Deployment' | 'StatefulSet' | 'Pod' | 'Secret' | 'ConfigMap';
  metadata: { name: string; namespace: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: as odd as the API server takes it
  [field: string]: any;
}

/** Not Airflow's by any chart's labels, though each condition has something to look at. */
const labels = fc.constantFrom<Record<string, string> | undefined>(
  undefined,
  undefined,
  {},
  { tier: '' },
  { tier: 'web', release: 'af', component: 'scheduler' },
  { app: '', release: '' },
  { app: 'shop', component: 'db-migrations' },
  { component: 'run-airflow-migrations' },
  { component: '' },
  { owner: 'helm' },
  { status: 'pending-upgrade', owner: 'argo' },
  { 'downdraft.dev/other': '' },
  { 'app.kubernetes.io/name': 'x'.repeat(63), ['k'.repeat(63)]: 'x' },
);

const annotations = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.constantFrom<Record<string, string> | undefined>(
      undefined,
      {},
      { empty: '' },
      { 'example.com/unicode': 'ünïcode ☃ 𝄞 \u202e' },
      { 'example.com/quoted': `'"\\n\${x}` },
    ),
  },
  { weight: 1, arbitrary: fc.constant({ 'example.com/large': 'x'.repeat(250 * 1024) }) },
);

const variable = fc.oneof(
  fc.record({ name: fc.constantFrom('A', 'DATABASE_HOST', 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', 'a.b-c') }),
  fc.record({ name: fc.constant('B'), value: fc.constantFrom('', 'x', '☃', '$(A)') }),
  fc.constant({ name: 'C', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }),
  fc.constant({ name: 'D', valueFrom: { secretKeyRef: { name: 'x', key: 'y', optional: true } } }),
  fc.constant({ name: 'E', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }),
);
const source = fc.constantFrom(
  { secretRef: { name: 'x' } },
  { prefix: 'P_', configMapRef: { name: 'y', optional: true } },
);

const container = fc.record(
  {
    image: fc.constantFrom('x:1', 'apache/airflow:3.1.8', 'registry.example:5000/a/b@sha256:'.concat('0'.repeat(64))),
    env: fc.oneof(
      { weight: 60, arbitrary: fc.array(variable, { maxLength: 4 }) },
      { weight: 1, arbitrary: fc.constant(many(3000)) },
    ),
    envFrom: fc.array(source, { maxLength: 2 }),
    command: fc.constantFrom([], ['sh', '-c', 'true']),
    resources: fc.constantFrom({}, { limits: { cpu: '1' } }),
  },
  { requiredKeys: ['image'] },
);
const initContainer = fc
  .tuple(container, fc.constantFrom({}, { restartPolicy: 'Always' }))
  .map(([spec, restart]) => ({ ...spec, ...restart }));

const podSpec = fc
  .record({
    containers: fc.oneof(
      { weight: 25, arbitrary: fc.array(container, { minLength: 1, maxLength: 3 }) },
      { weight: 1, arbitrary: fc.array(container, { minLength: 50, maxLength: 50 }) },
    ),
    initContainers: fc.option(fc.array(initContainer, { maxLength: 3 }), { nil: undefined }),
    volumes: fc.constantFrom(undefined, [], [{ name: 'v', emptyDir: {} }]),
    schedulingGates: fc.constantFrom(undefined, [], [{ name: 'example.com/gate' }]),
  })
  .map(({ containers, initContainers, ...rest }) => ({
    ...defined(rest),
    containers: containers.map((c, at) => ({ name: `c${at}`, ...c })),
    ...(initContainers && { initContainers: initContainers.map((c, at) => ({ name: `i${at}`, ...c })) }),
    // Nobody is to try and schedule them.
    schedulerName: 'nobody',
  }));

const workload = fc
  .record({ kind: fc.constantFrom('Deployment', 'StatefulSet'), spec: podSpec, strategy: fc.nat(3), inner: labels })
  .map(({ kind, spec, strategy, inner }) => ({
    apiVersion: 'apps/v1',
    kind,
    spec: {
      replicas: 0,
      selector: { matchLabels: { odd: 'yes' } },
      template: { metadata: { labels: { ...inner, odd: 'yes' } }, spec },
      ...(kind === 'Deployment' ? deploymentFields[strategy] : statefulSetFields[strategy]),
    },
  }));
const deploymentFields = [{}, { strategy: {} }, { strategy: { type: 'Recreate' } }, { paused: true }];
const statefulSetFields = [
  {},
  { serviceName: 'x', updateStrategy: {} },
  { updateStrategy: { type: 'OnDelete' } },
  { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } }, podManagementPolicy: 'Parallel' },
];

const pod = podSpec.map((spec) => ({ apiVersion: 'v1', kind: 'Pod', spec }));
const stored = fc
  .tuple(
    fc.constantFrom('Secret', 'ConfigMap'),
    fc.constantFrom(undefined, {}, { a: '' }, { release: 'SDRzSUFBQUFBQUFB' }),
  )
  .map(([kind, data]) => ({ apiVersion: 'v1', kind, ...defined({ data }) }));

const object = fc
  .record({
    body: fc.oneof({ weight: 3, arbitrary: workload }, { weight: 2, arbitrary: pod }, { weight: 1, arbitrary: stored }),
    labels,
    annotations,
    generated: fc.boolean(),
  })
  .map(({ body, generated, ...rest }) => ({ body, generated, metadata: defined(rest) }));

/** So many of them, the same for the same seed, in a namespace. Half have a name that the API server makes up. */
export function oddObjects(count: number, namespace: string, seed: number): OddObject[] {
  return fc.sample(object, { numRuns: count, seed }).map(({ body, generated, metadata }, at) => ({
    ...body,
    metadata: { ...(generated ? { generateName: `odd-${at}-` } : { name: `odd-${at}` }), namespace, ...metadata },
  })) as unknown as OddObject[];
}

function many(count: number) {
  return Array.from({ length: count }, (_, at) => ({ name: `SOME_VARIABLE_${at}`, value: `${at}` }));
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

const plurals = {
  Deployment: 'deployments',
  StatefulSet: 'statefulsets',
  Pod: 'pods',
  Secret: 'secrets',
  ConfigMap: 'configmaps',
};

/** Where the API server has objects of its kind. */
export function pathOf({ apiVersion, kind, metadata }: OddObject): string {
  return `${apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`}/namespaces/${metadata.namespace}/${plurals[kind]}`;
}
