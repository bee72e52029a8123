/** What is taken away once a run no longer needs it: gates, holds, helper pods. */
import { podOfOwner, wouldMigrate } from '../kubernetes/migrations.ts';
import type { Act } from '../model/act.ts';
import type { Release } from '../model/release.ts';
import type { Pod } from '../model/workload.ts';
import { podFits, verdictOnPod } from '../verdict/workload.ts';
import { mayEnd } from './misfits.ts';

/** No run and nothing held: takes away what a crash or a withdrawn request may have left. */
export function tidying(release: Release): Act {
  const act = dismiss(release) ?? letGo(release);
  return act ?? (release.gate === 'absent' ? (keeping(release) ?? { act: 'rest' }) : { act: 'deleteGate' });
}

/** So many pods carry the word themselves: anybody may make more of them. */
const mostTold = 5;

/** Migrations that are let go by nobody, since they may take the database up from under what runs; told what ends that. */
function keeping(release: Release): Act | undefined {
  const kept = release.pods.filter((p) => p.gated && !p.terminating && wouldMigrate(p));
  const [first] = kept;
  if (!first) return undefined;
  const verdict = verdictOnPod(release, first);
  const why = 'message' in verdict ? `: ${verdict.message}` : '';
  const more = kept.length > 1 ? ` (and ${kept.length - 1} more)` : '';
  const message = `${podOfOwner(first)}${more} would migrate the database with ${first.image}, which no workload of the release asks for${why}; it goes by itself once that image is known to fit. If it is wanted, set the workloads to that image, or take the scheduling gate off the pod; if not, delete its Job`;
  return { act: 'wait', reason: 'MigrationHeld', message, about: kept.slice(0, mostTold) };
}

/** Opens the gate: what fits is let go first, then the gate itself is taken away. */
export function tidyGate(release: Release): Act | undefined {
  const fitting = release.pods.filter((p) => p.gated && !p.terminating && podFits(release, p));
  if (fitting.length > 0) return { act: 'ungate', pods: fitting };
  return release.gate === 'absent' ? undefined : { act: 'deleteGate' };
}

/** Runner and probe end before anything of the desired version starts. */
export function dismiss({ pods }: Release): Act | undefined {
  return pods.some((p) => p.role !== 'airflow' && !p.terminating) ? { act: 'dismissHelpers' } : undefined;
}

/**
 * Gated pods: those that fit go; misfits of StatefulSets and Jobs are deleted (a StatefulSet waits for its gated pod for
 * ever) where it is certain what they are; misfits of a ReplicaSet stay, because the rollout itself replaces them and
 * deleting one would only bring another.
 */
export function letGo(release: Release): Act | undefined {
  const gated = release.pods.filter((p) => p.gated && !p.terminating);
  // Which revision is wanted is only known once the StatefulSet's controller has seen that the hold is off.
  const fitting = gated.filter((p) => podFits(release, p) && observed(release, p) && !isOutdated(release, p));
  if (fitting.length > 0) return { act: 'ungate', pods: fitting };
  const misfits = gated.filter((p) => p.owner?.kind !== 'Deployment' && p.owner?.kind !== 'ReplicaSet');
  const due = misfits.filter((p) => observed(release, p) && mayEnd(release, p));
  return due.length > 0 ? { act: 'endMisfits', pods: due } : undefined;
}

/** Made from a template that had our gate in it: its StatefulSet would end it again as soon as it runs. */
function isOutdated({ workloads }: Release, { owner, object }: Pod): boolean {
  const owning = workloads.find((w) => w.kind === 'StatefulSet' && owner?.kind === w.kind && owner.name === w.name);
  const revision = object.metadata.labels?.['controller-revision-hash'];
  const wanted = owning?.object.status?.updateRevision;
  return revision !== undefined && wanted !== undefined && revision !== wanted;
}

/** The StatefulSet's controller has seen that the hold is off, so it brings the pod back from the desired template. */
function observed({ workloads }: Release, pod: Pod): boolean {
  const owner = workloads.find((w) => w.kind === pod.owner?.kind && w.name === pod.owner.name);
  if (!owner) return true;
  const { metadata, status } = owner.object;
  return (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
}
