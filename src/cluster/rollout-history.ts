/** The pod templates that ran before a change was held: Kubernetes' own history, which a held workload does not add to. */
import { isHistoryOf, numberOf, type Revision, templateBefore, templateIn } from '../release/kubernetes/history.ts';
import { label, nameOf, type PodTemplate, type WorkloadObject } from '../release/model/kubernetes.ts';
import type { Client } from './client/client.ts';
import { list } from './client/lists.ts';
import { apps, byUs, jsonPatch, workloadPath } from './client/paths.ts';

/**
 * Every template that a namespace's Deployments and StatefulSets have had and Kubernetes still keeps: kind/name of the
 * workload and its uid, the number, when it was made, its images. Throws ApiError when the API server refuses.
 */
export async function rolloutsOf(client: Client, namespace: string) {
  return await historyOf(client, namespace, (revision) => {
    const { metadata } = revision;
    const owner = metadata.ownerReferences?.find((o) => o.controller && ['Deployment', 'StatefulSet'].includes(o.kind));
    const template = templateIn(revision);
    if (!owner || !template || !metadata.creationTimestamp) return undefined;
    return {
      workload: nameOf(owner),
      owner: owner.uid,
      revision: numberOf(revision),
      createdAt: metadata.creationTimestamp,
      images: template.spec.containers.flatMap(({ image }) => image ?? []),
      hash: metadata.labels?.['pod-template-hash'] ?? metadata.name,
      containers: Object.fromEntries(template.spec.containers.map(({ name, image = '' }) => [name, image])),
    };
  });
}

/** What `cut` leaves of the namespace's ReplicaSets and ControllerRevisions. */
async function historyOf<Kept>(
  client: Client,
  namespace: string,
  cut: (revision: Revision) => Kept | undefined,
): Promise<Kept[]> {
  const lists = ['replicasets', 'controllerrevisions'].map((kind) => list(client, apps(namespace, kind), cut));
  return (await Promise.all(lists)).flat();
}

/** Those of the history that are of one of these workloads, each with whose it is. */
async function ofWorkloads<Kept>(
  client: Client,
  namespace: string,
  workloads: readonly WorkloadObject[],
  cut: (revision: Revision) => Kept,
): Promise<{ of: WorkloadObject; kept: Kept }[]> {
  const byUid = new Map(workloads.map((workload) => [workload.metadata.uid, workload]));
  return await historyOf(client, namespace, (revision) => {
    const of = byUid.get(revision.metadata.ownerReferences?.find((o) => o.controller)?.uid);
    return of && isHistoryOf(of, revision) ? { of, kept: cut(revision) } : undefined;
  });
}

function named({ kind, metadata }: WorkloadObject): string {
  return nameOf({ kind: kind!, name: metadata.name });
}

/**
 * The images of every template that Kubernetes still keeps of these workloads, by kind/name as kubectl writes it. Throws
 * ApiError when the API server refuses.
 */
export async function ranBefore(
  client: Client,
  namespace: string,
  workloads: readonly WorkloadObject[],
): Promise<Record<string, string[]>> {
  const history = await ofWorkloads(client, namespace, workloads, imagesIn);
  const of = (workload: WorkloadObject) => history.filter((one) => one.of === workload).flatMap(({ kept }) => kept);
  return Object.fromEntries(workloads.map((workload) => [named(workload), [...new Set(of(workload))]]));
}

/** More templates than Kubernetes keeps of one workload by default, ten times over. */
const mostTemplates = 100;

/** The same of one workload, in one bounded look; by the labels that its pods are selected by. */
export async function imagesBefore(client: Client, workload: WorkloadObject): Promise<string[]> {
  const { kind, metadata, spec } = workload;
  const labels = spec.template.metadata?.labels ?? {};
  const selecting = ['tier', 'app', 'release', 'component', label.release].filter((name) => labels[name] !== undefined);
  const labelSelector = selecting.map((name) => `${name}=${labels[name]}`).join(',');
  const path = apps(metadata.namespace ?? 'default', kind === 'Deployment' ? 'replicasets' : 'controllerrevisions');
  const query = { labelSelector, limit: mostTemplates };
  const { items } = await client.request<{ items: Revision[] | null }>('GET', path, { query });
  return (items ?? []).flatMap((one) => (isHistoryOf(workload, one) ? imagesIn(one) : []));
}

function imagesIn(revision: Revision): string[] {
  return templateIn(revision)?.spec.containers.flatMap(({ image }) => image ?? []) ?? [];
}

/**
 * The templates before the hold, by kind/name as kubectl writes it; one whose history is gone is missing. `known`: images
 * that ran in the release. Throws ApiError when the API server refuses.
 */
export async function templatesBefore(
  client: Client,
  namespace: string,
  workloads: readonly WorkloadObject[],
  known: readonly string[],
): Promise<Record<string, PodTemplate>> {
  const history = await ofWorkloads(client, namespace, workloads, (revision) => revision);
  const found = workloads.map((workload) => {
    const own = history.filter((one) => one.of === workload).map(({ kept }) => kept);
    return [named(workload), templateBefore(workload, own, known)] as const;
  });
  return Object.fromEntries(found.flatMap(([name, template]) => (template ? [[name, template]] : [])));
}

/** Replaces the whole pod template; throws ApiError when the workload has changed since it was read. */
export async function restoreTemplate(
  client: Client,
  { kind, metadata }: WorkloadObject,
  template: PodTemplate,
): Promise<void> {
  const body = [
    { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
    { op: 'replace', path: '/spec/template', value: template },
  ];
  const path = workloadPath(kind, metadata.namespace ?? 'default', metadata.name);
  await client.request('PATCH', path, { body, contentType: jsonPatch, query: byUs });
}
