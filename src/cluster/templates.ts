/** The pod templates that ran before a change was held: Kubernetes' own history, which a held workload does not add to. */
import { holdOf } from '../release/hold.ts';
import type { Metadata, PodTemplate, WorkloadObject } from '../release/objects.ts';
import { label } from '../release/profiles.ts';
import { same } from '../release/same.ts';
import type { Client } from './client.ts';
import { list } from './lists.ts';
import { apps, byUs, jsonPatch, workloadPath } from './paths.ts';

interface Revision {
  metadata: Metadata;
  /** Of a ReplicaSet. */
  spec?: { template: PodTemplate };
  /** Of a ControllerRevision: the part of the StatefulSet that it keeps. */
  data?: { spec: { template: PodTemplate } };
  revision?: number;
}

/**
 * Every template that a namespace's Deployments and StatefulSets have had and Kubernetes still keeps: kind/name of the
 * workload, its number, when it was made, its images. Throws ApiError when the API server refuses.
 */
export async function rolloutsOf(client: Client, namespace: string) {
  const [sets, revisions] = await historyOf(client, namespace, ({ metadata, spec, data, revision }) => {
    const owner = metadata.ownerReferences?.find((o) => o.controller && ['Deployment', 'StatefulSet'].includes(o.kind));
    const template = spec?.template ?? data?.spec?.template;
    if (!owner || !template || !metadata.creationTimestamp) return undefined;
    return {
      workload: `${owner.kind.toLowerCase()}/${owner.name}`,
      revision: revision ?? Number(metadata.annotations?.[revisionAnnotation] ?? 0),
      createdAt: metadata.creationTimestamp,
      images: template.spec.containers.flatMap(({ image }) => image ?? []),
      hash: metadata.labels?.['pod-template-hash'] ?? metadata.name,
      containers: Object.fromEntries(template.spec.containers.map(({ name, image = '' }) => [name, image])),
    };
  });
  return [...sets, ...revisions];
}

/** What `cut` leaves of the namespace's ReplicaSets and ControllerRevisions. */
async function historyOf<Kept>(
  client: Client,
  namespace: string,
  cut: (revision: Revision) => Kept | undefined,
): Promise<[Kept[], Kept[]]> {
  const lists = ['replicasets', 'controllerrevisions'].map((kind) => list(client, apps(namespace, kind), cut));
  const [sets = [], revisions = []] = await Promise.all(lists);
  return [sets, revisions];
}

/**
 * The images of every template that Kubernetes still keeps of these workloads, by kind/name as kubectl writes it; of its
 * very own, by uid. Throws ApiError when the API server refuses.
 */
export async function ranBefore(
  client: Client,
  namespace: string,
  workloads: readonly WorkloadObject[],
): Promise<Record<string, string[]>> {
  const history = (await historyOf(client, namespace, imagesIn)).flat();
  const of = (uid: string | undefined) => history.filter((one) => one.owner === uid).flatMap(({ images }) => images);
  return Object.fromEntries(
    workloads.map(({ kind, metadata: { name, uid } }) => [`${kind!.toLowerCase()}/${name}`, [...new Set(of(uid))]]),
  );
}

/** More templates than Kubernetes keeps of one workload by default, ten times over. */
const mostTemplates = 100;

/** The same of one workload, in one bounded look; by the labels that its pods are selected by. */
export async function imagesBefore(client: Client, workload: WorkloadObject): Promise<string[]> {
  const { kind, metadata, spec } = workload;
  const labels = spec.template.metadata?.labels ?? {};
  const named = ['tier', 'app', 'release', 'component', label.release].filter((name) => labels[name] !== undefined);
  const labelSelector = named.map((name) => `${name}=${labels[name]}`).join(',');
  const path = apps(metadata.namespace ?? 'default', kind === 'Deployment' ? 'replicasets' : 'controllerrevisions');
  const query = { labelSelector, limit: mostTemplates };
  const { items } = await client.request<{ items: Revision[] | null }>('GET', path, { query });
  return (items ?? [])
    .flatMap((one) => imagesIn(one) ?? [])
    .flatMap((one) => (one.owner === metadata.uid ? one.images : []));
}

/** The uid of what a revision belongs to, and its images. */
function imagesIn({ metadata, spec, data }: Revision): { owner: string; images: string[] } | undefined {
  const owner = metadata.ownerReferences?.find((o) => o.controller)?.uid;
  const template = spec?.template ?? data?.spec?.template;
  if (!owner || !template) return undefined;
  return { owner, images: template.spec.containers.flatMap(({ image }) => image ?? []) };
}

/** Labels and annotations of a ReplicaSet's template that its Deployment's does not have. */
const added = ['pod-template-hash'];
const revisionAnnotation = 'deployment.kubernetes.io/revision';

/**
 * The templates before the hold, by kind/name as kubectl writes it; one whose history is gone is missing. Throws ApiError
 * when the API server refuses.
 */
export async function templatesBefore(
  client: Client,
  namespace: string,
  workloads: readonly WorkloadObject[],
): Promise<Record<string, PodTemplate>> {
  const uids = new Set(workloads.map(({ metadata }) => metadata.uid));
  const isTheirs = ({ metadata }: Revision) => metadata.ownerReferences?.some((o) => o.controller && uids.has(o.uid));
  const [sets, revisions] = await historyOf(client, namespace, (revision) =>
    isTheirs(revision) ? revision : undefined,
  );
  const found = workloads.map((object) => {
    const own = (of: Revision) =>
      of.metadata.ownerReferences?.some((o) => o.controller && o.uid === object.metadata.uid);
    const template =
      object.kind === 'Deployment' ? newest(sets.filter(own), object) : current(revisions.filter(own), object);
    return [`${object.kind!.toLowerCase()}/${object.metadata.name}`, template] as const;
  });
  return Object.fromEntries(found.flatMap(([name, template]) => (template ? [[name, template]] : [])));
}

/**
 * A paused Deployment makes no ReplicaSet. But one that it had before with the very template that is asked for now gets the
 * highest number all the same: it is passed over. Of the others those with the image of before the hold count first.
 */
function newest(sets: Revision[], object: WorkloadObject): PodTemplate | undefined {
  const wanted = templateOnly(object.spec.template);
  const from = holdOf(object)?.from;
  const revision = ({ metadata }: Revision) => Number(metadata.annotations?.[revisionAnnotation] ?? 0);
  const templates = sets
    .sort((a, b) => revision(b) - revision(a))
    .flatMap(({ spec }) => (spec ? [templateOnly(spec.template)] : []))
    .filter((template) => !same(template, wanted));
  return templates.find(({ spec }) => from && spec.containers.some(({ image }) => image === from)) ?? templates[0];
}

function templateOnly(template: PodTemplate): PodTemplate {
  const labels = Object.entries(template.metadata?.labels ?? {}).filter(([name]) => !added.includes(name));
  return { ...template, metadata: { ...template.metadata, labels: Object.fromEntries(labels) } };
}

/** What the StatefulSet's pods are made from while a partition keeps the new revision off. */
function current(revisions: Revision[], { status }: WorkloadObject): PodTemplate | undefined {
  const name = status?.currentRevision;
  return revisions.find((r) => r.metadata.name === name)?.data?.spec.template;
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
