/** What a controller can change of a world in memory, as the API server and a container's files take it. */

import type { Writes } from '../../src/controller/ports.ts';
import { CopyKept } from '../../src/release/downgrade/retention.ts';
import { BackupRefused } from '../../src/release/downgrade/snapshots.ts';
import { type DowngradeObject, isTaken, NameTaken } from '../../src/release/kubernetes/downgrade.ts';
import { gateName, type PodObject, type WorkloadObject } from '../../src/release/model/kubernetes.ts';
import type { BackupObject } from '../../src/release/model/release.ts';
import { merge } from './merge.ts';
import type { World } from './world-parts.ts';

/**
 * `files` are those of the pods' containers, by pod; `store` stores a new pod; `admit` is the door: it answers what is
 * stored of a changed workload, or throws.
 */
export function makeWrites(
  world: Omit<World, 'reads' | 'writes' | 'tick'>,
  files: Map<string, Map<string, string>>,
  store: (pod: PodObject) => void,
  admit: (object: WorkloadObject, before: WorkloadObject) => Promise<WorkloadObject>,
): Writes {
  /** Bound to the version that was looked at, as the API server does it: also by what comes in while the door is asked. */
  const replace = async (
    { kind, metadata }: WorkloadObject,
    version: string | undefined,
    change: (stored: WorkloadObject) => WorkloadObject,
  ) => {
    const stands = () => {
      const at = world.workloads.findIndex((w) => w.kind === kind && w.metadata.name === metadata.name);
      if (at < 0) throw new Error(`${kind} ${metadata.name} not found`);
      const stored = world.workloads[at]!;
      if (version !== stored.metadata.resourceVersion) throw changed(`${kind} ${metadata.name}`);
      return { at, stored };
    };
    const { stored } = stands();
    const admitted = await admit(structuredClone(change(stored)), structuredClone(stored));
    world.workloads[stands().at] = asStored(admitted, stored);
  };
  const find = (name: string, uid: string) =>
    world.pods.find((p) => p.metadata.name === name && p.metadata.uid === uid);
  return {
    createDowngrade: async (object) => {
      const there = world.downgrades.find((d) => d.metadata.name === object.metadata.name);
      if (there && isTaken(there, object)) throw new NameTaken(object.metadata.name);
      if (there) return;
      const creationTimestamp = world.now.toISOString();
      const uid = `uid-${object.metadata.name}`;
      const metadata = { ...object.metadata, uid, creationTimestamp, resourceVersion: '1' };
      world.downgrades.push({ ...structuredClone(object), metadata });
    },
    patchDowngradeStatus: async (_, name, status, { resourceVersion }) => {
      const object = world.downgrades.find((d) => d.metadata.name === name)!;
      const { metadata } = object;
      if (resourceVersion !== metadata.resourceVersion) throw changed(`Downgrade ${name}`);
      metadata.resourceVersion = String(Number(metadata.resourceVersion ?? 0) + 1);
      object.status = merge(object.status ?? {}, structuredClone(status)) as DowngradeObject['status'];
      return metadata.resourceVersion;
    },
    deleteDowngrade: async (_, name, { uid, resourceVersion }) => {
      const { metadata } = world.downgrades.find((d) => d.metadata.name === name) ?? {};
      if (metadata && (metadata.uid !== uid || metadata.resourceVersion !== resourceVersion))
        throw changed(`Downgrade ${name}`);
      world.downgrades = world.downgrades.filter((d) => d.metadata.name !== name);
    },
    createPod: async (pod) => {
      if (world.pods.some((p) => p.metadata.name === pod.metadata.name)) return undefined;
      const refused = world.admits(pod);
      if (refused !== undefined) throw Object.assign(new Error(refused), { status: 422 });
      store({ ...structuredClone(pod), status: { phase: 'Pending' } });
      return structuredClone(world.pods.find((p) => p.metadata.name === pod.metadata.name));
    },
    deletePod: async (_, name, uid) => {
      const pod = find(name, uid);
      const ends = world.now.getTime() + (pod?.spec.terminationGracePeriodSeconds ?? 30) * 1000;
      if (pod) pod.metadata.deletionTimestamp ??= new Date(ends).toISOString();
    },
    ungatePod: async (_, name, uid) => {
      const pod = find(name, uid);
      if (pod) pod.spec.schedulingGates = (pod.spec.schedulingGates ?? []).filter((g) => g.name !== gateName);
    },
    labelPod: async (_, name, uid, labels) => {
      const pod = find(name, uid);
      if (pod) pod.metadata.labels = merge(pod.metadata.labels, labels) as Record<string, string>;
    },
    patchWorkload: (workload, patch) =>
      replace(
        workload,
        (patch.metadata as { resourceVersion?: string }).resourceVersion,
        (stored) => merge(stored, patch) as WorkloadObject,
      ),
    restoreTemplate: (workload, template) =>
      replace(workload, workload.metadata.resourceVersion, (stored) => ({
        ...stored,
        spec: { ...stored.spec, template },
      })),
    dropCopy: async (_, __, { name }) => {
      if (world.copyKept !== undefined) throw new CopyKept(world.copyKept);
      delete world.copies[name];
    },
    createGate: async (namespace, release) => void world.gates.add(`${namespace}/${release}`),
    deleteGate: async (namespace, release) => void world.gates.delete(`${namespace}/${release}`),
    deleteJob: async (_, name, uid) => {
      const is = (p: PodObject) => p.metadata.ownerReferences?.some((o) => o.name === name && o.uid === uid);
      world.pods = world.pods.filter((p) => !is(p));
    },
    writeFile: async (_, pod, __, path, text) => {
      const dir = files.get(pod) ?? new Map<string, string>();
      files.set(pod, dir.set(path.slice(path.lastIndexOf('/') + 1), text));
    },
    startDetached: async (_, pod) => void files.set(pod, files.get(pod) ?? new Map()),
    createBackup: async (object) => {
      if (world.refuses !== undefined) throw new BackupRefused(world.refuses);
      const { name, namespace } = object.metadata;
      const there = ({ metadata }: BackupObject) => metadata.name === name && metadata.namespace === namespace;
      if (!world.backups.some(there)) world.backups.push(structuredClone(object));
    },
    learnImage: async ({ knowledge }) => {
      world.learned[knowledge.image] = structuredClone(knowledge);
    },
    forgetImage: async (_, image) => {
      delete world.learned[image];
    },
    event: async ({ reason, message, object }) =>
      void world.events.push({ reason, message, about: `${object.kind.toLowerCase()}/${object.name}` }),
  };
}

/** As the API server answers a write that is bound to another version. */
function changed(what: string): Error {
  return Object.assign(new Error(`${what} has been modified`), { status: 409 });
}

/** What the API server sets on every write; a change of the spec is a new generation. */
export function asStored(object: WorkloadObject, before: WorkloadObject | undefined): WorkloadObject {
  const changed = !before || JSON.stringify(object.spec) !== JSON.stringify(before.spec);
  const generation = (before?.metadata.generation ?? 0) + (changed ? 1 : 0);
  const resourceVersion = String(Number(before?.metadata.resourceVersion ?? 99) + 1);
  return { ...object, metadata: { ...object.metadata, generation, resourceVersion } };
}
