/** Which change of a workload asks the loop for work. */
import { hash } from 'node:crypto';
import { holdOf } from '../release/kubernetes/hold.ts';
import { readWorkload } from '../release/kubernetes/workloads.ts';
import type { WorkloadObject } from '../release/model/kubernetes.ts';

/**
 * The release to look at when a workload changed in what matters: its images, its database, its hold, how many of its
 * pods are there and Ready (a tag that was pushed again shows in no other way).
 */
export function changeOf(known: Map<string, string>, object: WorkloadObject, type: string) {
  const workload = readWorkload(object);
  const id = `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
  const before = known.get(id);
  if (type === 'DELETED') known.delete(id);
  if (!workload) return undefined;
  const { replicas, readyReplicas, updatedReplicas } = object.status ?? {};
  const shape = JSON.stringify([workload.images, workload.connection, replicas, readyReplicas, updatedReplicas]);
  // Of thousands of workloads, so no longer than it takes to tell one from another.
  const now = hash('sha256', shape, 'base64').slice(0, 16);
  const held = holdOf(object) !== undefined;
  if (type !== 'DELETED') known.set(id, `${held} ${now}`);
  if (type !== 'DELETED' && !held && before === `${held} ${now}`) return undefined;
  return { namespace: workload.namespace, name: workload.release };
}
