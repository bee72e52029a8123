/**
 * The two pods that downdraft makes. Both are copies of what the release itself runs: same environment, volumes, service
 * account and placement, so that they see the database and the configuration exactly as Airflow does; without probes,
 * ports, sidecars and the container that waits for the schema.
 */
import type { ContainerSpec, PodObject, PodSpec } from './objects.ts';
import type { DumpPlace } from './places.ts';
import { label, type ProfileName, recognize, selectorOf, waitContainers } from './profiles.ts';
import type { Pod, Run, Workload } from './release.ts';
import type { AskedTrigger } from './triggers.ts';

/** Ours, so that it can be told which run a pod belongs to. */
export const runLabel = 'downdraft.dev/run';

/** Where runner and controller exchange files, inside the container. */
export const runnerFolder = '/tmp/downdraft';

interface Wanted {
  /** Name of the Downgrade. */
  run: string;
  namespace: string;
  release: string;
  profile: ProfileName;
  command: string[];
  /** Of the runner alone: the volume for dumps. */
  dumps?: DumpPlace | undefined;
}

/** A pod of the desired template that prints what its image needs. */
export function probePod(workload: Workload, wanted: Wanted): PodObject {
  const { template } = workload.object.spec;
  return helperPod('probe', template.spec, workload.container, workload.image, wanted);
}

/** Seconds after which kubelet ends the pod that asks about triggers: importing people's classes runs their code. */
const triggersDeadlineSeconds = 110;

/** A pod of the desired template that prints which of these triggers its image can take up (src/inside/takeup.py). */
export function triggersPod(
  workload: Workload,
  wanted: Wanted,
  name: string,
  asked: readonly AskedTrigger[],
): PodObject {
  const { spec, metadata, ...rest } = probePod(workload, wanted);
  const question = { name: 'DOWNDRAFT_TRIGGERS', value: JSON.stringify(asked) };
  const containers = spec.containers.map((main) => ({ ...main, env: [...(main.env ?? []), question] }));
  const activeDeadlineSeconds = triggersDeadlineSeconds;
  return { ...rest, metadata: { ...metadata, name }, spec: { ...spec, containers, activeDeadlineSeconds } };
}

/** The name of the probe's pod. */
export function probeName(run: string): string {
  return `${run}-probe`;
}

/** The name of the pod that asks about triggers: another one for each question, since an answer adds to the record. */
export function triggersName({ name, status }: Run): string {
  return `${name}-triggers-${status.triggers?.length ?? 0}`;
}

/**
 * The warm copy of an old pod. Takes the digest that kubelet reported for the old one, where it is a name that can be
 * pulled, so that a tag pushed anew can't bring other reverse scripts.
 */
export function runnerPod(source: PodObject, wanted: Wanted): PodObject {
  const { metadata, spec, status } = source;
  const container = recognize(metadata, spec)?.container ?? spec.containers[0]!.name;
  const imageID = status?.containerStatuses?.find((c) => c.name === container)?.imageID ?? '';
  const digest = /@sha256:[0-9a-f]{64}$/.test(imageID) ? imageID.replace(/^.*:\/\//, '') : undefined;
  const image = digest ?? spec.containers.find((c) => c.name === container)?.image ?? '';
  const pod = helperPod('runner', spec, container, image, wanted);
  return wanted.dumps ? withVolume(pod, wanted.dumps) : pod;
}

const volumeName = 'downdraft-backup';

/** Where the volume for dumps is in the runner, as its program is told. */
const backupFolder = '/downdraft/backup';

function withVolume(pod: PodObject, { claim, subPath }: DumpPlace): PodObject {
  const { containers, volumes = [] } = pod.spec;
  const mount = { name: volumeName, mountPath: backupFolder, ...(subPath ? { subPath } : {}) };
  const runner = containers.map((c) => ({
    ...c,
    env: [...(c.env ?? []), { name: 'DOWNDRAFT_BACKUP_DIR', value: backupFolder }],
    volumeMounts: [...(c.volumeMounts ?? []), mount],
  }));
  const volume = { name: volumeName, persistentVolumeClaim: { claimName: claim } };
  return { ...pod, spec: { ...pod.spec, containers: runner, volumes: [...volumes, volume] } };
}

/** The volume for dumps that a runner was given; undefined when it has none. */
export function backupVolume({ spec }: PodObject): DumpPlace | undefined {
  const volume = spec.volumes?.find(({ name }) => name === volumeName);
  const claim = (volume?.persistentVolumeClaim as { claimName?: string } | undefined)?.claimName;
  const mount = spec.containers[0]?.volumeMounts?.find(({ name }) => name === volumeName);
  return claim === undefined ? undefined : { claim, ...(mount?.subPath ? { subPath: String(mount.subPath) } : {}) };
}

/** True for a pod that downdraft made, false for an old pod that serves as runner. */
export function isCopy(pod: Pod): boolean {
  return pod.object.metadata.labels?.['app.kubernetes.io/managed-by'] === 'downdraft';
}

function helperPod(
  role: 'probe' | 'runner',
  spec: PodSpec,
  container: string,
  image: string,
  { run, namespace, release, profile, command }: Wanted,
): PodObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: role === 'probe' ? probeName(run) : `${run}-runner`,
      namespace,
      // No component: NetworkPolicies of the charts go by the others, Services and selectors of workloads by all.
      labels: {
        ...selectorOf(profile, release),
        [label.role]: role,
        [runLabel]: run,
        'app.kubernetes.io/managed-by': 'downdraft',
      },
    },
    spec: helperSpec(spec, container, image, command),
  };
}

function helperSpec(spec: PodSpec, container: string, image: string, command: string[]): PodSpec {
  const { nodeName, schedulingGates: _, priority: __, hostname: ___, subdomain: ____, ...rest } = spec;
  const main = spec.containers.find((c) => c.name === container) ?? spec.containers[0]!;
  const initContainers = (spec.initContainers ?? []).filter(
    (c) => !waitContainers.includes(c.name) && c.restartPolicy !== 'Always',
  );
  const volumes = (spec.volumes ?? []).filter((v) => !isInjected(v.name));
  const mounted = [main, ...initContainers].flatMap((c) => plain(c).volumeMounts ?? []).map(({ name }) => name);
  // The template of a StatefulSet does not name the volumes that its claims bring (the logs of scheduler and triggerer).
  const claimed = new Set(mounted.filter((name) => volumes.every((v) => v.name !== name)));
  volumes.push(...[...claimed].map((name) => ({ name, emptyDir: {} })));
  return {
    ...rest,
    containers: [{ ...plain(main), image, command, args: [] }],
    ...(initContainers.length > 0 ? { initContainers: initContainers.map(plain) } : { initContainers: [] }),
    volumes,
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 5,
    ...(nodeName ? { affinity: near(nodeName, spec.affinity) } : {}),
  };
}

/** The API server injects the service account's token anew. */
function isInjected(volume: string): boolean {
  return volume.startsWith('kube-api-access-');
}

function plain(container: ContainerSpec): ContainerSpec {
  const { livenessProbe: _, readinessProbe: __, startupProbe: ___, lifecycle: ____, ports: _____, ...rest } = container;
  return { ...rest, volumeMounts: (container.volumeMounts ?? []).filter((m) => !isInjected(m.name)) };
}

/** Preferred, not required: the image is there already, but a full node must not stop a rescue. */
function near(node: string, affinity: unknown): Record<string, unknown> {
  const given = (affinity ?? {}) as { nodeAffinity?: Record<string, unknown> };
  const preference = { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] };
  const preferred =
    (given.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution as unknown[] | undefined) ?? [];
  return {
    ...given,
    nodeAffinity: {
      ...given.nodeAffinity,
      preferredDuringSchedulingIgnoredDuringExecution: [...preferred, { weight: 100, preference }],
    },
  };
}
