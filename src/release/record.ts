/** The Downgrade object ↔ our words. */
import { createHash } from 'node:crypto';
import type { Run, RunStatus } from './release.ts';

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
  spec: { release: string; to: string };
  /** `record` holds the facts and intents; everything beside it is made for people and tools, and never read back. */
  status?: { record?: RunStatus; [shown: string]: unknown };
}

/** Reads a Downgrade. */
export function readRun(object: DowngradeObject): Run {
  return {
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    generation: object.metadata.generation ?? 0,
    release: object.spec.release,
    to: object.spec.to,
    shownPhase: String(object.status?.phase ?? ''),
    createdAt: object.metadata.creationTimestamp ?? '',
    status: object.status?.record ?? {},
  };
}

/** The run of a release that is not over yet; the oldest, should there be several. */
export function activeRun(objects: readonly DowngradeObject[], release: string): Run | undefined {
  const open = objects.filter((o) => o.spec.release === release && !o.status?.record?.completedAt).map(readRun);
  return open.sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.name.localeCompare(b.name))[0];
}

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
    metadata: { name: `${release}-${hash}`, namespace, labels: { 'downdraft.dev/release': release } },
    spec: { release, to },
  };
}
