/** Workloads, pods and Downgrades of one namespace, each with a hostile text in another place. */
import { apps, core, downgradesOf } from '../../src/cluster/client/paths.ts';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { annotation } from '../../src/release/model/kubernetes.ts';
import { asWritten } from '../admission/written.ts';
import { leavesOf, withLeaf } from '../make/leaves.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import { foreign } from './foreign.ts';
import { imageOf, older as olderVersion } from './images.ts';

export const namespace = 'tenant';
const up = '../../../../../..';
/** What a path could be left by, and names that are well-formed and somebody else's. */
export const paths = [
  `${up}/api/v1/namespaces/prod/pods/canary`,
  `x/${up}/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/downdraft`,
  '../../prod/secrets/canary',
  '..%2f..%2fprod%2fsecrets%2fcanary',
];
const hostile = paths.flatMap((path, at) => [path, at % 2 ? foreign.name : foreign.namespace]);
export const older = imageOf(`${namespace}.example`, olderVersion);

/** Copies of an object, each with a hostile text in another place; `turn` chooses which text comes to which place. */
function spoilt<T extends object>(object: T, turn = 0): T[] {
  return leavesOf(object).map((at, index) => withLeaf(object, at, hostile[(index + turn) % hostile.length]!));
}

/** With everything that names something: Secrets, ConfigMaps, accounts, volumes, all annotations. */
function naming(object: WorkloadObject): WorkloadObject {
  const { spec } = object.spec.template;
  const [main] = spec.containers;
  main!.envFrom = [{ secretRef: { name: 'x' } }, { configMapRef: { name: 'x' }, prefix: 'AIRFLOW__' }];
  main!.env!.push({ name: 'AIRFLOW__CORE__X', valueFrom: { configMapKeyRef: { name: 'x', key: 'y' } } });
  spec.imagePullSecrets = [{ name: 'x' }];
  spec.serviceAccountName = 'x';
  spec.volumes = [{ name: 'x', secret: { secretName: 'x' } }];
  object.spec.replicas = 0;
  const noted = Object.values(annotation).filter((key) => key !== annotation.hold);
  object.metadata.annotations = {
    ...Object.fromEntries(noted.map((key) => [key, 'x'])),
    ...object.metadata.annotations,
  };
  return asWritten(object);
}

function owned(pod: PodObject): PodObject {
  const uid = '11111111-1111-1111-1111-111111111111';
  const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name: 'x', uid, controller: true }];
  const written = asWritten(pod);
  return { ...written, metadata: { ...written.metadata, ownerReferences } };
}

export function downgrade(): DowngradeObject {
  const target = { image: older, version: olderVersion, coreHead: 'x', source: 'probe' } as const;
  const own = { name: 'x', uid: 'x' };
  const startedAt = '2026-11-30T12:00:00Z';
  const backup = {
    way: 'VolumeSnapshot',
    namespace,
    name: 'x',
    named: 'x',
    path: 'x',
    left: 'x',
    startedAt,
  } as const;
  const record = { from: { image: older }, target, pods: { probe: own, runner: own }, backup, startedAt };
  return {
    apiVersion: 'downdraft.dev/v1alpha1',
    kind: 'Downgrade',
    metadata: { name: 'af', namespace, labels: { 'downdraft.dev/release': 'af' } },
    spec: { release: 'af', to: older, backup: { reference: 'x' } },
    status: { phase: 'Planning', record: record as never },
  };
}

export const unspoiltPod = owned(makeMigrationPod({ namespace, image: older, gated: true }));

/** Each kind, what is stored of it, and whose it then is. */
export const kinds = {
  Deployment: {
    path: apps(namespace, 'deployments'),
    made: () => spoilt(naming(makeDeployment({ namespace, image: older }))),
  },
  'held Deployment': {
    path: apps(namespace, 'deployments'),
    made: () => spoilt(naming(makeDeployment({ namespace, image: older, held: true })), 1),
  },
  StatefulSet: {
    path: apps(namespace, 'statefulsets'),
    made: () => spoilt(naming(makeStatefulSet({ namespace, image: older, held: true })), 3),
  },
  pod: {
    path: core(namespace, 'pods'),
    made: () => [
      ...spoilt(unspoiltPod),
      ...spoilt(unspoiltPod, 1),
      ...spoilt(owned(makePod({ namespace, image: older, component: 'worker', gated: true })), 1),
    ],
  },
  Downgrade: {
    path: downgradesOf(namespace),
    made: () => [...spoilt(downgrade()), ...spoilt(downgrade(), 1)],
  },
} satisfies Record<string, { path: string; made(): object[] }>;
