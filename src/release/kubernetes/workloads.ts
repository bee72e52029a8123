/** Kubernetes objects → our words. Pure: the same reading serves the webhook (from a review) and the controller (from a list). */
import { hash } from 'node:crypto';
import { databaseContainers, type Recognized, recognize } from '../airflow/charts.ts';
import { annotation, type ContainerSpec, type WorkloadObject } from '../model/kubernetes.ts';
import type { Workload } from '../model/workload.ts';
import { holdOf, isStopped } from './hold.ts';
import { imageOf } from './pods.ts';

/** Reads a Deployment or StatefulSet; undefined when it is no workload of Airflow that uses the database. */
export function readWorkload(object: WorkloadObject): Workload | undefined {
  const { metadata, spec } = object;
  const recognized = recognizedIn(object);
  if (!recognized) return undefined;
  const kind = object.kind as Workload['kind'];
  const declaredVersion =
    metadata.annotations?.[annotation.version] ?? spec.template.metadata?.annotations?.[annotation.version];
  const hold = holdOf(object);
  const containers = databaseContainers(spec.template.spec, recognized.container);
  return {
    kind,
    namespace: metadata.namespace ?? 'default',
    name: metadata.name,
    release: recognized.release,
    component: recognized.component,
    profile: recognized.profile,
    container: recognized.container,
    image: imageOf(spec.template.spec.containers, recognized.container),
    images: [...new Set(containers.map((c) => c.image ?? ''))],
    connection: connectionFingerprint(containers[0]),
    ...(declaredVersion === undefined ? {} : { declaredVersion }),
    replicas: spec.replicas ?? 1,
    ...(hold ? { hold } : {}),
    stopped: isStopped(kind, object),
    settled: isSettled(kind, object),
    object,
  };
}

/**
 * What the pods are labelled counts more: a person can take a label off the workload, not off what its selector needs. Only
 * pods are a Job's: what a workload says of its owners makes it none.
 */
function recognizedIn({ kind, metadata, spec }: WorkloadObject): Recognized | undefined {
  if (kind !== 'Deployment' && kind !== 'StatefulSet') return undefined;
  const pods = spec?.template?.metadata;
  const annotations = laidOver(pods?.annotations, metadata.annotations);
  const labels = laidOver(metadata.labels, pods?.labels);
  const recognized = recognize({ labels, annotations, ownerReferences: [] }, spec?.template?.spec);
  return recognized?.job ? undefined : recognized;
}

type Texts = Record<string, string>;

function laidOver(under: Texts | undefined, over: Texts | undefined): Texts {
  return under && over ? { ...under, ...over } : (over ?? under ?? {});
}

/** Name of a workload's main container; undefined when it is none of Airflow's. */
export function mainContainerIn(object: WorkloadObject): string | undefined {
  return recognizedIn(object)?.container;
}

/** Prefixes of variables that say which database it is; DATABASE_ is the community chart's. The webhook's condition has the same. */
const connectionVariables = [
  'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN',
  'AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA',
  'AIRFLOW__CORE__SQL_ALCHEMY_CONN',
  'AIRFLOW__CORE__SQL_ALCHEMY_SCHEMA',
  'DATABASE_',
];

/** Tells whether two specs name the same database the same way, without keeping what they say: a plain value may hold a password. */
export function connectionFingerprint(container: ContainerSpec | undefined): string {
  const all = container?.env ?? [];
  const counted = all.filter((e) => connectionVariables.some((prefix) => e.name?.startsWith(prefix)));
  // Made of other variables: any of them may be one of those.
  const env = counted.some((e) => e.value?.includes('$')) ? all : counted;
  return hash('sha256', JSON.stringify([env, container?.envFrom ?? []]), 'hex').slice(0, 12);
}

/** All replicas are of the desired template and Ready, and the controller has seen the newest change. */
function isSettled(kind: string, { metadata, spec, status }: WorkloadObject): boolean {
  const wanted = spec.replicas ?? 1;
  if (!status || (status.observedGeneration ?? 0) < (metadata.generation ?? 0)) return false;
  const total = status.replicas ?? 0;
  const ready = status.readyReplicas ?? 0;
  const held = holdOf({ metadata, spec }) !== undefined;
  // What its owner keeps back is where it is to be: nothing rolls out, or only what is above the partition.
  if (kind === 'Deployment' && spec.paused === true && !held) return total === ready;
  const strategy = kind === 'StatefulSet' ? spec.updateStrategy : undefined;
  // A StatefulSet with OnDelete does not count updated pods the same way; Ready is all that can be said.
  const uncounted = strategy?.type === 'OnDelete';
  const kept = held ? 0 : (strategy?.rollingUpdate?.partition ?? 0);
  const current = uncounted || (status.updatedReplicas ?? 0) >= wanted - kept;
  return current && total === wanted && ready >= wanted;
}
