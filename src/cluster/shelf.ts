/**
 * The workloads of all releases, by name and by release. Of each only what names its images and its database is kept, as
 * text: 6,000 of them take some 15 MB so, and parsing one takes microseconds.
 */
import type { ContainerSpec, WorkloadObject } from '../release/objects.ts';
import { annotation, databaseContainers } from '../release/profiles.ts';
import { readWorkload } from '../release/workload.ts';

interface Kept {
  text: string;
  /** namespace/release. */
  release: string;
  /** The watches that tell of it; a workload can carry the labels of two. */
  by: Set<string>;
}

/** An empty shelf. `put` takes every change of a workload, from whichever watch. */
export function makeShelf() {
  const workloads = new Map<string, Kept>();
  const releases = new Map<string, Set<string>>();

  const drop = (id: string) => {
    const release = workloads.get(id)?.release ?? '';
    const ids = releases.get(release);
    ids?.delete(id);
    if (ids?.size === 0) releases.delete(release);
    workloads.delete(id);
  };
  const put = (object: WorkloadObject, type: 'ADDED' | 'MODIFIED' | 'DELETED', by: string): void => {
    const { namespace = 'default', name } = object.metadata;
    const id = `${object.kind}/${namespace}/${name}`;
    const tellers = workloads.get(id)?.by ?? new Set();
    if (type === 'DELETED') tellers.delete(by);
    else tellers.add(by);
    const read = type === 'DELETED' ? undefined : readWorkload(object);
    if (!read) {
      if (type !== 'DELETED' || tellers.size === 0) drop(id);
      return;
    }
    drop(id);
    const release = `${namespace}/${read.release}`;
    releases.set(release, (releases.get(release) ?? new Set()).add(id));
    workloads.set(id, { text: JSON.stringify(slim(object, read.container)), release, by: tellers });
  };
  const parsed = (id: string): WorkloadObject | undefined => {
    const kept = workloads.get(id);
    return kept && (JSON.parse(kept.text) as WorkloadObject);
  };
  return {
    put,
    get: (kind: string, namespace: string, name: string) => parsed(`${kind}/${namespace}/${name}`),
    of: (namespace: string, release: string): WorkloadObject[] =>
      [...(releases.get(`${namespace}/${release}`) ?? [])].flatMap((id) => parsed(id) ?? []),
    releases: () =>
      [...releases.keys()].map((key) => ({
        namespace: key.slice(0, key.indexOf('/')),
        name: key.slice(key.indexOf('/') + 1),
      })),
  };
}

/** What a review looks at, and no more. */
function slim(object: WorkloadObject, container: string): WorkloadObject {
  const { kind, metadata, spec } = object;
  const pod = spec.template.spec;
  const main = databaseContainers(pod, container);
  const some = (of: ContainerSpec[] | undefined) =>
    (of ?? [])
      .filter((c) => main.includes(c))
      .map(({ name, image, env, envFrom }) => ({ name, image, env, envFrom }) as ContainerSpec);
  const told = spec.template.metadata?.annotations ?? {};
  const { labels } = spec.template.metadata ?? {};
  return {
    kind,
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace,
      uid: metadata.uid,
      labels: metadata.labels,
      annotations: pick(metadata.annotations ?? {}, Object.values(annotation)),
    },
    spec: {
      replicas: spec.replicas,
      paused: spec.paused,
      updateStrategy: spec.updateStrategy,
      template: {
        // The checksums tell whether a change also brings another content of the connection's Secret.
        metadata: { labels, annotations: pick(told, [annotation.version, ...checksumsIn(told)]) },
        spec: {
          containers: some(pod.containers),
          initContainers: some(pod.initContainers),
          schedulingGates: pod.schedulingGates,
          imagePullSecrets: pod.imagePullSecrets,
          serviceAccountName: pod.serviceAccountName,
        },
      },
    },
  } as WorkloadObject;
}

function checksumsIn(annotations: Record<string, string>): string[] {
  return Object.keys(annotations).filter((key) => key.startsWith('checksum/'));
}

function pick(from: Record<string, string>, keys: string[]): Record<string, string> {
  return Object.fromEntries(keys.flatMap((key) => (from[key] === undefined ? [] : [[key, from[key]]])));
}
