/**
 * Hold and its inverse, side by side so that they cannot drift.
 *
 * A held workload keeps its old pods and starts no new ones: spec.paused for a Deployment, a rolling update's partition
 * above every ordinal for a StatefulSet. No chart renders either field, so no deploy tool sees drift, and replicas are
 * never touched. An OnDelete StatefulSet starts nothing by itself; it is held by the gates alone.
 */
import type { WorkloadObject } from './objects.ts';
import { annotation } from './profiles.ts';
import type { Hold } from './release.ts';

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
    return { since: hold.since, by: hold.by ?? '', from: hold.from ?? '', before: hold.before };
  } catch {
    return unreadableHold;
  }
}

/** An annotation that someone damaged still means held; what was there before is then taken for unset. */
const unreadableHold: Hold = { since: '1970-01-01T00:00:00Z', by: '', from: '', before: {} };

/** Whether the fields that stop new pods are set. */
export function isStopped(kind: string, object: WorkloadObject): boolean {
  if (kind === 'Deployment') return object.spec.paused === true;
  const strategy = object.spec.updateStrategy;
  return strategy?.type === 'OnDelete' || strategy?.rollingUpdate?.partition === heldPartition;
}

/**
 * The same object, held. `stored` is the object before this change (its hold, if any, is kept: what was there before the
 * first hold is what comes back). Applying it twice gives the same result.
 */
export function hold(
  kind: string,
  object: WorkloadObject,
  stored: WorkloadObject | undefined,
  since: Hold,
): WorkloadObject {
  const standing = stored && holdOf(stored);
  const record: Hold = standing ?? { ...since, before: fieldsOf(kind, object) };
  const held = structuredClone(object);
  held.metadata.annotations = { ...held.metadata.annotations, [annotation.hold]: JSON.stringify(record) };
  if (kind === 'Deployment') held.spec.paused = true;
  else if (held.spec.updateStrategy?.type !== 'OnDelete')
    held.spec.updateStrategy = {
      type: 'RollingUpdate',
      ...held.spec.updateStrategy,
      rollingUpdate: { ...held.spec.updateStrategy?.rollingUpdate, partition: heldPartition },
    };
  return held;
}

function fieldsOf(kind: string, object: WorkloadObject): Hold['before'] {
  if (kind === 'Deployment') return { paused: object.spec.paused ?? null };
  if (object.spec.updateStrategy?.type === 'OnDelete') return {};
  return { partition: object.spec.updateStrategy?.rollingUpdate?.partition ?? null };
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
  if (kind === 'Deployment') return { metadata, spec: { paused: before.paused === true ? true : null } };
  if (object.spec.updateStrategy?.type === 'OnDelete') return { metadata };
  return { metadata, spec: { updateStrategy: { rollingUpdate: { partition: before.partition ?? 0 } } } };
}
