/**
 * A big cluster, made up as it is asked for: many releases of Airflow, very many pods, and Deployments that are none of
 * Airflow's. The first releases share one crowded namespace, as the pods of KubernetesExecutor fill one.
 */
import { components, placeOf, storedWorkload } from './world.ts';

export interface Size {
  releases: number;
  pods: number;
  /** So many of them are in the crowded namespace. */
  crowded: number;
  /** Deployments of others, 15 KB each. */
  foreign: number;
}

/** Objects of one kind in one place: their labels are cheap, their texts are not. */
export interface Shelf {
  kind: string;
  apiVersion: string;
  count: number;
  labels(at: number): Record<string, string>;
  text(at: number): string;
}

/** So many releases share the crowded namespace. */
const sharing = 8;
const podBytes = 10_000;
const foreignBytes = 15_000;
const image = 'apache/airflow:3.2.0';
const digest = `docker.io/apache/airflow@sha256:${'5'.repeat(64)}`;

/** What is at a path below a group, cluster-wide or in one namespace; an empty shelf for what is not there. */
export function crowd(size: Size) {
  const namespaces = [...new Set(Array.from({ length: size.releases }, (_, at) => whereIs(at)))];
  const elsewhere = Math.floor((size.pods - size.crowded) / Math.max(1, namespaces.length - 1));
  const releasesIn = (namespace: string | undefined) =>
    Array.from({ length: size.releases }, (_, at) => at).filter(
      (at) => namespace === undefined || whereIs(at) === namespace,
    );
  const pods = (namespace: string | undefined): Shelf => {
    const of = releasesIn(namespace);
    const count = namespace === undefined ? size.pods : namespace === whereIs(0) ? size.crowded : elsewhere;
    // Looked for in the whole cluster are gated pods alone, and there are none.
    const owner = (at: number) => of[at % 16 < of.length ? at % 16 : 0]!;
    return {
      kind: 'Pod',
      apiVersion: 'v1',
      count: of.length === 0 || namespace === undefined ? 0 : count,
      labels: (at) => podLabels(owner(at), at),
      text: (at) => podText(owner(at), at),
    };
  };
  return {
    namespaces,
    pods,
    workloads: (kind: string, namespace?: string) =>
      workloads(kind, releasesIn(namespace), namespace === undefined ? size.foreign : 0),
  };
}

function whereIs(release: number): string {
  return placeOf(release < sharing ? 0 : release).namespace;
}

function workloads(kind: string, releases: number[], foreign: number): Shelf {
  const names = (Object.keys(components) as (keyof typeof components)[]).filter((name) => components[name] === kind);
  const own = releases.length * names.length;
  const stored = (at: number) => {
    const release = releases[Math.floor(at / names.length)]!;
    const workload = storedWorkload(release, names[at % names.length]!);
    const uid = `${workload.metadata.uid}-${at % names.length}-${kind}`;
    return { ...workload, metadata: { ...workload.metadata, uid, namespace: whereIs(release) } };
  };
  return {
    kind,
    apiVersion: 'apps/v1',
    count: own + (kind === 'Deployment' ? foreign : 0),
    labels: (at) => (at < own ? (stored(at).metadata.labels ?? {}) : { app: 'shop' }),
    text: (at) => (at < own ? filled(stored(at), 6000) : foreignText(at - own)),
  };
}

/** A Deployment that is none of Airflow's, in its `change`th form. */
export function foreignText(at: number, change = 0): string {
  const name = `shop-${at}`;
  const metadata = { name, namespace: `shop-${at % 100}`, uid: `foreign-${at}`, labels: { app: 'shop' } };
  const template = { metadata: { labels: { app: 'shop' } }, spec: { containers: [{ name, image: 'shop:1' }] } };
  const status = { observedGeneration: change, replicas: 1, readyReplicas: change % 2 };
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas: 1, template }, status };
  return filled({ ...object, metadata: { ...metadata, resourceVersion: String(1000 + change) } }, foreignBytes);
}

/** One in ten has ended well and one in ten badly; the others are tasks that run. */
function podLabels(release: number, at: number): Record<string, string> {
  const task = {
    dag_id: `dag_${at % 50}`,
    task_id: `task_${at}`,
    run_id: `scheduled__2026-11-21T${at}`,
    try_number: '1',
  };
  return {
    tier: 'airflow',
    component: 'worker',
    release: placeOf(release).release,
    kubernetes_executor: 'True',
    ...task,
  };
}

function podText(release: number, at: number): string {
  const labels = podLabels(release, at);
  const name = `${labels.release}-dag-${at % 50}-task-${at}-${'x'.repeat(8)}`;
  const phase = at % 10 === 0 ? 'Succeeded' : at % 10 === 1 ? 'Failed' : 'Running';
  const state =
    phase === 'Running' ? { running: { startedAt: '2026-11-21T12:00:00Z' } } : { terminated: { exitCode: 0 } };
  const metadata = {
    name,
    namespace: whereIs(release),
    uid: `pod-${release}-${at}`,
    resourceVersion: '1000',
    labels,
    creationTimestamp: '2026-11-21T12:00:00Z',
  };
  const env = [
    { name: 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', valueFrom: { secretKeyRef: { name: 'none', key: 'connection' } } },
  ];
  const spec = {
    containers: [{ name: 'base', image, env }],
    nodeName: `node-${at % 100}`,
    serviceAccountName: 'worker',
  };
  const status = {
    phase,
    podIP: '10.0.0.1',
    containerStatuses: [{ name: 'base', image, imageID: digest, ready: phase === 'Running', state }],
  };
  return filled({ metadata, spec, status }, podBytes);
}

/** As much again as makes it so many bytes, of what every stored object carries: who wrote which field. */
function filled(object: { metadata: object; [other: string]: unknown }, bytes: number): string {
  const text = JSON.stringify({ ...object, metadata: { ...object.metadata, managedFields: ['@'] } });
  return text.replace('["@"]', managedFields(bytes - text.length));
}

const kept = new Map<number, string>();

function managedFields(bytes: number): string {
  const rounded = Math.max(0, Math.round(bytes / 100));
  const fields = Object.fromEntries(
    Array.from({ length: rounded * 2 }, (_, at) => [`k:{"name":"FIELD_${at}"}`, { '.': {}, 'f:name': {} }]),
  );
  const text = kept.get(rounded) ?? JSON.stringify([{ manager: 'kube', operation: 'Update', fieldsV1: fields }]);
  kept.set(rounded, text);
  return text;
}
