/** The Downgrade object ↔ our words. */
import { createHash } from 'node:crypto';
import { explain } from '@renovatebot/pep440';
import { copyName, isOwnName } from '../model/backup-names.ts';
import type { ImageKnowledge } from '../model/image.ts';
import type { Release } from '../model/release.ts';
import type { Backup, ReturnedRun, Run, RunSpec, RunStatus } from '../model/run.ts';
import type { Shown } from '../model/shown.ts';
import { partOfName } from './object-names.ts';

export const downgradeApi = {
  group: 'downdraft.dev',
  version: 'v1alpha1',
  kind: 'Downgrade',
  plural: 'downgrades',
} as const;

/** A Downgrade as the API server stores it (manifests/crds). */
export interface DowngradeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    uid?: string;
    generation?: number;
    resourceVersion?: string;
    creationTimestamp?: string;
    labels?: Record<string, string>;
  };
  spec: { release: string; to: string } & RunSpec;
  /** `record` holds the facts and intents; everything beside it is made for people and tools, and never read back. */
  status?: { record?: RunStatus } & Partial<Shown>;
}

const releaseLabel = 'downdraft.dev/release';

/** Whether the controller made it. */
export function isOurs({ metadata, spec }: DowngradeObject): boolean {
  return metadata.labels?.[releaseLabel] === spec.release;
}

/** Reads a Downgrade. */
export function readRun(object: DowngradeObject): Run {
  const { release: _, to: __, ...spec } = object.spec;
  return {
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    generation: object.metadata.generation ?? 0,
    release: object.spec.release,
    to: object.spec.to,
    spec,
    shownPhase: String(object.status?.phase ?? ''),
    createdAt: object.metadata.creationTimestamp ?? '',
    ...(object.metadata.resourceVersion ? { resourceVersion: object.metadata.resourceVersion } : {}),
    status: withKnownTarget(object.status?.record ?? {}),
  };
}

/** What is no version is nobody's answer: the target is as good as not asked. */
function withKnownTarget({ target, ...others }: RunStatus): RunStatus {
  return target && explain(String(target.version)) ? { ...others, target } : others;
}

/** The run of a release that is not over yet; the oldest, should there be several. */
export function activeRun(objects: readonly DowngradeObject[], release: string): Run | undefined {
  const open = objects.filter((o) => o.spec.release === release && !o.status?.record?.completedAt).map(readRun);
  const [run] = open.sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.name.localeCompare(b.name));
  const { backup } = run?.status ?? {};
  return run && backup ? { ...run, status: { ...run.status, backup: ownBackup(run, backup) } } : run;
}

/**
 * The runner is told by name what to restore and what to drop. A backup by another name than this run gives is none:
 * what has that name is another's, and stays as it is.
 */
function ownBackup(run: Run, { left, ...backup }: Backup): Backup {
  const others = backup.name && !isOwnName(run, backup.way, backup.name);
  return {
    ...backup,
    ...(others ? { name: null, verifiedAt: null } : {}),
    ...(left === copyName(run) ? { left } : {}),
  };
}

/** Names of a release's runs that are over. */
export function pastRuns(objects: readonly DowngradeObject[], release: string): string[] {
  const over = objects.filter((o) => o.spec.release === release && o.status?.record?.completedAt);
  return over.map(({ metadata }) => metadata.name).sort();
}

/** What the image of a run that is over said, and when that run began. */
export interface ToldBefore {
  at: string;
  target: ImageKnowledge;
}

/** Of each of a release's runs that are over, the oldest first. */
export function toldBefore(objects: readonly DowngradeObject[], release: string): ToldBefore[] {
  const runs = objects.filter((o) => o.spec.release === release && o.status?.record?.completedAt).map(readRun);
  runs.sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  return runs.flatMap(({ createdAt: at, status: { target } }) => (target ? [{ at, target }] : []));
}

/** Whether what stands under the name of `wanted` can't be the run for it. */
export function isTaken({ spec, status }: DowngradeObject, wanted: DowngradeObject): boolean {
  return spec.release !== wanted.spec.release || spec.to !== wanted.spec.to || Boolean(status?.record?.completedAt);
}

/** The name of a new Downgrade stands for a run that is over, or for another request: nobody would ever carry this one out. */
export class NameTaken extends Error {
  constructor(name: string) {
    super(`Downgrade ${name} is there already, over or for another request; delete it, and this one is begun`);
  }
}

/** The release's last run, if a person or the policy returned it; undefined while another is under way. */
export function lastReturned(objects: readonly DowngradeObject[], release: string): ReturnedRun | undefined {
  const runs = objects.filter((o) => o.spec.release === release).map(readRun);
  const last = runs.sort((a, b) => b.createdAt.localeCompare(a.createdAt) || a.name.localeCompare(b.name))[0];
  if (!last?.status.completedAt || !last.status.returnedAt || last.status.returnBy === 'Wish') return undefined;
  return { name: last.name, to: last.to, aborted: last.status.returnBy === 'Abort' };
}

/** The record of the run by which a release that is held comes to this image. */
export function downgradeFor({ namespace, name, workloads, past }: Release, to: string): DowngradeObject {
  const heldSince = workloads.flatMap((w) => (w.hold ? [w.hold.since] : [])).sort()[0] ?? '';
  return newDowngrade({ namespace, release: name, to, heldSince, past });
}

/** With a hyphen and six digits more it is the value of a label on the run's pods, too. */
const longestPart = 56;

/**
 * The record for a held change. Its name is derived from the change and from the runs that are over, so that a controller
 * killed after writing it, and one that takes over, write the same object and not a second one, while a request that comes
 * back under the same hold gets a run of its own.
 */
export function newDowngrade(change: {
  namespace: string;
  release: string;
  to: string;
  heldSince: string;
  /** Names of the release's runs that are over. */
  past?: readonly string[];
}): DowngradeObject {
  const { namespace, release, to, heldSince, past = [] } = change;
  const what = [namespace, release, to, heldSince, ...past].join('/');
  const hash = createHash('sha256').update(what).digest('hex').slice(0, 6);
  return {
    apiVersion: `${downgradeApi.group}/${downgradeApi.version}`,
    kind: downgradeApi.kind,
    metadata: {
      name: `${partOfName(release, longestPart)}-${hash}`,
      namespace,
      labels: { [releaseLabel]: release },
    },
    spec: { release, to },
  };
}
