/**
 * The image that a pod was asked to run: as the template says that it was made from. A mirror's webhook may have put
 * another name in the pod, by which nobody knows it. Pure.
 */
import { nameOf } from '../model/kubernetes.ts';
import type { Run } from '../model/run.ts';
import type { Pod, Workload } from '../model/workload.ts';
import { mainContainerOf } from './main-container.ts';

/** A template of a workload's history, with the hash that its pods carry as a label. */
export interface StoredTemplate {
  /** kind/name, as kubectl writes it. */
  workload: string;
  hash?: string;
  createdAt?: string;
  /** Container → image. */
  containers?: Readonly<Record<string, string>>;
}

/** Whether a pod of a workload runs an image that neither the workloads nor the run name: only then the history is asked. */
export function isRewritten(pods: readonly Pod[], workloads: readonly Workload[], run: Run | undefined): boolean {
  if (!run && workloads.every((w) => !w.hold)) return false;
  const named = new Set([run?.to, run?.status.from?.image, ...workloads.flatMap((w) => [...w.images, w.hold?.from])]);
  return pods.some((p) => p.role === 'airflow' && hashOf(p) !== undefined && !named.has(p.image));
}

/** The same pods, by the images of their templates where these are known. */
export function withAskedImages(pods: readonly Pod[], templates: readonly StoredTemplate[]): Pod[] {
  // Of two with one hash the first made is the workload's: a hash can be copied once it is there.
  const latestFirst = [...templates].sort((a, b) => (b.createdAt ?? '').localeCompare(a.createdAt ?? ''));
  const byHash = new Map(latestFirst.map((one) => [`${one.workload} ${one.hash}`, one.containers]));
  return pods.map((pod) => {
    const hash = hashOf(pod);
    if (pod.role !== 'airflow' || hash === undefined) return pod;
    const containers = byHash.get(`${nameOf(pod.owner!)} ${hash}`) ?? {};
    const main = mainContainerOf(pod.object);
    return Object.hasOwn(containers, main) ? { ...pod, image: containers[main]! } : pod;
  });
}

const labels: Record<string, string> = { Deployment: 'pod-template-hash', StatefulSet: 'controller-revision-hash' };

function hashOf({ owner, object }: Pod): string | undefined {
  const name = owner && labels[owner.kind];
  return name === undefined ? undefined : object.metadata.labels?.[name];
}
