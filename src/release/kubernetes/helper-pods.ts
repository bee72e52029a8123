/**
 * The pods that downdraft makes: copies of what the release itself runs (copied-pod.ts), under names and labels of their own.
 */
import { selectorOf } from '../airflow/charts.ts';
import { annotation, label, type PodObject, type PodTemplate, runLabel } from '../model/kubernetes.ts';
import type { DumpPlace } from '../model/policy.ts';
import type { Run } from '../model/run.ts';
import { type AskedTrigger, runnerFolder } from '../model/runner.ts';
import type { Pod, ProfileName, Workload } from '../model/workload.ts';
import { type Copied, copiedSpec } from './copied-pod.ts';
import { keptAnnotations, keptLabels } from './injected.ts';
import { mainContainerOf, mainStatusOf } from './main-container.ts';
import { partOfName } from './object-names.ts';

interface Wanted {
  /** Name of the Downgrade. */
  run: string;
  namespace: string;
  release: string;
  profile: ProfileName;
  command: string[];
  /** Of the runner alone: the volume for dumps, the template of what it copies, the access modes of volume claims. */
  dumps?: DumpPlace | undefined;
  template?: PodTemplate | undefined;
  claims?: Copied['claims'];
}

/** A pod of the desired template that prints what its image needs. */
export function probePod(workload: Workload, wanted: Wanted): PodObject {
  const { template } = workload.object.spec;
  const { container, image } = workload;
  const source = { metadata: { name: '', ...template.metadata }, spec: template.spec };
  const { spec, ...pod } = helperPod(source, { role: 'probe', container, image, template }, wanted);
  return { ...pod, spec: { ...spec, activeDeadlineSeconds: probeDeadlineSeconds } };
}

/** Seconds after which kubelet ends the probe, with the pull of its image in them; another one is made then. */
const probeDeadlineSeconds = 1800;

/** Seconds after which kubelet ends the pod that asks about triggers: importing people's classes runs their code. */
const triggersDeadlineSeconds = 110;

/** A pod of the desired template that prints which of these triggers its image can take up (src/inside/downdraft/triggers.py). */
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

/** A run's name as the value of that label, and in the names of its pods: a person may call a Downgrade anything. */
export function runValue(run: string): string {
  return partOfName(run, 63);
}

/** The name of the probe's pod. */
function probeName(run: string): string {
  return `${runValue(run)}-probe`;
}

/** The name of the pod that asks about triggers: another one for each question, since an answer adds to the record. */
export function triggersName({ name, status }: Run): string {
  return `${runValue(name)}-triggers-${status.triggers?.length ?? 0}`;
}

/**
 * The warm copy of an old pod. Takes the digest that kubelet reported for the old one, where it is a name that can be
 * pulled, so that a tag pushed anew can't bring other reverse scripts.
 */
export function runnerPod(source: PodObject, wanted: Wanted): PodObject {
  const container = mainContainerOf(source);
  const imageID = mainStatusOf(source)?.imageID ?? '';
  const digest = /@sha256:[0-9a-f]{64}$/.test(imageID) ? imageID.replace(/^.*:\/\//, '') : undefined;
  const image = digest ?? source.spec.containers.find((c) => c.name === container)?.image ?? '';
  const pod = withFolder(helperPod(source, { role: 'runner', container, image, template: wanted.template }, wanted));
  return wanted.dumps ? withVolume(pod, wanted.dumps) : pod;
}

const folderName = 'downdraft-work';
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
  const mounts = spec.containers.flatMap((c) => c.volumeMounts ?? []);
  const mount = mounts.find(({ name }) => name === volumeName);
  return claim === undefined ? undefined : { claim, ...(mount?.subPath ? { subPath: String(mount.subPath) } : {}) };
}

/** Whether a pod counts in a quota: until all of it has ended, also when its main container has. */
export function holdsRoom({ object: { status } }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

/** True for a pod that downdraft made, false for an old pod that serves as runner. */
export function isCopy(pod: Pod): boolean {
  return pod.object.metadata.labels?.['app.kubernetes.io/managed-by'] === 'downdraft';
}

/** Until then nothing moves or ends them: not a consolidation, not a scale-down. An eviction by hand needs --force. */
const staying = {
  'karpenter.sh/do-not-disrupt': 'true',
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
};

type Source = Pick<Copied, 'role' | 'container' | 'image' | 'template'>;

function helperPod(source: PodObject, { role, container, image, template }: Source, wanted: Wanted): PodObject {
  const { run, namespace, release, profile, command, claims } = wanted;
  const spec = copiedSpec(source, { role, container, image, command, template, claims });
  const containers = [...spec.containers, ...(spec.initContainers ?? [])].map(({ name }) => name);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: role === 'probe' ? probeName(run) : `${runValue(run)}-runner`,
      namespace,
      // No component: NetworkPolicies of the charts go by the others, Services and selectors of workloads by all.
      labels: {
        ...keptLabels(source.metadata, template),
        ...selectorOf(profile, release),
        [label.role]: role,
        [runLabel]: runValue(run),
        'app.kubernetes.io/managed-by': 'downdraft',
      },
      annotations: {
        ...keptAnnotations(source.metadata, containers, template),
        ...staying,
        [annotation.container]: spec.containers[0]!.name,
      },
    },
    spec,
  };
}

/** A folder that can be written whatever the image allows: the container's own file system may be read-only. */
function withFolder(pod: PodObject): PodObject {
  const { containers, volumes = [] } = pod.spec;
  const mount = { name: folderName, mountPath: runnerFolder };
  const runner = containers.map((c) => ({ ...c, volumeMounts: [...(c.volumeMounts ?? []), mount] }));
  return {
    ...pod,
    spec: { ...pod.spec, containers: runner, volumes: [...volumes, { name: folderName, emptyDir: {} }] },
  };
}
