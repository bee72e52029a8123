/**
 * Hold and its inverse, side by side so that they cannot drift.
 *
 * A held workload keeps its old pods and starts no new ones: spec.paused for a Deployment, a rolling update's partition
 * above every ordinal for a StatefulSet; a scheduling gate in the pod template where neither stops a pod. No chart renders
 * any of these fields, so no deploy tool sees drift, and replicas are never touched.
 */
import { annotation, gateName, type WorkloadObject } from '../model/kubernetes.ts';
import type { Hold } from '../model/workload.ts';

/** Above every ordinal; the largest that the field takes. */
export const heldPartition = 2147483647;

/** The hold written on an object; undefined when there is none or it can't be read. */
export function holdOf(object: WorkloadObject): Hold | undefined {
  const text = object.metadata.annotations?.[annotation.hold];
  if (text === undefined) return undefined;
  try {
    const hold = JSON.parse(text) as Partial<Hold>;
    if (typeof hold?.since !== 'string' || typeof hold.before !== 'object' || hold.before === null)
      return unreadableHold;
    const connection = typeof hold.connection === 'string' ? { connection: hold.connection } : {};
    return { since: hold.since, by: hold.by ?? '', from: hold.from ?? '', ...connection, before: hold.before };
  } catch {
    return unreadableHold;
  }
}

/** An annotation that someone damaged still means held; what was there before is then taken for unset. */
const unreadableHold: Hold = { since: '1970-01-01T00:00:00Z', by: '', from: '', before: {} };

/** Whether the fields that stop new pods are set. */
export function isStopped(kind: string, object: WorkloadObject): boolean {
  if (isGated(object)) return true;
  if (kind === 'Deployment') return object.spec.paused === true;
  if (object.spec.updateStrategy?.type === 'OnDelete') return false;
  return object.spec.updateStrategy?.rollingUpdate?.partition === heldPartition;
}

function isGated(object: WorkloadObject): boolean {
  return (object.spec.template?.spec?.schedulingGates ?? []).some((gate) => gate.name === gateName);
}

/**
 * Whether only a scheduling gate in the pod template stops new pods: an OnDelete StatefulSet brings a lost pod back from
 * the new template, and a new StatefulSet has no older revision to which a partition could keep it.
 */
function needsGate(kind: string, object: WorkloadObject, created: boolean): boolean {
  return kind === 'StatefulSet' && (created || object.spec.updateStrategy?.type === 'OnDelete');
}

/**
 * The same object, held. `stored` is the object before this change: its hold, if any, is kept, since what was there before
 * the first hold is what comes back. `created`: there is none before. Applying it twice gives the same result.
 */
export function hold(
  kind: string,
  object: WorkloadObject,
  stored: WorkloadObject | undefined,
  since: Omit<Hold, 'before'>,
  created = false,
): WorkloadObject {
  const standing = stored && holdOf(stored);
  const gated = standing?.before.gated === true || needsGate(kind, object, created);
  const record: Hold = standing
    ? unlessLetGo(kind, object, standing)
    : asRecord(since, gated ? { gated } : fieldsOf(kind, object));
  const annotations = { ...object.metadata.annotations, [annotation.hold]: JSON.stringify(record) };
  // Only what changes is copied: the rest stays the same object, which makes the comparison for the patch short.
  const held = { ...object, metadata: { ...object.metadata, annotations }, spec: { ...object.spec } };
  if (gated) closeTemplate(held);
  else if (kind === 'Deployment') held.spec.paused = true;
  else
    held.spec.updateStrategy = {
      type: 'RollingUpdate',
      ...held.spec.updateStrategy,
      rollingUpdate: { ...held.spec.updateStrategy?.rollingUpdate, partition: heldPartition },
    };
  return held;
}

/**
 * The hold that stands, less what its owner takes off by this change: who resumes a held Deployment, or sets another
 * partition, does not get it now but when the hold ends. Asked twice for one request, the first answer's record counts.
 */
function unlessLetGo(kind: string, object: WorkloadObject, standing: Hold): Hold {
  if (standing.before.gated) return standing;
  const own = holdOf(object);
  const base = own && asText(own) === asText(standing) && !own.before.gated ? own : standing;
  const { paused, updateStrategy } = object.spec;
  if (kind === 'Deployment') return base.before.paused && !paused ? asRecord(base, { paused: null }) : base;
  const partition = updateStrategy?.rollingUpdate?.partition;
  const changed = base.before.partition && partition !== undefined && partition !== heldPartition;
  return changed ? asRecord(base, { partition }) : base;
}

/** All but what was there before. */
function asText(hold: Hold): string {
  return JSON.stringify(asRecord(hold, {}));
}

/** Always in one order: the annotation is text, and the same hold must be the same text. */
function asRecord({ since, by, from, connection }: Omit<Hold, 'before'>, before: Hold['before']): Hold {
  return { since, by, from, ...(connection === undefined ? {} : { connection }), before };
}

function closeTemplate({ spec }: WorkloadObject): void {
  const { template } = spec;
  const others = (template.spec.schedulingGates ?? []).filter((gate) => gate.name !== gateName);
  spec.template = { ...template, spec: { ...template.spec, schedulingGates: [...others, { name: gateName }] } };
}

function fieldsOf(kind: string, object: WorkloadObject): Hold['before'] {
  if (kind === 'Deployment') return { paused: object.spec.paused ?? null };
  return { partition: object.spec.updateStrategy?.rollingUpdate?.partition ?? null };
}

/**
 * Holds what is stored already: a merge patch with the resourceVersion, so that a change in between is a conflict. Only
 * fields that stop a rollout; the pods that run are not touched.
 */
export function holdPatch(kind: string, object: WorkloadObject, since: Omit<Hold, 'before'>): Record<string, unknown> {
  const { metadata, spec } = hold(kind, object, object, since);
  const annotations = { [annotation.hold]: metadata.annotations?.[annotation.hold] };
  const bound = object.metadata.resourceVersion ? { resourceVersion: object.metadata.resourceVersion } : {};
  const { paused, updateStrategy, template } = spec;
  const gated = isGated({ ...object, spec });
  const fields = gated
    ? { template: { spec: { schedulingGates: template.spec.schedulingGates } } }
    : kind === 'Deployment'
      ? { paused }
      : { updateStrategy };
  return { metadata: { ...bound, annotations }, spec: fields };
}

/**
 * Undoes a hold: a merge patch that puts the fields back and takes the annotation off. It carries the resourceVersion,
 * so that a change in between is a conflict and not overwritten.
 */
export function resumePatch(kind: string, object: WorkloadObject): Record<string, unknown> {
  const before = holdOf(object)?.before ?? {};
  const metadata = {
    ...(object.metadata.resourceVersion ? { resourceVersion: object.metadata.resourceVersion } : {}),
    annotations: { [annotation.hold]: null },
  };
  if (before.gated || isGated(object)) return { metadata, spec: { template: { spec: openTemplate(object) } } };
  if (kind === 'Deployment') return { metadata, spec: { paused: before.paused === true ? true : null } };
  if (object.spec.updateStrategy?.type === 'OnDelete') return { metadata };
  return { metadata, spec: { updateStrategy: { rollingUpdate: { partition: before.partition ?? 0 } } } };
}

function openTemplate({ spec: { template } }: WorkloadObject): { schedulingGates: { name: string }[] | null } {
  const others = (template.spec.schedulingGates ?? []).filter((gate) => gate.name !== gateName);
  return { schedulingGates: others.length > 0 ? others : null };
}
