/**
 * The workload controllers of a world in memory: what the Deployment, ReplicaSet and StatefulSet controllers of
 * Kubernetes do with pods, one step at a time (k8s.io/kubernetes pkg/controller/{deployment,statefulset}).
 */
import { createHash } from 'node:crypto';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';

type Template = WorkloadObject['spec']['template'];

export interface Rollouts {
  /** The next step for one workload. */
  roll(workload: WorkloadObject): void;
  /** The template that Kubernetes' own history has for it: of the last rollout that ended. */
  finished(workload: WorkloadObject): Template | undefined;
  /** The images of main containers that its history has. */
  imagesOf(workload: WorkloadObject): string[];
  /** Deletes the pods whose owner is gone, as the garbage collector does. */
  collect(workloads: readonly WorkloadObject[]): void;
}

/** Name of the owner of a workload's pods; one ReplicaSet stands for all of a Deployment. */
export function ownerName({ kind, metadata }: WorkloadObject): string {
  return kind === 'Deployment' ? `${metadata.name}-rs` : metadata.name;
}

export function hashOf(template: Template): string {
  return createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
}

const revisionLabel = { Deployment: 'pod-template-hash', StatefulSet: 'controller-revision-hash' } as const;

/** `create` stores a pod (its admission gates it, if it must); `pods` are those of the world. */
export function makeRollouts(pods: () => PodObject[], create: (pod: PodObject) => void): Rollouts {
  /** The template of the last finished rollout, by the workload's uid. */
  const finished = new Map<string, Template>();
  const key = ({ kind, metadata }: WorkloadObject) => `${kind} ${metadata.namespace} ${metadata.name} ${metadata.uid}`;
  let serial = 0;

  const podsOf = (w: WorkloadObject) =>
    pods().filter(
      (p) => p.metadata.namespace === w.metadata.namespace && p.metadata.ownerReferences?.[0]?.name === ownerName(w),
    );

  const make = (w: WorkloadObject, template: Template, name: string) => {
    const kind = w.kind as 'Deployment' | 'StatefulSet';
    const owner = { kind: kind === 'Deployment' ? 'ReplicaSet' : kind, name: ownerName(w), uid: `uid-${ownerName(w)}` };
    create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace: w.metadata.namespace!,
        labels: { ...template.metadata?.labels, [revisionLabel[kind]]: hashOf(template) },
        ...(template.metadata?.annotations ? { annotations: { ...template.metadata.annotations } } : {}),
        ownerReferences: [{ ...owner, controller: true }],
      },
      spec: structuredClone(template.spec),
      status: { phase: 'Pending' },
    });
  };
  const end = (pod: PodObject) => {
    pod.metadata.deletionTimestamp = 'now';
  };
  const standingOf = (w: WorkloadObject) => podsOf(w).filter((p) => !p.metadata.deletionTimestamp);

  /** The old ReplicaSet keeps its pods; a paused Deployment that never rolled out has no ReplicaSet at all. */
  const keepPaused = (w: WorkloadObject, standing: PodObject[], name: string) => {
    const before = finished.get(key(w));
    if (before && standing.length < (w.spec.replicas ?? 1)) make(w, before, name);
  };
  const replaceOld = (w: WorkloadObject, fresh: PodObject[], old: PodObject[], name: string) => {
    const { template, replicas = 1 } = w.spec;
    if (recreates(w) && old.length > 0) old.forEach(end);
    else if (fresh.length < replicas) make(w, template, name);
    else if (fresh.every(isReady)) old.forEach(end);
    if (fresh.length === replicas && old.length === 0) finished.set(key(w), template);
  };
  const rollDeployment = (w: WorkloadObject) => {
    const standing = standingOf(w);
    const isFresh = freshIn(w);
    const [fresh, old] = [standing.filter(isFresh), standing.filter((p) => !isFresh(p))];
    const name = `${w.metadata.name}-${serial++}`;
    if (w.spec.paused) keepPaused(w, standing, name);
    else replaceOld(w, fresh, old, name);
    return { standing, updated: fresh.length };
  };

  /** OrderedReady: one pod after the other, and a pod that is not Ready is waited for, for ever. True when all are. */
  const fillInOrder = (w: WorkloadObject, before: Template): boolean => {
    const { template, replicas = 1 } = w.spec;
    const { partition } = updateOf(w);
    for (let ordinal = 0; ordinal < replicas; ordinal++) {
      const name = `${w.metadata.name}-${ordinal}`;
      const pod = podsOf(w).find((p) => p.metadata.name === name);
      if (!pod) make(w, ordinal < partition ? before : template, name);
      if (!pod || pod.metadata.deletionTimestamp || !isReady(pod)) return false;
    }
    return true;
  };
  /** The outdated pod with the highest ordinal ends; with no outdated pod left, the rollout has ended. */
  const updateInOrder = (w: WorkloadObject) => {
    const { rolling, partition } = updateOf(w);
    if (!rolling) return;
    const isFresh = freshIn(w);
    const outdated = podsOf(w).filter((p) => !isFresh(p) && ordinalOf(p) >= partition);
    if (outdated.length > 0) end(outdated.at(-1)!);
    else if (podsOf(w).every(isFresh)) finished.set(key(w), w.spec.template);
  };
  const rollStatefulSet = (w: WorkloadObject) => {
    if (!finished.has(key(w))) finished.set(key(w), w.spec.template);
    if (fillInOrder(w, finished.get(key(w))!)) updateInOrder(w);
    const standing = standingOf(w);
    return { standing, updated: standing.filter(freshIn(w)).length };
  };

  const roll = (w: WorkloadObject) => {
    const { standing, updated } = w.kind === 'Deployment' ? rollDeployment(w) : rollStatefulSet(w);
    w.status = {
      observedGeneration: w.metadata.generation!,
      replicas: standing.length,
      updatedReplicas: updated,
      readyReplicas: standing.filter(isReady).length,
      ...(w.kind === 'StatefulSet'
        ? { updateRevision: hashOf(w.spec.template), currentRevision: hashOf(finished.get(key(w))!) }
        : {}),
    };
  };

  const collect = (workloads: readonly WorkloadObject[]) => {
    const owners = new Map(workloads.map((w) => [`${w.metadata.namespace}/${ownerName(w)}`, w]));
    for (const pod of pods()) {
      const [owner] = pod.metadata.ownerReferences ?? [];
      if (!owner || !['ReplicaSet', 'StatefulSet'].includes(owner.kind)) continue;
      const workload = owners.get(`${pod.metadata.namespace}/${owner.name}`);
      // A pod that its selector no longer matches is let go by its owner.
      if (workload && !isSelected(pod, workload)) pod.metadata.ownerReferences = [];
      if (!workload) end(pod);
    }
  };
  const imagesOf = (w: WorkloadObject) => {
    const templates = [finished.get(key(w))?.spec, ...podsOf(w).map((p) => p.spec)];
    return templates.flatMap((spec) => spec?.containers.flatMap(({ image }) => image ?? []) ?? []);
  };
  return { roll, collect, imagesOf, finished: (w) => finished.get(key(w)) };
}

function isReady(pod: PodObject): boolean {
  return pod.status?.phase === 'Running';
}

/** Whether a pod is of the workload's template as it is now. */
function freshIn({ kind, spec }: WorkloadObject): (pod: PodObject) => boolean {
  const name = revisionLabel[kind === 'Deployment' ? kind : 'StatefulSet'];
  return (pod) => pod.metadata.labels?.[name] === hashOf(spec.template);
}

function recreates({ spec }: WorkloadObject): boolean {
  return (spec.strategy as { type?: string } | undefined)?.type === 'Recreate';
}

/** Whether a StatefulSet takes its pods to a new template by itself, and from which ordinal on. */
function updateOf({ spec: { updateStrategy } }: WorkloadObject): { rolling: boolean; partition: number } {
  const rolling = updateStrategy?.type !== 'OnDelete';
  return { rolling, partition: rolling ? (updateStrategy?.rollingUpdate?.partition ?? 0) : 0 };
}

function isSelected(pod: PodObject, workload: WorkloadObject): boolean {
  const { matchLabels } = workload.spec.selector as { matchLabels: Record<string, string> };
  return Object.entries(matchLabels).every(([name, value]) => pod.metadata.labels?.[name] === value);
}

function ordinalOf(pod: PodObject): number {
  return Number(pod.metadata.name.slice(pod.metadata.name.lastIndexOf('-') + 1));
}
