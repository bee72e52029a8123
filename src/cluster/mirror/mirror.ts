/**
 * The mirror: what reviews need of the cluster, kept up to date by watches, so that a review asks the API server nothing.
 * It may be some milliseconds old; the controller reads live, but for policies until it is about to begin something.
 */
import type { DowngradeObject } from '../../release/kubernetes/downgrade.ts';
import type { ImageKnowledge, Owner } from '../../release/model/image.ts';
import { label, type WorkloadObject } from '../../release/model/kubernetes.ts';
import type { PolicyObject } from '../../release/policy/policy.ts';
import type { Client } from '../client/client.ts';
import { core, everywhere } from '../client/paths.ts';
import { type Watched, watch } from '../client/watch.ts';
import { learnedFrom, learnedIn } from '../learned-images.ts';
import { makeShelf } from './workload-store.ts';

export interface Mirror {
  workload(kind: string, namespace: string, name: string): WorkloadObject | undefined;
  workloadsOf(namespace: string, release: string): WorkloadObject[];
  releases(): { namespace: string; name: string }[];
  downgradesIn(namespace: string): DowngradeObject[];
  /** What was learned for this very release. */
  learned(of: Owner): readonly ImageKnowledge[];
  policies(): PolicyObject[];
  /** undefined: there is no such namespace (yet). */
  labelsOf(namespace: string): Record<string, string> | undefined;
  namespaces(): { name: string; labels: Record<string, string> }[];
  /** What has not been told completely yet; undefined when all has. */
  missing(): string | undefined;
  /** What has not been told anew for too long; undefined when all is fresh. */
  stale(): string | undefined;
  /** Told of every change, as it comes, until the signal. */
  onChange(listener: (what: What, object: Watched, type: Change['type']) => void, signal: AbortSignal): void;
}

type What = 'workload' | 'policy' | 'namespace';

/** The mirror, for whoever decides by it. Throws what has not been told yet, or not for too long: neither is "nothing". */
export function upToDate(mirror: Mirror): Mirror {
  const unknown = mirror.missing() ?? mirror.stale();
  if (unknown) throw new Error(unknown);
  return mirror;
}

/** Labels by which workloads of Airflow are found, one for each profile. */
const workloadSelectors = ['tier=airflow', 'app=airflow', label.release];

type Change = { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Watched };
type Listener = Parameters<Mirror['onChange']>[0];

/**
 * Starts the watches; they end with the signal. `staleMs`: longer than a watch takes to begin anew; older knowledge is none.
 */
export function startMirror(
  client: Client,
  own: string,
  signal: AbortSignal,
  onRetry: (path: string, error: unknown) => void,
  staleMs = 20_000,
): Mirror {
  const shelf = makeShelf();
  const downgrades = new Map<string, DowngradeObject>();
  const policies = new Map<string, PolicyObject>();
  const namespaces = new Map<string, Record<string, string>>();
  let learned = new Map<string, ImageKnowledge[]>();
  const { follow, ...states } = following(client, signal, onRetry, staleMs);
  const { tell, onChange } = telling();
  for (const labelSelector of workloadSelectors)
    for (const [kind, path] of Object.entries({
      Deployment: everywhere.deployments,
      StatefulSet: everywhere.statefulsets,
    }))
      follow(
        path,
        tell('workload', ({ type, object }) =>
          shelf.put(Object.assign(object, { kind }) as WorkloadObject, type, labelSelector),
        ),
        { labelSelector },
      );
  follow(
    everywhere.downgrades,
    keepIn(downgrades, (o) => withoutShown(o as never)),
  );
  follow(
    everywhere.policies,
    tell(
      'policy',
      keepIn(policies, (o) => o as never),
    ),
  );
  follow(
    everywhere.namespaces,
    tell(
      'namespace',
      keepIn(namespaces, (o) => o.metadata.labels ?? {}),
    ),
  );
  const takeLearned = ({ type, object }: Change) => {
    if (object.metadata.name === learnedIn) learned = byRelease(type === 'DELETED' ? {} : object);
  };
  follow(core(own, 'configmaps'), takeLearned, { fieldSelector: `metadata.name=${learnedIn}` });
  return {
    workload: shelf.get,
    workloadsOf: shelf.of,
    releases: shelf.releases,
    downgradesIn: (namespace) => [...downgrades.values()].filter((d) => d.metadata.namespace === namespace),
    learned: (of) => learned.get(releaseKey(of)) ?? [],
    policies: () => [...policies.values()],
    ...namespacesOf(namespaces),
    ...states,
    onChange,
  };
}

function byRelease(configMap: object): Map<string, ImageKnowledge[]> {
  const all = Map.groupBy(learnedFrom(configMap), releaseKey);
  return new Map([...all].map(([key, entries]) => [key, entries.map(({ knowledge }) => knowledge)]));
}

function releaseKey({ namespace, release }: Owner): string {
  return JSON.stringify([namespace, release]);
}

/** A change is taken first and then told, so that a listener finds the mirror as it says. */
function telling() {
  const listeners = new Set<Listener>();
  const tell = (what: What, take: (change: Change) => void) => (change: Change) => {
    take(change);
    for (const listener of listeners) listener(what, change.object, change.type);
  };
  const onChange: Mirror['onChange'] = (listener, until) => {
    listeners.add(listener);
    until.addEventListener('abort', () => listeners.delete(listener), { once: true });
  };
  return { tell, onChange };
}

function namespacesOf(namespaces: Map<string, Record<string, string>>) {
  return {
    labelsOf: (namespace: string) => namespaces.get(namespace),
    namespaces: () => [...namespaces].map(([name, labels]) => ({ name, labels })),
  };
}

/** The watches of one mirror and how they are. */
function following(
  client: Client,
  signal: AbortSignal,
  onRetry: (path: string, error: unknown) => void,
  staleMs: number,
) {
  const waiting = new Set<string>();
  const lost = new Map<string, number>();
  const follow = (
    path: string,
    take: (change: Change) => void,
    selectors: { labelSelector?: string; fieldSelector?: string } = {},
  ): void => {
    const what = `${path}${selectors.labelSelector ? `?${selectors.labelSelector}` : ''}`;
    waiting.add(what);
    void watch<Watched>(client, path, {
      ...selectors,
      signal,
      onChange: take,
      onState: (state) => {
        if (state.state === 'retrying') {
          if (!lost.has(what)) lost.set(what, performance.now());
          return onRetry(what, state.error);
        }
        waiting.delete(what);
        lost.delete(what);
      },
    });
  };
  const missing = () => (waiting.size === 0 ? undefined : `not listed yet: ${[...waiting].join(', ')}`);
  const stale = () => {
    const what = [...lost].find(([, since]) => performance.now() - since > staleMs)?.[0];
    return what && `${what} can't be watched for ${staleMs / 1000} s or more`;
  };
  return { follow, missing, stale };
}

function keepIn<T>(map: Map<string, T>, keep: (object: Watched) => T) {
  return ({ type, object }: Change) => {
    const key = object.metadata.namespace
      ? `${object.metadata.namespace}/${object.metadata.name}`
      : object.metadata.name;
    if (type === 'DELETED') map.delete(key);
    else map.set(key, keep(object));
  };
}

function withoutShown({ apiVersion, kind, metadata, spec, status }: DowngradeObject): DowngradeObject {
  const { name, namespace, uid, generation, creationTimestamp } = metadata;
  const kept = { name, namespace, uid, generation, creationTimestamp } as DowngradeObject['metadata'];
  return { apiVersion, kind, metadata: kept, spec, ...(status?.record ? { status: { record: status.record } } : {}) };
}
