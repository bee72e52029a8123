/** A review's two sides as workloads in our words. */
import { isWatched } from '../../release/airflow/charts.ts';
import { readWorkload } from '../../release/kubernetes/workloads.ts';
import type { Metadata, WorkloadObject } from '../../release/model/kubernetes.ts';
import type { Workload } from '../../release/model/workload.ts';
import type { ReviewRequest } from '../review.ts';

export interface Change {
  request: ReviewRequest;
  desired: Workload;
  /** Missing when the object is being created. */
  current: Workload | undefined;
  /** The object has not, or no longer, the labels by which workloads are watched and known. */
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
  const own = read(object, object.metadata.labels);
  const unlabelled = !own || !isWatched(object.metadata.labels);
  if (!old) return own && { request, desired: own, current: undefined, unlabelled };
  const desired = own ?? read(asBefore(object, old), old.metadata.labels);
  const current = read(old, old.metadata.labels) ?? read(old, (own ? object : old).metadata.labels);
  return desired && current && { request, desired, current, unlabelled };
}

/** With the labels of its pods from before: who takes them off in the same change changes the image of Airflow's all the same. */
function asBefore(object: WorkloadObject, old: WorkloadObject): WorkloadObject {
  const { template } = object.spec;
  const labels = { ...template?.metadata?.labels, ...old.metadata.labels, ...old.spec.template?.metadata?.labels };
  return {
    ...object,
    spec: { ...object.spec, template: { ...template, metadata: { ...template?.metadata, labels } } },
  };
}
