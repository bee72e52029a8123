/**
 * The workloads of all releases, by name and by release. Of each only what names its images and its database is kept, as
 * text: 6,000 of them take some 10 MB so, and parsing one takes microseconds.
 */
import { databaseContainers } from '../../release/airflow/charts.ts';
import { readWorkload } from '../../release/kubernetes/workloads.ts';
import { annotation, type ContainerSpec, type WorkloadObject } from '../../release/model/kubernetes.ts';

interface Kept {
  text: string;
  /** namespace/release. */
  release: string;
  /** The watches that tell of it; a workload can carry the labels of two. */
  by: readonly string[];
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
    const kept = workloads.get(id);
    const others = kept?.by.filter((teller) => teller !== by) ?? [];
    if (type === 'DELETED' && kept && others.length > 0) {
      kept.by = others;
      return;
    }
    drop(id);
    const read = type === 'DELETED' ? undefined : readWorkload(object);
    if (!read) return;
    const release = `${namespace}/${read.release}`;
    releases.set(release, (releases.get(release) ?? new Set()).add(id));
    workloads.set(id, { text: JSON.stringify(folded(slim(object, read.container))), release, by: [...others, by] });
  };
  const parsed = (id: string): WorkloadObject | undefined => {
    const kept = workloads.get(id);
    return kept && unfolded(JSON.parse(kept.text) as WorkloadObject);
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

/** A container that has the environment of the workload's first one: mostly all have, and it is most of the text. */
type Folded = ContainerSpec & { asFirst?: true };

function folded(object: WorkloadObject): WorkloadObject {
  const [first, ...others] = containersOf(object);
  const told = JSON.stringify([first?.env, first?.envFrom]);
  for (const container of others) {
    if (JSON.stringify([container.env, container.envFrom]) !== told) continue;
    delete container.env;
    delete container.envFrom;
    container.asFirst = true;
  }
  return object;
}

function unfolded(object: WorkloadObject): WorkloadObject {
  const [first, ...others] = containersOf(object);
  for (const container of others) {
    if (!container.asFirst) continue;
    delete container.asFirst;
    if (first?.env) container.env = first.env;
    if (first?.envFrom) container.envFrom = first.envFrom;
  }
  return object;
}

function containersOf({ spec }: WorkloadObject): Folded[] {
  const { containers, initContainers = [] } = spec.template.spec;
  return [...containers, ...initContainers];
}

function checksumsIn(annotations: Record<string, string>): string[] {
  return Object.keys(annotations).filter((key) => key.startsWith('checksum/'));
}

function pick(from: Record<string, string>, keys: string[]): Record<string, string> {
  return Object.fromEntries(keys.flatMap((key) => (from[key] === undefined ? [] : [[key, from[key]]])));
}
