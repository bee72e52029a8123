/** The Downgrade object ↔ our words. */
import { createHash } from 'node:crypto';
import { partOfName } from './objectnames.ts';
import type { Run, RunSpec, RunStatus } from './release.ts';

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
  status?: { record?: RunStatus; [shown: string]: unknown };
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
    status: object.status?.record ?? {},
  };
}

/** The run of a release that is not over yet; the oldest, should there be several. */
export function activeRun(objects: readonly DowngradeObject[], release: string): Run | undefined {
  const open = objects.filter((o) => o.spec.release === release && !o.status?.record?.completedAt).map(readRun);
  return open.sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.name.localeCompare(b.name))[0];
}

/** A change that was turned round: the same one would only do it all again. */
export interface Turned {
  name: string;
  to: string;
  /** By a person; else by the policy, after a failure. */
  aborted: boolean;
}

/** The release's last run, if a person or the policy turned it round; undefined while another is under way. */
export function lastTurned(objects: readonly DowngradeObject[], release: string): Turned | undefined {
  const runs = objects.filter((o) => o.spec.release === release).map(readRun);
  const last = runs.sort((a, b) => b.createdAt.localeCompare(a.createdAt) || a.name.localeCompare(b.name))[0];
  if (!last?.status.completedAt || !last.status.returnedAt || last.status.returnBy === 'Wish') return undefined;
  return { name: last.name, to: last.to, aborted: last.status.returnBy === 'Abort' };
}

/** With a hyphen and six digits more it is the value of a label on the run's pods, too. */
const longestPart = 56;

/**
 * The record for a held change. Its name is derived from the change, so that a controller killed after writing it, and
 * one that takes over, write the same object and not a second one.
 */
export function newDowngrade(change: {
  namespace: string;
  release: string;
  to: string;
  heldSince: string;
}): DowngradeObject {
  const { namespace, release, to, heldSince } = change;
  const hash = createHash('sha256').update(`${namespace}/${release}/${to}/${heldSince}`).digest('hex').slice(0, 6);
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
