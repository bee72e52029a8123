import { describe, expect, it } from 'vitest';
import { probePod, runnerPod } from '../../src/release/kubernetes/helper-pods.ts';
import type { ContainerSpec, PodObject } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';
import { makeWorkload } from '../make/release.ts';
import { makeDeployment } from '../make/workload.ts';

const wanted = { run: 'af-x7k2q', namespace: 'air', release: 'af', profile: 'official', command: ['work'] } as const;
const conn = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';

/** An old pod with further parts in its spec and annotations. */
function source(spec: object = {}, metadata: object = {}): PodObject {
  const pod = makePod();
  return { ...pod, metadata: { ...pod.metadata, ...metadata }, spec: { ...pod.spec, ...spec } };
}

const airflow = (url?: string): ContainerSpec => ({
  name: 'scheduler',
  image: 'apache/airflow:3.2.1',
  ...(url ? { env: [{ name: conn, value: url }] } : {}),
});
const runner = (pod: PodObject, more: object = {}) => runnerPod(pod, { ...wanted, command: ['work'], ...more });

describe('what a copy leaves to the pod that it is copied from', () => {
  it.each<[string, object]>([
    ['containers that somebody debugged it with', { ephemeralContainers: [{ name: 'debugger', image: 'busybox' }] }],
    ['its node, which is only preferred', { nodeName: 'node-1' }],
    ['its host name', { hostname: 'af-scheduler-0', subdomain: 'af' }],
    ['claims of devices', { resourceClaims: [{ name: 'gpu', resourceClaimName: 'x' }] }],
    ['gates', { schedulingGates: [{ name: 'downdraft.dev/hold' }], readinessGates: [{ conditionType: 'lb' }] }],
    ['the deprecated name of its account', { serviceAccount: 'airflow' }],
    ['the constraint to spread', { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone' }] }],
  ])('%s', (_, spec) => {
    const made = runner(source(spec)).spec;
    for (const name of Object.keys(spec)) expect(made).not.toHaveProperty(name);
  });

  it('the rule that no two of them share a node, since every node may have one; what it says of nodes stays', () => {
    const nodeAffinity = {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'pool' }] }] },
    };
    const { affinity } = runner(source({ affinity: { podAntiAffinity: { required: [] }, nodeAffinity } })).spec;
    expect(affinity).toEqual({ nodeAffinity });
  });

  it('the volume of its token, and mounts of it; and volumes that nothing mounts', () => {
    const token = { name: 'kube-api-access-x', mountPath: '/var/run/secrets' };
    const volumes = [
      { name: 'kube-api-access-x', projected: {} },
      { name: 'unused', emptyDir: {} },
      { name: 'dags', emptyDir: {} },
    ];
    const containers = [{ ...airflow(), volumeMounts: [token, { name: 'dags', mountPath: '/dags' }] }];
    const { spec } = runner(source({ volumes, containers }));
    expect(spec.volumes!.map(({ name }) => name)).toEqual(['dags', 'downdraft-work']);
    expect(spec.containers[0]!.volumeMounts!.map(({ name }) => name)).toEqual(['dags', 'downdraft-work']);
  });

  it('resources stay, so that limits and quotas take the copy as they took the pod', () => {
    const resources = { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '2Gi' } };
    const containers = [
      { ...airflow(), resources: { ...resources, claims: [{ name: 'gpu' }] }, securityContext: { runAsNonRoot: true } },
    ];
    expect(runner(source({ containers })).spec.containers[0]).toMatchObject({
      resources,
      securityContext: { runAsNonRoot: true },
    });
    expect(runner(source({ containers })).spec.containers[0]!.resources).not.toHaveProperty('claims');
  });
});

describe('a volume that only one node can have', () => {
  const volumes = [{ name: 'dags', persistentVolumeClaim: { claimName: 'dags' } }];
  const containers = [{ ...airflow(), volumeMounts: [{ name: 'dags', mountPath: '/dags' }] }];
  const nodeFor = (claims: Record<string, string[]>, spec: object = {}) =>
    (
      runner(source({ nodeName: 'node-1', volumes, containers, ...spec }), { claims }).spec.affinity as {
        nodeAffinity: Record<string, unknown>;
      }
    ).nodeAffinity;
  const here = { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-1'] }] };

  it.each([
    ['is required', ['ReadWriteOnce'], 'requiredDuringSchedulingIgnoredDuringExecution', { nodeSelectorTerms: [here] }],
    [
      'is not, when many can',
      ['ReadWriteOnce', 'ReadWriteMany'],
      'preferredDuringSchedulingIgnoredDuringExecution',
      [{ weight: 100, preference: here }],
    ],
  ])('the node of the source %s', (_, modes, kind, terms) =>
    expect(nodeFor({ dags: modes })).toEqual({ [kind]: terms }),
  );

  it('nothing is required where the claim is not known, or is not mounted by what is copied', () => {
    expect(nodeFor({})).not.toHaveProperty('requiredDuringSchedulingIgnoredDuringExecution');
    expect(nodeFor({ dags: ['ReadWriteOnce'] }, { containers: [airflow()] })).not.toHaveProperty(
      'requiredDuringSchedulingIgnoredDuringExecution',
    );
  });

  it('each of several choices of nodes gets it', () => {
    const terms = [{ matchExpressions: [{ key: 'a' }] }, { matchExpressions: [{ key: 'b' }] }];
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } };
    expect(nodeFor({ dags: ['ReadWriteOncePod'] }, { affinity })).toEqual({
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: terms.map((term) => ({ ...term, ...here })),
      },
    });
  });
});

describe('the proxy to the database', () => {
  const proxy = {
    name: 'cloud-sql-proxy',
    image: 'gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.8.0',
    args: ['p:r:i'],
  };
  const beside = [
    proxy,
    { name: 'git-sync', image: 'registry.k8s.io/git-sync/git-sync:v4.3.0' },
    { name: 'scheduler-log-groomer', image: 'apache/airflow:3.2.1' },
    { name: 'exporter', image: 'quay.io/prometheus/statsd-exporter:v0.26' },
    { name: 'ui', image: 'acme/air-ui:17', command: ['airflow', 'api-server'] },
    { name: 'fluent-bit', image: 'fluent/fluent-bit:3' },
  ];
  const initNames = (url: string | undefined, role: 'runner' | 'probe' = 'runner') => {
    const pod = source({ containers: [...beside, airflow(url)] });
    const object = makeDeployment({ component: 'scheduler', image: 'apache/airflow:3.2.1' });
    object.spec.template.spec = pod.spec;
    const { spec } = role === 'runner' ? runner(pod) : probePod(makeWorkload(object), { ...wanted, command: ['ask'] });
    expect(spec.containers.map(({ name }) => name)).toEqual(['scheduler']);
    return spec.initContainers!.map(({ name }) => name);
  };

  it.each([
    ['127.0.0.1', 'postgresql+psycopg2://a:b@127.0.0.1:5432/air'],
    ['localhost', 'postgresql://a:p@ss@localhost/air'],
    ['a socket', 'postgresql+psycopg2://a:b@/air?host=/cloudsql/p:r:i'],
    ['an encoded socket', 'postgresql://a:b@%2Fcloudsql%2Fp/air'],
    ['a socket of MySQL', 'mysql+pymysql://a:b@/air?unix_socket=/cloudsql/p'],
    ['IPv6', 'postgresql://a:b@[::1]:5432/air'],
    ['another variable', 'postgresql://a:b@$(HOST)/air'],
    ['nothing that the spec tells', undefined],
  ])('stays beside the runner where the database is at %s; what is not on the way does not', (_, url) => {
    expect(initNames(url)).toEqual(['cloud-sql-proxy']);
    expect(initNames(url, 'probe')).toEqual([]);
  });

  it('is left out where the database is elsewhere', () => {
    expect(initNames('postgresql://a:b@db.corp:5432/air?host=db.corp')).toEqual([]);
    expect(initNames('postgresql://a:b@127.0.0.1.nip.io.corp@db/air')).toEqual([]);
  });

  it('becomes a native sidecar, and is waited for by its own probe', () => {
    const readinessProbe = { httpGet: { path: '/readiness', port: 'health' }, periodSeconds: 30, successThreshold: 2 };
    const ports = [{ name: 'health', containerPort: 9090, hostPort: 9090 }];
    const containers = [{ ...proxy, readinessProbe, ports }, airflow('postgresql://a:b@127.0.0.1/air')];
    expect(runner(source({ containers })).spec.initContainers).toMatchObject([
      {
        ...proxy,
        restartPolicy: 'Always',
        ports: [{ name: 'health', containerPort: 9090 }],
        startupProbe: { httpGet: { port: 'health' }, periodSeconds: 1, successThreshold: 1 },
      },
    ]);
  });

  it('that is a native sidecar already stays in every copy, in its place', () => {
    const initContainers = [
      { name: 'prepare' },
      { ...proxy, restartPolicy: 'Always', startupProbe: { exec: {} } },
      { name: 'git-sync', restartPolicy: 'Always' },
    ];
    expect(runner(source({ initContainers })).spec.initContainers).toMatchObject([
      { name: 'prepare' },
      { name: proxy.name, restartPolicy: 'Always', startupProbe: {} },
    ]);
  });
});

it('the runner has a folder of its own to write in, and nothing moves it away', () => {
  const { metadata, spec } = runner(
    source({ containers: [{ ...airflow(), securityContext: { readOnlyRootFilesystem: true } }] }),
  );
  expect(spec.volumes).toEqual([{ name: 'downdraft-work', emptyDir: {} }]);
  expect(spec.containers[0]!.volumeMounts).toEqual([{ name: 'downdraft-work', mountPath: '/tmp/downdraft' }]);
  expect(spec).not.toHaveProperty('activeDeadlineSeconds');
  expect(metadata.annotations).toEqual({
    'karpenter.sh/do-not-disrupt': 'true',
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
    'downdraft.dev/container': 'scheduler',
  });
});

it('the main container is found by its name, wherever it stands', () => {
  const containers = [{ name: 'istio-proxy', image: 'istio/proxyv2' }, airflow('postgresql://a:b@db/air')];
  expect(runner(source({ containers })).spec.containers.map(({ name }) => name)).toEqual(['scheduler']);
});
