/** Deployments and StatefulSets as the charts make them, after the API server has stored them. */
import type { EnvironmentVariable, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { annotation, label } from '../../src/release/model/kubernetes.ts';
import type { Hold } from '../../src/release/model/workload.ts';

export interface WorkloadShape {
  name?: string;
  namespace?: string;
  release?: string;
  component?: string;
  image?: string;
  replicas?: number;
  /** true: held since noon, from 3.2.1, not paused before; `stopped: false` leaves the fields as someone set them back. */
  held?: boolean | Partial<Hold>;
  stopped?: boolean;
  /** All replicas updated and Ready; default true. */
  settled?: boolean;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  paused?: boolean;
  updateStrategy?: WorkloadObject['spec']['updateStrategy'];
  generation?: number;
  uid?: string;
  /** Which chart's labels and containers; default the official one's. */
  profile?: 'official' | 'community' | 'labelled';
  /** Of the pod template. */
  podLabels?: Record<string, string>;
  podAnnotations?: Record<string, string>;
  /** A Deployment's. */
  strategy?: { type: 'Recreate' | 'RollingUpdate' };
  /** Further environment of the main container and of the one that waits; `connection` is the Secret's name. */
  env?: EnvironmentVariable[];
  connection?: string;
}

/** A Deployment af-<component> of release af in namespace air, image apache/airflow:3.2.1. */
export function makeDeployment(shape: WorkloadShape = {}): WorkloadObject {
  const object = makeWorkload('Deployment', shape);
  const paused = shape.paused ?? (isHeld(shape) && shape.stopped !== false ? true : undefined);
  if (paused !== undefined) object.spec.paused = paused;
  return object;
}

/** The same as a StatefulSet; its default component is triggerer. */
export function makeStatefulSet(shape: WorkloadShape = {}): WorkloadObject {
  const object = makeWorkload('StatefulSet', { component: 'triggerer', ...shape });
  const partition = isHeld(shape) && shape.stopped !== false ? 2147483647 : 0;
  object.spec.updateStrategy = shape.updateStrategy ?? { type: 'RollingUpdate', rollingUpdate: { partition } };
  object.status = { ...object.status, currentRevision: 'r1', updateRevision: 'r1' };
  return object;
}

/** The record of a hold: since noon, by helm's user, from 3.2.1, nothing set before. */
export function makeHold(hold: Partial<Hold> = {}): Hold {
  return {
    since: '2026-11-21T12:00:00.000Z',
    by: 'jane',
    from: 'apache/airflow:3.2.1',
    before: { paused: null },
    ...hold,
  };
}

function isHeld({ held }: WorkloadShape): boolean {
  return held !== undefined && held !== false;
}

function makeWorkload(kind: 'Deployment' | 'StatefulSet', shape: WorkloadShape): WorkloadObject {
  const { component = 'scheduler', release = 'af', namespace = 'air', replicas = 1, generation = 1 } = shape;
  const { name = `${release}-${component}`, settled = true } = shape;
  const selected = labelsOf(shape.profile ?? 'official', component, release);
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: {
      name,
      namespace,
      uid: shape.uid ?? `uid-${name}`,
      generation,
      resourceVersion: '100',
      labels: { ...selected, heritage: 'Helm', ...shape.labels },
      annotations: { ...shape.annotations, ...holdAnnotation(kind, shape.held) },
    },
    spec: {
      replicas,
      selector: { matchLabels: selected },
      template: makeTemplate({ ...shape, component, release }, selected),
      ...(shape.strategy ? { strategy: shape.strategy } : {}),
    },
    status: settled
      ? { observedGeneration: generation, replicas, updatedReplicas: replicas, readyReplicas: replicas }
      : { observedGeneration: generation, replicas, updatedReplicas: 0, readyReplicas: 0 },
  };
}

function holdAnnotation(kind: string, held: WorkloadShape['held']): Record<string, string> {
  if (!held) return {};
  const before: Hold['before'] = kind === 'Deployment' ? { paused: null } : { partition: 0 };
  return { [annotation.hold]: JSON.stringify(makeHold({ before, ...(held === true ? {} : held) })) };
}

function labelsOf(
  profile: NonNullable<WorkloadShape['profile']>,
  component: string,
  release: string,
): Record<string, string> {
  if (profile === 'labelled') return { [label.release]: release, 'app.kubernetes.io/component': component };
  return profile === 'community' ? { app: 'airflow', component, release } : { tier: 'airflow', component, release };
}

/** The pod template: a wait container, the main container and a log groomer, all of the same image. */
function makeTemplate(
  shape: WorkloadShape & { component: string; release: string },
  labels: Record<string, string>,
): WorkloadObject['spec']['template'] {
  const { image = 'apache/airflow:3.2.1', component, release, profile = 'official', podAnnotations } = shape;
  const metadata = {
    labels: { ...labels, ...shape.podLabels },
    ...(podAnnotations ? { annotations: podAnnotations } : {}),
  };
  if (profile === 'community') return { metadata, spec: communitySpec(component, release, image) };
  const env = [...makeEnvironment(release, shape.connection), ...(shape.env ?? [])];
  return {
    metadata,
    spec: {
      serviceAccountName: `${release}-airflow-${component}`,
      terminationGracePeriodSeconds: 10,
      initContainers: [{ name: 'wait-for-airflow-migrations', image, env }],
      containers: [
        { name: component, image, args: ['bash', '-c', `exec airflow ${component}`], env },
        { name: `${component}-log-groomer`, image, env: [] },
      ],
    },
  };
}

/** As airflow-helm/charts 8.9.0: names with a prefix, the connection by envFrom, two containers that wait. */
function communitySpec(component: string, release: string, image: string): WorkloadObject['spec']['template']['spec'] {
  const envFrom = [{ secretRef: { name: `${release}-config-envs` } }];
  const bare = component === 'db-migrations' || component.startsWith('sync-');
  const waits = component === 'db-migrations' ? ['check-db'] : ['check-db', 'wait-for-db-migrations'];
  return {
    serviceAccountName: release,
    terminationGracePeriodSeconds: 60,
    initContainers: waits.map((name) => ({ name, image, envFrom })),
    containers: [{ name: bare ? component : `airflow-${component}`, image, envFrom }],
  };
}

/** The connection and keys, from the chart's Secrets. */
export function makeEnvironment(release: string, connection = `${release}-metadata`): EnvironmentVariable[] {
  return [
    secret('AIRFLOW__CORE__FERNET_KEY', `${release}-fernet-key`, 'fernet-key'),
    secret('AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', connection, 'connection'),
  ];
}

function secret(name: string, from: string, key: string): EnvironmentVariable {
  return { name, valueFrom: { secretKeyRef: { name: from, key } } };
}
