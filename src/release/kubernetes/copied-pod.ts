/**
 * What a pod of ours takes over from the spec of one of Airflow's: environment, volumes, service account and placement, so
 * that it sees database and configuration as Airflow does; not what would keep it from starting beside its source or from
 * ending, nor what admission adds anew.
 */
import { waitContainers } from '../airflow/charts.ts';
import { startedAs } from '../airflow/command-line.ts';
import type { ContainerSpec, PodObject, PodSpec, PodTemplate } from '../model/kubernetes.ts';
import { type Injected, injectedInto } from './injected.ts';
import { keptNative, proxiesBeside } from './sidecars.ts';

export interface Copied {
  /** The main container. */
  container: string;
  image: string;
  /** argv of our program. */
  command: string[];
  /** The template of the pod that is copied, where it is known. */
  template?: PodTemplate | undefined;
  /** A runner opens the database, the other pods of ours do not. */
  role: 'probe' | 'runner';
  /** Access modes of the namespace's volume claims, as far as they are known. */
  claims?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** The spec of a pod of ours. */
export function copiedSpec(
  source: PodObject,
  { container, image, command, template, role, claims = {} }: Copied,
): PodSpec {
  const { spec } = source;
  const injected = injectedInto(source, template);
  const own = spec.containers.find((c) => c.name === container) ?? spec.containers[0]!;
  const main = { ...plain(own, injected), image, ...startedAs(own, command) };
  if (!main.command) delete main.command;
  const before = (spec.initContainers ?? []).filter(
    (c) => !waitContainers.includes(c.name) && !injected.container(c.name),
  );
  const native = keptNative(before);
  const beside = { ...spec, containers: spec.containers.filter((c) => !injected.container(c.name)) };
  const initContainers = [
    ...before
      .filter((c) => c.restartPolicy !== 'Always' || native.includes(c))
      .map((c) => (native.includes(c) ? mounted(c, injected) : plain(c, injected))),
    ...(role === 'runner' ? proxiesBeside(beside, own).map((c) => mounted(c, injected)) : []),
  ];
  const volumes = volumesOf(spec, [main, ...initContainers], injected);
  return {
    ...taken(spec),
    containers: [main],
    initContainers,
    volumes,
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 5,
    ...placement(spec, volumes, claims),
  };
}

/** Without what belongs to the one pod (its node, name, gates, claims of devices) or would keep the copy from its place. */
function taken(spec: PodSpec): Omit<PodSpec, 'containers'> {
  const left = [
    'containers',
    'ephemeralContainers',
    'nodeName',
    'hostname',
    'subdomain',
    'schedulingGates',
    'readinessGates',
    'resourceClaims',
    'priority',
    'serviceAccount',
    'activeDeadlineSeconds',
    'affinity',
    'topologySpreadConstraints',
  ];
  return Object.fromEntries(Object.entries(spec).filter(([name]) => !left.includes(name)));
}

function plain(container: ContainerSpec, injected: Injected): ContainerSpec {
  const left = [
    'livenessProbe',
    'readinessProbe',
    'startupProbe',
    'lifecycle',
    'ports',
    'restartPolicy',
    'restartPolicyRules',
  ];
  const rest = Object.fromEntries(Object.entries(container).filter(([name]) => !left.includes(name))) as ContainerSpec;
  return mounted(withoutDevices(rest), injected);
}

function withoutDevices(container: ContainerSpec): ContainerSpec {
  const { resources, ...rest } = container as ContainerSpec & { resources?: Record<string, unknown> };
  if (!resources) return rest;
  const { claims: _, ...kept } = resources;
  return { ...rest, resources: kept };
}

function mounted(container: ContainerSpec, injected: Injected): ContainerSpec {
  return { ...container, volumeMounts: (container.volumeMounts ?? []).filter((m) => !injected.volume(m.name)) };
}

/** Those that are mounted. A folder stands for what the claims of a StatefulSet bring, which its template does not name. */
function volumesOf(spec: PodSpec, containers: ContainerSpec[], injected: Injected): NonNullable<PodSpec['volumes']> {
  const names = new Set(
    containers.flatMap((c) => [...(c.volumeMounts ?? []), ...devicesOf(c)]).map(({ name }) => name),
  );
  const volumes = (spec.volumes ?? []).filter((v) => names.has(v.name) && !injected.volume(v.name));
  const missing = [...names].filter((name) => volumes.every((v) => v.name !== name));
  return [...volumes, ...missing.map((name) => ({ name, emptyDir: {} }))];
}

function devicesOf({ volumeDevices }: ContainerSpec): { name: string }[] {
  return Array.isArray(volumeDevices) ? volumeDevices : [];
}

/** The names of the claims that a pod of this spec mounts. */
export function claimsOf({ volumes = [] }: PodSpec): string[] {
  return volumes.flatMap(({ persistentVolumeClaim }) => {
    const name = (persistentVolumeClaim as { claimName?: unknown } | undefined)?.claimName;
    return typeof name === 'string' ? [name] : [];
  });
}

const anyNode = ['ReadWriteMany', 'ReadOnlyMany'];

/**
 * No (anti-)affinity to other pods: where every node has one of Airflow's there would be no place. Near its source, where
 * the image is already, but a full node must not stop a rescue; on that very node only where a volume is bound to it.
 */
function placement(spec: PodSpec, volumes: NonNullable<PodSpec['volumes']>, claims: NonNullable<Copied['claims']>) {
  const { nodeAffinity } = (spec.affinity ?? {}) as { nodeAffinity?: Record<string, unknown> };
  const { nodeName } = spec;
  if (!nodeName) return nodeAffinity ? { affinity: { nodeAffinity } } : {};
  const bound = claimsOf({ containers: [], volumes }).some(
    (name) => claims[name] && !claims[name].some((mode) => anyNode.includes(mode)),
  );
  const here = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }] };
  return { affinity: { nodeAffinity: bound ? onNode(nodeAffinity, here) : nearNode(nodeAffinity, here) } };
}

type Term = Record<string, unknown>;

function nearNode(given: Term | undefined, here: Term): Term {
  const preferred = given?.preferredDuringSchedulingIgnoredDuringExecution;
  const others = Array.isArray(preferred) ? preferred : [];
  return { ...given, preferredDuringSchedulingIgnoredDuringExecution: [...others, { weight: 100, preference: here }] };
}

/** Any of the terms is enough, so each gets the node. */
function onNode(given: Term | undefined, here: Term): Term {
  const required = given?.requiredDuringSchedulingIgnoredDuringExecution as { nodeSelectorTerms?: Term[] } | undefined;
  const terms = required?.nodeSelectorTerms ?? [{}];
  return {
    ...given,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms.map((term) => ({ ...term, ...here })) },
  };
}
