/**
 * Kept back: what an owner had stopped before the hold is stopped again after it. A paused Deployment brings its old pods
 * back, and a StatefulSet keeps those below its partition: of the newer version, in front of the older database.
 */
import { nameOf } from '../model/kubernetes.ts';
import type { Plan } from '../model/plan.ts';
import type { Release } from '../model/release.ts';
import type { Workload } from '../model/workload.ts';

/** What its owner has to let go before anything is downgraded; undefined when nothing is kept back. */
export function pausedByOwner(
  { workloads }: Release,
  plan: Plan,
): { reason: 'PausedByOwner'; message: string } | undefined {
  if (plan.steps.length === 0) return undefined;
  const words = workloads.flatMap((w) => keptInWords(w) ?? []);
  if (words.length === 0) return undefined;
  return {
    reason: 'PausedByOwner',
    message: `${words.join('; ')}. It stays held all the same, until the database is where the older version needs it`,
  };
}

function keptInWords(workload: Workload): string | undefined {
  const { hold, kind, namespace } = workload;
  const name = nameOf(workload);
  if (kind === 'Deployment' && hold?.before.paused === true)
    return `${name} was paused before, so its pods of the newer version would come back in front of the older database; resume it: kubectl -n ${namespace} rollout resume ${name}`;
  const partition = hold?.before.partition ?? 0;
  if (kind !== 'StatefulSet' || partition === 0) return undefined;
  const patch = '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}';
  return `${name} has the partition ${partition}, below which its pods of the newer version would stay in front of the older database; take it off: kubectl -n ${namespace} patch ${name} --type merge -p '${patch}'`;
}

/** What a run that is over leaves as its owner had it: workloads of which pods still are of what ran before, in words. */
export function leftStopped(workloads: readonly Workload[]): string[] {
  return workloads.flatMap((w) => {
    const { replicas = 0, updatedReplicas = 0 } = w.object.status ?? {};
    return w.hold || updatedReplicas >= replicas ? [] : (stoppedInWords(w) ?? []);
  });
}

function stoppedInWords(workload: Workload): string | undefined {
  const { kind, image, object } = workload;
  const name = nameOf(workload);
  if (kind === 'Deployment')
    return object.spec.paused ? `${name} is paused by its owner: it changes to ${image} when it is resumed` : undefined;
  const partition = object.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition === 0) return undefined;
  return `${name} is kept below the partition ${partition} by its owner: those pods change to ${image} when it is taken off`;
}
