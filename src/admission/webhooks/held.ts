/**
 * /validate: after all mutating webhooks, is what must be held really held?
 *
 * It does not judge again. It proves that no object is stored which says it is held (the annotation) and yet starts new
 * pods, whatever other webhooks did after ours. It does not prove that an object without the annotation needs no hold: the
 * mutating half has seen every such change and let it pass, and a webhook that takes the annotation off together with the
 * stop has done what a person may do.
 */
import { isStopped } from '../../release/kubernetes/hold.ts';
import { annotation, nameOf, type WorkloadObject } from '../../release/model/kubernetes.ts';
import { type Answer, allowed, denied, type ReviewRequest } from '../review.ts';

/** Answers the review of a Deployment or StatefulSet in its final state. */
export function validate({ operation, kind, name, object }: ReviewRequest): Answer {
  if (operation !== 'UPDATE' && operation !== 'CREATE') return allowed('NotAirflow');
  const workload = object as Partial<WorkloadObject>;
  if (workload.metadata?.annotations?.[annotation.hold] === undefined) return allowed('SameImage');
  if (workload.metadata.deletionTimestamp !== undefined) return allowed('SameImage');
  if (workload.spec && isStopped(kind, workload as WorkloadObject)) return allowed('SameImage');
  const field =
    kind === 'Deployment' ? 'spec.paused is not true' : 'spec.updateStrategy.rollingUpdate.partition is not 2147483647';
  return denied(
    'HoldRemoved',
    `${nameOf({ kind, name })} carries the annotation ${annotation.hold}, but ${field}: another admission webhook took the ` +
      'hold off again, or the annotation was written by hand; exempt this workload there, or take the annotation off',
  );
}
