/**
 * Pods are held by a scheduling gate, which can only be set when they are created: they stay Pending, run nothing and wake
 * no cluster autoscaler, until the controller takes the gate off or deletes them (webhooks/jobs.ts, webhooks/drain.ts).
 */
import fastJsonPatch from 'fast-json-patch';
import { gateName, label, type PodObject } from '../release/model/kubernetes.ts';
import type { ReviewRequest } from './review.ts';

/** The pod that a review would create; undefined for any other review. */
export function podOf({ operation, kind, subResource, object }: ReviewRequest): PodObject | undefined {
  if (operation !== 'CREATE' || kind !== 'Pod' || subResource !== '') return undefined;
  return object.metadata && object.spec ? (object as unknown as PodObject) : undefined;
}

/** Adds the gate and the label by which gated pods are found; empty when both are there. */
export function gatePatch(pod: PodObject) {
  const gates = pod.spec.schedulingGates ?? [];
  const schedulingGates = gates.some((g) => g.name === gateName) ? gates : [...gates, { name: gateName }];
  const labels = { ...pod.metadata.labels, [label.gated]: 'true' };
  return fastJsonPatch.compare(pod, {
    ...pod,
    metadata: { ...pod.metadata, labels },
    spec: { ...pod.spec, schedulingGates },
  });
}
