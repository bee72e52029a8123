/**
 * Pods → our words, and which images they run: a tag can be pushed anew, and the digests that kubelet reports tell whether
 * it still is what was asked.
 */
import { databaseContainers, recognize } from '../airflow/charts.ts';
import { digestIn } from '../airflow/images.ts';
import type { ImageKnowledge } from '../model/image.ts';
import { gateName, label, type PodObject } from '../model/kubernetes.ts';
import type { Pod } from '../model/workload.ts';
import { mainContainerOf, mainStatusOf } from './main-container.ts';

/** sha256:… of an image ID or reference; undefined where there is none (a locally built image's ID is no manifest digest). */
export function digestOf(imageID: string | undefined): string | undefined {
  return /@(sha256:[0-9a-f]{64})$/.exec(imageID ?? '')?.[1];
}

/** Image reference → digest, as the pods' own containers report it. The newest pod wins. */
export function runningDigests(pods: readonly Pod[]): Map<string, string> {
  const digests = new Map<string, string>();
  const made = (p: Pod) => p.object.metadata.creationTimestamp ?? '';
  for (const { object, role, ended, image: asked } of [...pods].sort((a, b) => made(a).localeCompare(made(b)))) {
    if (role !== 'airflow' || ended) continue;
    const container = mainContainerOf(object);
    const statuses = [...(object.status?.initContainerStatuses ?? []), ...(object.status?.containerStatuses ?? [])];
    for (const { name, image = '' } of databaseContainers(object.spec, container)) {
      const digest = digestOf(statuses.find((s) => s.name === name)?.imageID);
      // Under the name that was asked for, which a mirror may have changed in the pod.
      if (digest) digests.set(name === container ? asked : image, digest);
    }
  }
  return digests;
}

/**
 * What was learned of the image that a name means: the one of its own digest, else of the digest that the name is known to
 * have now. A name alone proves nothing, since it can be pushed anew.
 */
export function learnedOf(
  image: string,
  learned: readonly ImageKnowledge[],
  digest: string | undefined,
): ImageKnowledge | undefined {
  const wanted = digestIn(image) ?? digest;
  const same = wanted === undefined ? undefined : learned.find((other) => digestOf(other.imageID) === wanted);
  return same && { ...same, image };
}

/** Whether anything was learned by this name, so that it is worth asking which image the name has now. */
export function isLearned(image: string, learned: readonly ImageKnowledge[]): boolean {
  return learned.some((one) => one.image === image);
}

/** True when what was asked is certainly another image than the one that runs under its name. */
export function isMoved(told: ImageKnowledge | undefined, digest: string | undefined): boolean {
  const asked = digestOf(told?.imageID);
  return asked !== undefined && digest !== undefined && asked !== digest;
}

/** The image of the container of that name; "" where there is none. */
export function imageOf(containers: readonly { name: string; image?: string }[] | undefined, name: string): string {
  return containers?.find((c) => c.name === name)?.image ?? '';
}

/**
 * Reads a pod. `replicaSetOwners` maps a ReplicaSet to its Deployment. `container` names the main container where the
 * pod's labels do not tell it.
 */
export function readPod(object: PodObject, replicaSetOwners: Readonly<Record<string, string>>): Pod {
  const { metadata, spec, status } = object;
  const recognized = recognize(metadata, spec);
  const owner = metadata.ownerReferences?.find((o) => o.controller) ?? metadata.ownerReferences?.[0];
  const deployment = owner?.kind === 'ReplicaSet' ? replicaSetOwners[owner.name] : undefined;
  const role = metadata.labels?.[label.role];
  return {
    name: metadata.name,
    uid: metadata.uid ?? '',
    owner: deployment
      ? { kind: 'Deployment', name: deployment }
      : owner && { kind: owner.kind, name: owner.name, uid: owner.uid },
    component: recognized?.component ?? metadata.labels?.component ?? '',
    image: imageOf(spec.containers, mainContainerOf(object)),
    gated: (spec.schedulingGates ?? []).some((g) => g.name === gateName),
    terminating: metadata.deletionTimestamp !== undefined,
    ended: status?.phase === 'Succeeded' || status?.phase === 'Failed' || isOver(object),
    role: role === 'runner' || role === 'probe' ? role : 'airflow',
    object,
  };
}

/** Its main container has ended, for good: what others have put beside it (a mesh's proxy) may go on and means nothing. */
function isOver(object: PodObject): boolean {
  const { labels = {} } = object.metadata;
  // The second one nobody else may set (manifests/pods.yaml).
  const ours = labels['app.kubernetes.io/managed-by'] === 'downdraft' && labels[label.role] !== undefined;
  return ours && mainStatusOf(object)?.state?.terminated !== undefined;
}

/** The release that a pod belongs to; undefined for pods that are none of Airflow's. */
export function releaseOfPod(object: PodObject): string | undefined {
  const { labels } = object.metadata;
  if (labels?.[label.role]) return labels[label.release] ?? labels.release;
  return recognize(object.metadata, object.spec)?.release;
}
