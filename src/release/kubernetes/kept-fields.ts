/**
 * What is kept of the objects of a list: what a decision needs. A namespace may have thousands of pods, 10 KB each, and
 * most of that is who wrote which field, environment and volumes. What is written back or copied is read whole by then.
 */
import { type ContainerSpec, label, type Metadata, type PodObject, type WorkloadObject } from '../model/kubernetes.ts';
import { entryPointMigrates } from './migrations.ts';
import { readWorkload } from './workloads.ts';

/** What Airflow's executor labels the pod of a task with: of tens of thousands of pods each one is another text. */
const taskLabels = ['dag_id', 'task_id', 'run_id', 'map_index', 'try_number', 'execution_date', 'airflow-worker'];

const noted = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * A pod as it is judged; undefined for one that has ended and that nobody asks about any more: of all that ended only
 * downdraft's own pods are looked at, and those by which a workload tells why it does not get Ready.
 */
export function keptPod(object: PodObject): PodObject | undefined {
  const { apiVersion, kind, metadata, spec, status } = object;
  // Of these the volumes are read, too; there are two at most.
  if (metadata.labels?.[label.role] !== undefined) return { ...object, metadata: withoutNotes(metadata) };
  const owner = metadata.ownerReferences?.find((o) => o.controller)?.kind ?? '';
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  if (ended && !['ReplicaSet', 'StatefulSet'].includes(owner)) return undefined;
  return {
    ...(apiVersion && kind ? { apiVersion, kind } : {}),
    metadata: {
      ...withoutNotes(metadata),
      labels: Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([key]) => !taskLabels.includes(key))),
    },
    spec: {
      ...claimsAlone(spec),
      ...only(spec, ['nodeName', 'schedulingGates', 'terminationGracePeriodSeconds']),
      containers: spec.containers.map(asKnown),
      ...(spec.initContainers ? { initContainers: spec.initContainers.map(asKnown) } : {}),
    },
    ...(status ? { status: keptStatus(status) } : {}),
  };
}

/** Of the volumes the claims: they say which pod can be copied, and where to. */
function claimsAlone({ volumes = [] }: PodObject['spec']): Pick<PodObject['spec'], 'volumes'> {
  const claims = volumes.filter((v) => v.persistentVolumeClaim !== undefined);
  return claims.length > 0 ? { volumes: claims } : {};
}

function keptStatus(status: NonNullable<PodObject['status']>): NonNullable<PodObject['status']> {
  const { conditions, ...rest } = only(status, [
    'phase',
    'podIP',
    'reason',
    'message',
    'conditions',
    'containerStatuses',
    'initContainerStatuses',
  ]);
  const told = conditions?.filter(({ type }) => type === 'Ready' || type === 'PodScheduled');
  return { ...rest, ...(told ? { conditions: told } : {}) };
}

/** By which a container is known: its name, its image, what it runs, and whether its entry point migrates. */
function asKnown(container: ContainerSpec): ContainerSpec {
  const env = container.env?.filter(({ name }) => entryPointMigrates.includes(name)) ?? [];
  const known = only(container, ['name', 'image', 'command', 'args', 'restartPolicy']) as ContainerSpec;
  return env.length > 0 ? { ...known, env } : known;
}

/** A workload of Airflow, whole but for the notes of those who wrote it; undefined for any other. */
export function keptWorkload(object: WorkloadObject): WorkloadObject | undefined {
  return readWorkload(object) && { ...object, metadata: withoutNotes(object.metadata) };
}

/** An object's metadata without who wrote which field and what kubectl wrote last: often more than all the rest. */
export function withoutNotes<M extends Partial<Metadata>>(metadata: M): M {
  const { managedFields: _, ...kept } = metadata as M & { managedFields?: unknown };
  if (metadata.annotations?.[noted] === undefined) return kept as unknown as M;
  const { [noted]: __, ...annotations } = metadata.annotations;
  return { ...(kept as unknown as M), annotations };
}

function only<T extends object, K extends keyof T>(object: T, keys: K[]): Pick<T, K> {
  const kept: Partial<T> = {};
  for (const key of keys) if (object[key] !== undefined) kept[key] = object[key];
  return kept as Pick<T, K>;
}
