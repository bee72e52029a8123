import { describe, expect, it } from 'vitest';
import { probePod, runnerPod } from '../../src/release/kubernetes/helper-pods.ts';
import { mainContainerOf } from '../../src/release/kubernetes/main-container.ts';
import { readPod } from '../../src/release/kubernetes/pods.ts';
import type { PodObject, PodTemplate } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';
import { makeWorkload } from '../make/release.ts';
import { makeDeployment } from '../make/workload.ts';

const wanted = { run: 'af-x7k2q', namespace: 'air', release: 'af', profile: 'official', command: ['work'] } as const;
const always = [
  'karpenter.sh/do-not-disrupt',
  'cluster-autoscaler.kubernetes.io/safe-to-evict',
  'downdraft.dev/container',
];

/** The runner made of an old pod with these annotations and labels; its template has them too, unless told otherwise. */
function copyOf(annotations: Record<string, string>, labels: Record<string, string> = {}, template?: PodTemplate) {
  const pod = makePod({ labels });
  return runnerPod({ ...pod, metadata: { ...pod.metadata, annotations } }, { ...wanted, command: ['work'], template });
}

describe('a copy is asked the same of by injectors as its source was', () => {
  it.each([
    'sidecar.istio.io/inject',
    'linkerd.io/inject',
    'config.linkerd.io/skip-outbound-ports',
    'traffic.sidecar.istio.io/excludeOutboundPorts',
    'vault.hashicorp.com/agent-inject',
    'vault.hashicorp.com/agent-inject-secret-config',
    'eks.amazonaws.com/skip-containers',
    'k8s.v1.cni.cncf.io/networks',
    'container.apparmor.security.beta.kubernetes.io/scheduler',
    'acme.example/cost-centre',
  ])('annotation %s is kept', (name) =>
    expect(copyOf({ [name]: 'x' }).metadata.annotations).toHaveProperty([name], 'x'),
  );

  it.each([
    'sidecar.istio.io/status',
    'vault.hashicorp.com/agent-inject-status',
    'linkerd.io/proxy-version',
    'checksum/airflow-config',
    'kubectl.kubernetes.io/restartedAt',
    'argocd.argoproj.io/tracking-id',
    'meta.helm.sh/release-name',
    'kustomize.toolkit.fluxcd.io/name',
    'objectset.rio.cattle.io/id',
    'downdraft.dev/hold',
    'cni.projectcalico.org/podIP',
    'k8s.v1.cni.cncf.io/network-status',
    'kubernetes.io/limit-ranger',
    'openshift.io/scc',
    'prometheus.io/scrape',
    'container.apparmor.security.beta.kubernetes.io/istio-proxy',
  ])('annotation %s is not', (name) => {
    expect(Object.keys(copyOf({ [name]: '{}' }).metadata.annotations!)).toEqual(always);
  });

  it.each([
    'sidecar.istio.io/inject',
    'istio.io/rev',
    'azure.workload.identity/use',
    'admission.datadoghq.com/enabled',
  ])('label %s is kept', (name) =>
    expect(copyOf({}, { [name]: 'true' }).metadata.labels).toHaveProperty([name], 'true'),
  );

  it.each([
    'component',
    'app',
    'pod-template-hash',
    'controller-revision-hash',
    'statefulset.kubernetes.io/pod-name',
    'app.kubernetes.io/instance',
    'argocd.argoproj.io/instance',
    'team',
    'acme.example/service',
    'security.istio.io/tlsMode',
    'service.istio.io/canonical-name',
  ])('label %s is not: by it something else would take the copy for its own', (name) => {
    expect(copyOf({}, { [name]: 'x' }).metadata.labels).toEqual({
      tier: 'airflow',
      release: 'af',
      'downdraft.dev/role': 'runner',
      'downdraft.dev/run': 'af-x7k2q',
      'app.kubernetes.io/managed-by': 'downdraft',
    });
  });

  it('what only the pod has and its template has not was added at its creation, and is added anew', () => {
    const template = {
      metadata: { annotations: { 'linkerd.io/inject': 'disabled' }, labels: {} },
      spec: makePod().spec,
    };
    const { metadata } = copyOf(
      { 'linkerd.io/inject': 'disabled', 'some.operator/seen': '1' },
      { 'istio.io/rev': 'a' },
      template,
    );
    expect(Object.keys(metadata.annotations!)).toEqual(['linkerd.io/inject', ...always]);
    expect(metadata.labels).not.toHaveProperty(['istio.io/rev']);
  });

  it('the probe takes them from the template that it is made of', () => {
    const object = makeDeployment({ component: 'scheduler' });
    object.spec.template.metadata!.annotations = { 'sidecar.istio.io/inject': 'false', 'checksum/x': '1' };
    const { metadata, spec } = probePod(makeWorkload(object), { ...wanted, command: ['ask'] });
    expect(Object.keys(metadata.annotations!)).toEqual(['sidecar.istio.io/inject', ...always]);
    expect(spec.activeDeadlineSeconds).toBe(1800);
  });
});

describe('what an injector added is not there twice', () => {
  const main = {
    name: 'scheduler',
    image: 'apache/airflow:3.2.1',
    volumeMounts: [
      { name: 'dags', mountPath: '/dags' },
      { name: 'vault-secrets', mountPath: '/vault/secrets' },
      { name: 'mesh-identity', mountPath: '/id' },
    ],
  };
  const spec = {
    containers: [
      { name: 'istio-proxy', image: 'istio/proxyv2' },
      { name: 'vault-agent', image: 'hashicorp/vault' },
      { name: 'mesh', image: 'acme/mesh' },
      main,
    ],
    initContainers: [
      { name: 'istio-init' },
      { name: 'linkerd-proxy', restartPolicy: 'Always' },
      { name: 'vault-agent-init' },
      { name: 'mesh-init' },
      { name: 'prepare' },
    ],
    volumes: ['dags', 'istio-envoy', 'vault-secrets', 'mesh-identity'].map((name) => ({ name, emptyDir: {} })),
  };
  const status = JSON.stringify({ containers: ['mesh'], initContainers: ['mesh-init'], volumes: ['mesh-identity'] });
  const injected = (annotations: Record<string, string>): PodObject => {
    const pod = makePod();
    return { ...pod, metadata: { ...pod.metadata, annotations }, spec: { ...pod.spec, ...spec } };
  };
  const template = {
    spec: {
      containers: [{ ...main, volumeMounts: [main.volumeMounts[0]!] }],
      initContainers: [{ name: 'prepare' }],
      volumes: [{ name: 'dags' }],
    },
  };

  it.each<[string, Record<string, string>, PodTemplate | undefined]>([
    ['as the injector itself says', { 'sidecar.istio.io/status': status }, undefined],
    ['as the template lacks it', { 'vault.hashicorp.com/agent-inject-status': 'injected' }, template],
  ])('%s', (_, annotations, of) => {
    const made = runnerPod(injected(annotations), { ...wanted, command: ['work'], template: of }).spec;
    expect(made.containers.map(({ name }) => name)).toEqual(['scheduler']);
    expect(made.initContainers!.map(({ name }) => name)).toEqual(['prepare']);
    expect(made.volumes!.map(({ name }) => name)).toEqual(['dags', 'downdraft-work']);
    expect(made.containers[0]!.volumeMounts!.map(({ name }) => name)).toEqual(['dags', 'downdraft-work']);
  });

  it('an agent that stands in the template itself stays, and so does what its claims bring', () => {
    const pod = injected({});
    pod.spec.volumes!.push({ name: 'logs', persistentVolumeClaim: { claimName: 'logs-0' } });
    pod.spec.containers.at(-1)!.volumeMounts!.push({ name: 'logs', mountPath: '/logs' });
    const made = runnerPod(pod, { ...wanted, command: ['work'], template: { spec } }).spec;
    expect(made.initContainers!.map(({ name }) => name)).toContain('vault-agent-init');
    expect(made.volumes!.map(({ name }) => name)).toContain('logs');
  });

  it.each(['no JSON', 'null', '[]', '{"containers": 7, "volumes": [{}]}'])(
    'a mark that says %j says nothing',
    (said) => {
      const made = runnerPod(injected({ 'sidecar.istio.io/status': said }), { ...wanted, command: ['work'] }).spec;
      expect(made.initContainers!.map(({ name }) => name)).toContain('mesh-init');
    },
  );
});

describe('the main container of a pod', () => {
  const named = (names: string[], metadata: Partial<PodObject['metadata']> = {}): PodObject => ({
    metadata: { name: 'x', ...metadata },
    spec: { containers: names.map((name) => ({ name })) },
  });

  it.each<[string, PodObject, string]>([
    [
      'as the pod says itself',
      named(['istio-proxy', 'air'], { annotations: { 'downdraft.dev/container': 'air' } }),
      'air',
    ],
    [
      'as its labels tell',
      named(['proxy', 'scheduler'], { labels: { tier: 'airflow', release: 'af', component: 'scheduler' } }),
      'scheduler',
    ],
    [
      'as charts name it, when a label is gone',
      named(['proxy', 'api-server'], { labels: { tier: 'airflow', release: 'af' } }),
      'api-server',
    ],
    ['not an injected one', named(['istio-proxy', 'linkerd-proxy', 'air']), 'air'],
    ['a name that is not there says nothing', named(['a'], { annotations: { 'downdraft.dev/container': 'b' } }), 'a'],
  ])('%s', (_, pod, name) => expect(mainContainerOf(pod)).toBe(name));

  it("of a pod of ours has ended when it has, though a mesh's proxy goes on; of Airflow's pods the phase counts", () => {
    const pod = named(['istio-proxy', 'scheduler'], {
      annotations: { 'downdraft.dev/container': 'scheduler' },
      labels: { 'downdraft.dev/role': 'probe', 'app.kubernetes.io/managed-by': 'downdraft' },
    });
    pod.status = {
      phase: 'Running',
      containerStatuses: [
        { name: 'istio-proxy', state: { running: {} } },
        { name: 'scheduler', state: { terminated: { exitCode: 0 } } },
      ],
    };
    expect(readPod(pod, {}).ended).toBe(true);
    expect(readPod({ ...pod, metadata: { ...pod.metadata, labels: {} } }, {}).ended).toBe(false);
  });
});
