/** A review's two sides as workloads in our words. */
import type { Metadata, WorkloadObject } from '../release/objects.ts';
import { isWatched } from '../release/profiles.ts';
import type { Workload } from '../release/release.ts';
import { readWorkload } from '../release/workload.ts';
import type { ReviewRequest } from './review.ts';

export interface Change {
  request: ReviewRequest;
  desired: Workload;
  /** Missing when the object is being created. */
  current: Workload | undefined;
  /** The object has not, or no longer, the labels by which workloads are watched. */
  unlabelled: boolean;
}

/** Reads a CREATE (no `old`) or an UPDATE; undefined when neither side is a workload of Airflow's. */
export function readChange(
  request: ReviewRequest,
  object: WorkloadObject,
  old: WorkloadObject | undefined,
): Change | undefined {
  const { kind, namespace } = request;
  const name = request.name || object.metadata.name || object.metadata.generateName || '';
  const read = (side: WorkloadObject, labels: Metadata['labels']) =>
    readWorkload({ ...side, kind, metadata: { ...side.metadata, name, namespace, labels } });
  const unlabelled = !isWatched(object.metadata.labels);
  const own = read(object, object.metadata.labels);
  if (!old) return own && { request, desired: own, current: undefined, unlabelled };
  const labels = own ? object.metadata.labels : old.metadata.labels;
  const desired = own ?? read(object, labels);
  const current = read(old, old.metadata.labels) ?? read(old, labels);
  return desired && current && { request, desired, current, unlabelled };
}
