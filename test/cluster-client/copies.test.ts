/**
 * What a real API server says of copies: of pods as it stores them itself, in a namespace with Pod Security "restricted",
 * limits with a minimum, and a policy that lets only some images in.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { core } from '../../src/cluster/client/paths.ts';
import { clusterReads } from '../../src/cluster/reads.ts';
import { probePod, runnerPod, triggersPod } from '../../src/release/kubernetes/helper-pods.ts';
import type { ContainerSpec, PodObject, PodSpec } from '../../src/release/model/kubernetes.ts';
import { type SharedPlane, sharedPlane } from '../cluster/plane/shared.ts';
import { makeWorkload } from '../make/release.ts';
import { makeDeployment } from '../make/workload.ts';

const ns = 'copies';
const wanted = { run: 'af-1', namespace: ns, release: 'af', profile: 'official', command: ['true'] } as const;

let plane: SharedPlane;
let client: Client;

const post = async (path: string, body: object, query: Record<string, string> = {}) =>
  await client.request<PodObject>('POST', path, { body, query });
const dry = async (pod: PodObject) => await post(core(ns, 'pods'), pod, { dryRun: 'All' });

beforeAll(async () => {
  plane = await sharedPlane();
  client = connect({ kubeconfig: plane.kubeconfig });
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ns, labels } });
  await vi.waitFor(async () => await client.request('GET', core(ns, 'serviceaccounts', 'default')), {
    timeout: 10_000,
  });
  const limits = {
    limits: [
      {
        type: 'Container',
        min: { cpu: '10m', memory: '16Mi' },
        max: { memory: '4Gi' },
        default: { cpu: '1', memory: '1Gi' },
      },
      { type: 'Pod', min: { cpu: '10m', memory: '16Mi' } },
    ],
  };
  await post(core(ns, 'limitranges'), {
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata: { name: 'limits' },
    spec: limits,
  });
  await allowOnly('apache/airflow');
}, 900_000);

afterAll(async () => {
  client?.close();
}, 60_000);

/** As Kyverno and Gatekeeper do it: nothing but these images in this namespace, whoever asks. In force when it has refused one. */
async function allowOnly(repository: string): Promise<void> {
  const group = '/apis/admissionregistration.k8s.io/v1';
  const [apiVersion, metadata] = ['admissionregistration.k8s.io/v1', { name: 'images' }];
  const expression = `object.spec.containers.all(c, c.image.startsWith('${repository}') || c.image.startsWith('proxy.corp'))`;
  const rules = [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }];
  await post(`${group}/validatingadmissionpolicies`, {
    apiVersion,
    kind: 'ValidatingAdmissionPolicy',
    metadata,
    spec: { matchConstraints: { resourceRules: rules }, validations: [{ expression }] },
  });
  await post(`${group}/validatingadmissionpolicybindings`, {
    apiVersion,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata,
    spec: {
      policyName: 'images',
      validationActions: ['Deny'],
      matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': ns } } },
    },
  });
  const other = { ...template({}), containers: [{ ...airflow, image: 'docker.io/other:1' }] };
  const refused = () => dry({ metadata: { name: 'other', namespace: ns }, spec: other });
  await vi.waitFor(async () => await expect(refused()).rejects.toMatchObject({ status: 422 }), { timeout: 20_000 });
}

const securityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
};
const airflow: ContainerSpec = {
  name: 'scheduler',
  image: 'apache/airflow:3.2.1',
  args: ['bash', '-c', 'exec airflow scheduler'],
  env: [{ name: 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', value: 'postgresql://a:b@127.0.0.1/air' }],
  resources: { requests: { cpu: '100m', memory: '256Mi' } },
  securityContext,
  livenessProbe: { exec: { command: ['true'] } },
};
const proxy = {
  name: 'cloud-sql-proxy',
  image: 'proxy.corp/cloud-sql-proxy:2',
  securityContext,
  ports: [{ containerPort: 9090, name: 'health' }],
};

function template(spec: object): PodSpec {
  const pod = { runAsNonRoot: true, runAsUser: 50000, seccompProfile: { type: 'RuntimeDefault' } };
  return { securityContext: pod, containers: [airflow], ...spec };
}

let serial = 0;

/** A pod as the API server has stored it: with defaults, its token's volume, limits. */
async function stored(spec: object, annotations: Record<string, string> = {}): Promise<PodObject> {
  const metadata = {
    name: `old-${serial++}`,
    namespace: ns,
    annotations,
    labels: { tier: 'airflow', release: 'af', component: 'scheduler' },
  };
  return await post(core(ns, 'pods'), { apiVersion: 'v1', kind: 'Pod', metadata, spec: template(spec) });
}

/** What `kubectl debug` does to it. */
async function debugged(pod: PodObject): Promise<PodObject> {
  const body = {
    spec: { ephemeralContainers: [{ name: 'debugger', image: 'apache/airflow:3.2.1', securityContext }] },
  };
  const options = { body, contentType: 'application/strategic-merge-patch+json' };
  return await client.request<PodObject>('PATCH', core(ns, 'pods', pod.metadata.name, 'ephemeralcontainers'), options);
}

const podAntiAffinity = {
  requiredDuringSchedulingIgnoredDuringExecution: [
    { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { release: 'af' } } },
  ],
};
const spread = [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} }];

describe('the API server takes a copy of a pod', () => {
  it.each<[string, object, Record<string, string>]>([
    ['of a chart, with limits', {}, {}],
    [
      'with a proxy beside it',
      {
        containers: [
          { ...proxy, readinessProbe: { httpGet: { path: '/', port: 'health' }, successThreshold: 3 } },
          airflow,
        ],
      },
      {},
    ],
    ['with a native proxy', { initContainers: [{ ...proxy, restartPolicy: 'Always' }] }, {}],
    [
      'that has a name, a place and rules of its own',
      {
        hostname: 'one',
        subdomain: 'af',
        affinity: { podAntiAffinity },
        topologySpreadConstraints: spread,
        priority: 0,
        serviceAccountName: 'default',
      },
      {},
    ],
    [
      'behind gates',
      { schedulingGates: [{ name: 'downdraft.dev/hold' }], readinessGates: [{ conditionType: 'x.io/lb' }] },
      {},
    ],
    [
      'with a profile for each container',
      { containers: [{ ...proxy, name: 'log-shipper' }, airflow] },
      {
        'container.apparmor.security.beta.kubernetes.io/log-shipper': 'runtime/default',
        'container.apparmor.security.beta.kubernetes.io/scheduler': 'runtime/default',
      },
    ],
    [
      'with claims of devices',
      {
        resourceClaims: [{ name: 'gpu', resourceClaimName: 'gpu' }],
        containers: [
          { ...airflow, resources: { requests: { cpu: '100m', memory: '256Mi' }, claims: [{ name: 'gpu' }] } },
        ],
      },
      {},
    ],
  ])('%s', { timeout: 30_000 }, async (_, spec, annotations) => {
    const source = await stored(spec, annotations);
    const copy = await dry(
      runnerPod(
        { ...source, spec: { ...source.spec, nodeName: 'node-1' } },
        { ...wanted, command: ['true'], claims: {} },
      ),
    );
    const main = copy.spec.containers.find(({ name }) => name === 'scheduler')!;
    expect(main.resources).toMatchObject({ requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } });
    expect(main.volumeMounts).toContainEqual({ name: 'downdraft-work', mountPath: '/tmp/downdraft' });
    expect(copy.spec.containers).toHaveLength(1);
    expect(main.volumeMounts!.filter(({ mountPath }) => `${mountPath}`.includes('serviceaccount'))).toHaveLength(1);
  });

  it('that somebody has debugged', { timeout: 30_000 }, async () => {
    const source = await debugged(await stored({}));
    expect(source.spec.ephemeralContainers).toHaveLength(1);
    expect((await dry(runnerPod(source, { ...wanted, command: ['true'] }))).spec.ephemeralContainers).toBeUndefined();
  });

  it('that is only a template yet', { timeout: 30_000 }, async () => {
    const object = makeDeployment({ component: 'scheduler', image: 'apache/airflow:3.1.8' });
    object.metadata.namespace = ns;
    object.spec.template.spec = template({ containers: [{ ...airflow, resources: {} }] });
    const workload = makeWorkload(object);
    const asking = { ...wanted, command: ['true'] };
    expect((await dry(probePod(workload, asking))).spec.containers[0]!.resources).toMatchObject({
      limits: { memory: '1Gi' },
    });
    await dry(triggersPod(workload, asking, 'af-1-triggers-0', [{ class: 'x.Y', arguments: [] }]));
  });
});

it('the newest warning about a pod is found by its uid, and access modes of its claims by their names', {
  timeout: 30_000,
}, async () => {
  const reads = clusterReads({ client, namespace: 'default' });
  const { metadata } = await stored({ schedulingGates: [{ name: 'x.io/wait' }] });
  const event = (name: string, type: string, at: string, message: string, uid = metadata.uid) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace: ns },
    involvedObject: { kind: 'Pod', namespace: ns, name: metadata.name, uid },
    type,
    reason: 'FailedMount',
    message,
    lastTimestamp: at,
  });
  expect(await reads.podWarning(ns, metadata.uid!)).toBeUndefined();
  for (const one of [
    event('a', 'Warning', '2026-11-30T10:00:02Z', 'newest'),
    event('b', 'Warning', '2026-11-30T10:00:01Z', 'older'),
    event('c', 'Normal', '2026-11-30T10:00:03Z', 'no warning'),
    event('d', 'Warning', '2026-11-30T10:00:04Z', 'of another', 'another'),
  ])
    await post(core(ns, 'events'), one);
  expect(await reads.podWarning(ns, metadata.uid!)).toBe('FailedMount: newest');
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
  await post(core(ns, 'persistentvolumeclaims'), {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'dags' },
    spec,
  });
  expect(await reads.claimModes(ns, ['dags', 'gone'])).toEqual({ dags: ['ReadWriteOnce'] });
});
