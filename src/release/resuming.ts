/**
 * Resuming: every desired image fits the database. The gate stays closed until the last misfit pod is gone: each new pod
 * of the desired image is let through by name, so that no autoscaler can start the other version in between.
 */
import { awaiting } from './awaiting.ts';
import { uncertain } from './decide.ts';
import { podOfOwner, wouldMigrate } from './migrating.ts';
import { mayEnd } from './misfits.ts';
import { type Act, onlyObserves } from './next.ts';
import type { Pod, Release, Run } from './release.ts';
import { judge, type Verdict } from './verdict.ts';

/** The next act of resuming; ends in `finish`. */
export function resuming(release: Release, run: Run): Act {
  if (!run.status.resumeStartedAt) return { act: 'record', status: { resumeStartedAt: release.now.toISOString() } };
  const dismissing = dismiss(release);
  if (dismissing) return dismissing;
  const held = release.workloads.find((w) => w.hold);
  if (held) return { act: 'unhold', workload: held };
  const letting = letGo(release);
  if (letting) return letting;
  const unsettled = release.workloads.filter((w) => !w.settled);
  if (unsettled.length > 0) return awaiting(release, unsettled);
  if (release.gate !== 'absent') return { act: 'deleteGate' };
  return { act: 'finish', outcome: outcomeOf(release, run) };
}

/** No run and nothing held: takes away what a crash or a withdrawn wish may have left. */
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
  return { act: 'wait', reason: 'MigrationKept', message, about: kept.slice(0, mostTold) };
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
function letGo(release: Release): Act | undefined {
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

/**
 * A pod may start when the database is where its image needs it. One that would take the database forward may only be
 * of an image that the release wants: an old pod of the newer version must never do that after a downgrade.
 */
function podFits(release: Release, pod: Pod): boolean {
  if (onlyObserves(release)) return true;
  const verdict = verdictOnPod(release, pod);
  const idle = !release.run && release.workloads.every((w) => !w.hold);
  // Nobody is left who would find out: it was gated by mistake, and waits for what is not known.
  if (idle && verdict.verdict === 'hold' && uncertain.includes(verdict.reason)) return !wouldMigrate(pod);
  if (verdict.verdict !== 'allow') return false;
  return ['Fits', 'Restored'].includes(verdict.reason) || release.workloads.some((w) => w.image === pod.image);
}

function verdictOnPod(release: Release, pod: Pod): Verdict {
  const image = release.images[pod.image] ?? { image: pod.image, source: 'unknown' as const, why: 'not looked at' };
  const workload = { kind: 'Pod', namespace: release.namespace, name: pod.name, release: release.name };
  // What a workload asks for that is held no longer was let through, also where nobody is left who could be asked.
  const letGo = release.workloads.some((w) => !w.hold && w.image === pod.image);
  const from = letGo || ranBefore(release, pod) ? pod.image : undefined;
  return judge({ workload, image, database: release.database, run: release.run, from });
}

/** An old pod that comes back before anything was changed, or after all was brought back, is what ran here already. */
function ranBefore({ workloads, run }: Release, { image, owner }: Pod): boolean {
  const { schemaStartedAt, returnedAt } = run?.status ?? {};
  if (schemaStartedAt && !returnedAt) return false;
  return workloads.some((w) => w.kind === owner?.kind && w.name === owner.name && w.hold?.from === image);
}

function outcomeOf(release: Release, run: Run): NonNullable<Run['status']['outcome']> {
  const { verifiedAt, schemaStartedAt, returnedAt } = run.status;
  if (returnedAt) return schemaStartedAt ? 'Returned' : 'Reverted';
  if (verifiedAt) return 'Downgraded';
  return release.workloads.some((w) => w.image === run.to) ? 'NotNeeded' : 'Reverted';
}
