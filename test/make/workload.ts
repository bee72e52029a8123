/** Deployments and StatefulSets as the official chart makes them, after the API server has stored them. */
import type { WorkloadObject } from '../../src/release/objects.ts';
import { annotation } from '../../src/release/profiles.ts';
import type { Hold } from '../../src/release/release.ts';

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
  const selected = { tier: 'airflow', component, release };
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
    spec: { replicas, selector: { matchLabels: selected }, template: makeTemplate(shape, selected) },
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

/** The pod template: a wait container, the main container and a log groomer, all of the same image. */
function makeTemplate(
  { image = 'apache/airflow:3.2.1' }: WorkloadShape,
  labels: { component: string; release: string; tier: string },
): WorkloadObject['spec']['template'] {
  const env = makeEnvironment(labels.release);
  return {
    metadata: { labels },
    spec: {
      serviceAccountName: `${labels.release}-airflow-${labels.component}`,
      terminationGracePeriodSeconds: 10,
      initContainers: [{ name: 'wait-for-airflow-migrations', image, env }],
      containers: [
        { name: labels.component, image, args: ['bash', '-c', `exec airflow ${labels.component}`], env },
        { name: `${labels.component}-log-groomer`, image, env: [] },
      ],
    },
  };
}

/** The connection and keys, from the chart's Secrets. */
export function makeEnvironment(release: string) {
  return [
    secret('AIRFLOW__CORE__FERNET_KEY', `${release}-fernet-key`, 'fernet-key'),
    secret('AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', `${release}-metadata`, 'connection'),
  ];
}

function secret(name: string, from: string, key: string) {
  return { name, valueFrom: { secretKeyRef: { name: from, key } } };
}
