/**
 * Kubernetes' own history of a workload: the ReplicaSets and ControllerRevisions that its controller made. Who may create
 * such objects can make more of them, so what is in the history counts only as far as it can be told that it ran:
 *
 *   of the workload    its uid is that of the controlling owner, and the labels are those that its controller gives
 *   before the hold    a held Deployment makes no ReplicaSet, and what a held StatefulSet makes is the new template
 *   by its number      the Deployment knows the highest that it has given; a number above that is somebody else's
 *   by its image       what is put back has an image that hold and record know; other templates of that image may be forged
 *
 * Whoever can forge all of that may run that very template as pods there anyway. Pure.
 */
import { same } from '../model/json.ts';
import type { Metadata, PodTemplate, WorkloadObject } from '../model/kubernetes.ts';
import { holdOf } from './hold.ts';
import { type LabelSelector, matches } from './selector.ts';

/** A ReplicaSet, or a ControllerRevision. */
export interface Revision {
  metadata: Metadata;
  /** Of a ReplicaSet. */
  spec?: { template?: PodTemplate; selector?: LabelSelector };
  /** Of a ControllerRevision: the part of the StatefulSet that it keeps. */
  data?: { spec?: { template?: PodTemplate } };
  revision?: number;
}

/** A Deployment's ReplicaSets, their templates and their pods carry it; the Deployment does not. */
const hashLabel = 'pod-template-hash';

const revisionAnnotation = 'deployment.kubernetes.io/revision';

/** The webhook's clock writes the hold, the API server's the revision. */
const clocksDifferMs = 30_000;

/** The template that a revision keeps; undefined where it keeps none. */
export function templateIn({ spec, data }: Revision): PodTemplate | undefined {
  const template = spec?.template ?? data?.spec?.template;
  return Array.isArray(template?.spec?.containers) ? template : undefined;
}

/** The number that Kubernetes gives it. */
export function numberOf({ revision, metadata }: Pick<Revision, 'revision' | 'metadata'>): number {
  return revision ?? Number(metadata.annotations?.[revisionAnnotation] ?? 0);
}

/** Whether a revision is what this workload's controller made before the hold, if there is one. */
export function isHistoryOf(workload: WorkloadObject, revision: Revision): boolean {
  if (isAskedFor(workload, revision)) return false;
  return isOwned(workload, revision) && isLabelled(workload, revision) && isFromBefore(workload, revision);
}

/** Of a StatefulSet that is held the controller makes the revision of the new template at once. */
function isAskedFor({ kind, status }: WorkloadObject, { metadata: { name } }: Revision): boolean {
  const { currentRevision, updateRevision } = status ?? {};
  return kind === 'StatefulSet' && name === updateRevision && updateRevision !== currentRevision;
}

function isOwned({ kind, metadata: { uid } }: WorkloadObject, { metadata }: Revision): boolean {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  return uid !== undefined && owner?.uid === uid && owner.kind === kind;
}

function isLabelled({ kind, spec }: WorkloadObject, revision: Revision): boolean {
  const labels = templateIn(revision)?.metadata?.labels ?? {};
  if (!matches(spec.selector as LabelSelector | undefined, labels)) return false;
  if (kind !== 'Deployment') return true;
  const hash = revision.metadata.labels?.[hashLabel];
  return hash !== undefined && labels[hashLabel] === hash && revision.spec?.selector?.matchLabels?.[hashLabel] === hash;
}

/** A hold that nobody can read says nothing of when it began. */
function isFromBefore(workload: WorkloadObject, { metadata: { creationTimestamp = '' } }: Revision): boolean {
  const hold = holdOf(workload);
  const since = hold?.from ? Date.parse(hold.since) : Number.NaN;
  return !(Date.parse(creationTimestamp) > since + clocksDifferMs);
}

/**
 * The template that a held workload had before; undefined when its history is gone. `known`: images that ran in the release,
 * as holds and record say; with none of them any counts.
 */
export function templateBefore(
  workload: WorkloadObject,
  revisions: readonly Revision[],
  known: readonly string[],
): PodTemplate | undefined {
  const own = revisions.filter((revision) => isHistoryOf(workload, revision));
  const from = holdOf(workload)?.from;
  const images = from ? [from] : known;
  const isKnown = ({ spec }: PodTemplate) =>
    images.length === 0 || spec.containers.some(({ image }) => images.includes(image ?? ''));
  return (workload.kind === 'Deployment' ? newest(workload, own) : current(workload, own)).find(isKnown);
}

/**
 * A paused Deployment makes no ReplicaSet. But one that it had before with the very template that is asked for now gets the
 * highest number all the same: it is passed over.
 */
function newest({ metadata, spec }: WorkloadObject, own: readonly Revision[]): PodTemplate[] {
  const wanted = templateOnly(spec.template);
  const given = Number(metadata.annotations?.[revisionAnnotation] ?? Number.POSITIVE_INFINITY);
  return own
    .filter((one) => !(numberOf(one) > given))
    .sort((a, b) => numberOf(b) - numberOf(a))
    .flatMap((one) => templateOnly(templateIn(one)!))
    .filter((template) => !same(template, wanted));
}

function templateOnly(template: PodTemplate): PodTemplate {
  const labels = Object.entries(template.metadata?.labels ?? {}).filter(([name]) => name !== hashLabel);
  return { ...template, metadata: { ...template.metadata, labels: Object.fromEntries(labels) } };
}

/** What the StatefulSet's pods are made from while a partition keeps the new revision off, by its own word. */
function current({ status }: WorkloadObject, own: readonly Revision[]): PodTemplate[] {
  return own.flatMap((one) => (one.metadata.name === status?.currentRevision ? (templateIn(one) ?? []) : []));
}
