/**
 * Gated pods that can never start as they are, and what is deleted for them. What a pod says of itself (its owner, its
 * labels) is anyone's word: only what is certainly of this release and of the other version ends; the rest waits behind
 * its own gate and is let go when the release's gate opens, but for migrations (resuming.ts).
 */
import { recognize, selectorOf } from '../airflow/charts.ts';
import { isCertain } from '../airflow/images.ts';
import type { JobObject } from '../model/kubernetes.ts';
import type { Reason } from '../model/reasons.ts';
import type { Release } from '../model/release.ts';
import type { Pod } from '../model/workload.ts';
import { judge } from '../verdict/judge.ts';

/** What no look at another moment would change: the image is known, and its schema is another one. */
const certain: readonly Reason[] = ['Upgrade', 'DatabaseAhead', 'ProviderAhead', 'NotAnAncestor', 'TargetTooOld'];

type Seen = Pick<Release, 'namespace' | 'name' | 'images' | 'database'>;

/** Whether a pod's image certainly needs another schema than the database has. */
export function isOfOtherVersion({ namespace, name: release, images, database }: Seen, pod: Pod): boolean {
  const image = Object.hasOwn(images, pod.image) ? images[pod.image] : undefined;
  if (!isCertain(image)) return false;
  const workload = { kind: 'Pod', namespace, name: pod.name, release };
  return certain.includes(judge({ workload, image, database, run: undefined }).reason);
}

/** Jobs that have to be looked at before anything of theirs may be deleted: the names, each once, some of many. */
export function jobsToRead(release: Seen & Pick<Release, 'pods' | 'run'>): string[] {
  const { pods, run } = release;
  if (run && !run.status.resumeStartedAt) return [];
  const waiting = pods.filter((p) => p.gated && !p.terminating && p.owner?.kind === 'Job');
  const names = waiting.filter((p) => isOfOtherVersion(release, p)).map((p) => p.owner!.name);
  return [...new Set(names)].slice(0, mostJobs);
}

const mostJobs = 50;

/**
 * Whether a misfit is to be ended. A pod of a StatefulSet of the release comes back from the desired template; any other
 * must certainly be of the other version, and so must the Job that would only bring it back.
 */
export function mayEnd(release: Release, pod: Pod): boolean {
  const { owner } = pod;
  const owning = release.workloads.some(
    (w) => w.kind === 'StatefulSet' && w.kind === owner?.kind && w.name === owner.name,
  );
  if (owning) return true;
  if (!isOfOtherVersion(release, pod)) return false;
  return owner?.kind !== 'Job' || jobOf(release, pod) !== undefined;
}

/** The Job that made a pod, if it is certain that it did: same uid, of this release, and with the same image. */
export function jobOf({ jobs, profile, name }: Release, pod: Pod): { name: string; uid: string } | undefined {
  const { owner } = pod;
  const job = owner && Object.hasOwn(jobs, owner.name) ? jobs[owner.name] : undefined;
  if (!job || !owner?.uid || job.metadata.uid !== owner.uid || mainImageOf(job) !== pod.image) return undefined;
  const labels = job.spec?.template?.metadata?.labels ?? {};
  const own = Object.entries(selectorOf(profile, name)).every(([key, value]) => labels[key] === value);
  return own ? { name: owner.name, uid: owner.uid } : undefined;
}

function mainImageOf({ spec }: JobObject): string | undefined {
  const { metadata = {}, spec: pod } = spec?.template ?? {};
  const containers = pod?.containers ?? [];
  const name = recognize(metadata, pod)?.container;
  return (containers.find((c) => c.name === name) ?? containers[0])?.image;
}
