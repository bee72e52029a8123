/** Reduces rendered objects to the fields that official-chart-shape.json has of the official chart's, and compares the two. */
import type { ContainerSpec, WorkloadObject } from '../../src/release/model/kubernetes.ts';

export type Tree = string | number | boolean | null | undefined | Tree[] | { [key: string]: Tree };

/** A rendered object of any kind: only a workload or a Job has a template, only a Secret or ConfigMap data. */
export type Rendered = WorkloadObject & {
  kind: string;
  data?: Record<string, string>;
  spec?: { [field: string]: Tree };
};

/** One line in which ours is not like the official chart's, and both values, for people. */
export interface Difference {
  line: string;
  is: 'added' | 'changed' | 'left out';
  seen: string;
}

export const workloadKinds = ['Deployment', 'StatefulSet', 'Job'];

/** The same fields of an object as the official chart's file has. */
export function shapeOf(object: Rendered): Tree {
  const { kind, metadata } = object;
  // The label `chart` names the chart itself.
  const { chart: _, ...labels } = metadata.labels ?? {};
  const named = { kind, name: metadata.name, labels, annotations: metadata.annotations };
  if (kind === 'Secret') return { ...named, keys: Object.keys(object.data ?? {}) };
  if (kind === 'Service') return { ...named, selector: object.spec.selector as Tree };
  return { ...named, ...workloadShape(object) };
}

function workloadShape({ spec }: Rendered): Record<string, Tree> {
  const { metadata, spec: pod } = spec.template;
  const { strategy, replicas, ttlSecondsAfterFinished, volumeClaimTemplates } = spec as Record<string, Tree>;
  return {
    replicas,
    strategy,
    ttlSecondsAfterFinished,
    selector: (spec.selector as { matchLabels: Tree } | undefined)?.matchLabels,
    podLabels: metadata?.labels,
    podAnnotations: Object.keys(metadata?.annotations ?? {}),
    terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds,
    restartPolicy: pod.restartPolicy as Tree,
    serviceAccountName: pod.serviceAccountName as Tree,
    initContainers: (pod.initContainers ?? []).map(containerShape),
    containers: pod.containers.map(containerShape),
    volumes: (pod.volumes ?? []).map(({ name, ...source }) => ({ name, kind: Object.keys(source)[0] })),
    volumeClaimTemplates: (volumeClaimTemplates as { metadata: { name: string } }[] | undefined)?.map(
      (claim) => claim.metadata.name,
    ),
  };
}

function containerShape(container: ContainerSpec): Tree {
  const variables = (container.env ?? []).map(({ name, valueFrom }) => [name, valueFrom ?? 'value']);
  return {
    name: container.name,
    image: container.image,
    env: Object.fromEntries(variables),
    envFrom: (container.envFrom ?? []) as Tree,
    mounts: (container.volumeMounts ?? []).map((mount) => mount.mountPath as string),
    probes: Object.keys(container).filter((key) => key.endsWith('Probe')),
  };
}

/** One line for each leaf. A list of texts is a set; a list of objects goes by their names; null and absent are the same. */
function linesOf(tree: Tree, path: string): [string, string][] {
  if (tree === null || tree === undefined) return [];
  if (Array.isArray(tree)) {
    return tree.flatMap((item) => {
      if (typeof item !== 'object') return [[`${path} › ${item}`, 'present']] as [string, string][];
      return linesOf(item, `${path} › ${(item as { name: string }).name}`);
    });
  }
  if (typeof tree !== 'object') return [[path, String(tree)]];
  return Object.entries(tree).flatMap(([key, value]) => linesOf(value, `${path} › ${key}`));
}

function flatten(objects: Tree[]): Map<string, string> {
  const lines = (objects as { kind: string; name: string }[]).flatMap((object) => {
    // Deployment and StatefulSet are one group, so that a difference in kind is one line.
    const group = workloadKinds.includes(object.kind) ? 'Workload' : object.kind;
    return linesOf(object, `${group} ${object.name}`);
  });
  return new Map(lines);
}

/** Every line in which our objects differ from the official ones, in either direction. */
export function differences(official: Tree[], ours: Tree[]): Difference[] {
  const [theirs, own] = [flatten(official), flatten(ours)];
  return [...new Set([...theirs.keys(), ...own.keys()])].flatMap((line) => {
    const [wanted, got] = [theirs.get(line), own.get(line)];
    if (wanted === got) return [];
    const is = wanted === undefined ? 'added' : got === undefined ? 'left out' : 'changed';
    return [{ line, is, seen: `${line}: official ${wanted ?? 'absent'}, ours ${got ?? 'absent'}` }];
  });
}
