/**
 * Age: since when a version newer than the target has run here, from the history of templates that Kubernetes keeps. Pods
 * are made anew now and then, the template that they are made from is not.
 */
import { isBelow } from '../airflow/versions.ts';
import type { Rollout } from '../model/release.ts';
import type { NewerSince } from '../model/run.ts';

/** Since when images newer than `target` (a version) have run without a break; `running` is the image that was held. */
export function newerSince(rollouts: readonly Rollout[], running: string, target: string): NewerSince {
  const isNewer = ({ images }: Rollout) =>
    images.some(({ image, version }) => image === running || (version !== undefined && isBelow(target, version)));
  const workloads = [...new Set(rollouts.map(({ workload }) => workload))];
  const known = workloads.flatMap((name) =>
    beginOf(
      rollouts.filter(({ workload }) => workload === name),
      isNewer,
    ),
  );
  return known.sort((a, b) => a.at.localeCompare(b.at))[0] ?? {};
}

/** Of one workload. What a held StatefulSet is to become may be the newest of its history already. */
function beginOf(history: readonly Rollout[], isNewer: (one: Rollout) => boolean): (NewerSince & { at: string })[] {
  const newestFirst = [...history].sort((a, b) => b.revision - a.revision);
  const ran = newestFirst.slice(newestFirst.findIndex(isNewer));
  const end = ran.findIndex((one) => !isNewer(one));
  const [first, before] = end < 0 ? [ran.at(-1), undefined] : [ran[end - 1], ran[end]];
  if (!first || !isNewer(first)) return [];
  // Made before the one that it followed: an old template, taken up again at a time that nothing tells.
  if (before && before.createdAt > first.createdAt) return [];
  return [{ at: first.createdAt, ...(before ? {} : { orBefore: true }) }];
}

/** From here on people mend the newer version rather than go back: a playbook's number (S2-42), not a measured one. */
const longHours = 24;

/** What the plan says of it; asks nothing. */
export function ageNotes(since: NewerSince | undefined, target: string, now: Date): string[] {
  if (!since) return [];
  if (!since.at) return [`since when a version newer than ${target} has run here is not known`];
  const hours = Math.max(0, Math.floor((now.getTime() - Date.parse(since.at)) / 3_600_000));
  const span = hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
  const age = `a version newer than ${target} has run here for ${since.orBefore ? 'at least ' : ''}${span}, since ${since.at}`;
  if (hours < longHours) return [age];
  return [
    `${age}. There are three ways: go on here, which is no restore, so what was written since stays but for the losses named; go forward, and mend the fault in the newer version; restore a backup from before the upgrade, and lose every run since`,
  ];
}
