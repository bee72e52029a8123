/**
 * A world in memory: one release with its API server, workload controllers, kubelet, images and database, each reduced
 * to what the controller can see of it. `tick` lets everybody but downdraft move on by one step. It serves the rules
 * level, where thousands of runs must fit in seconds; the same loop meets the real ones in test/loop and test/stories.
 */
import type { Reads, Writes } from '../../src/controller/ports.ts';
import { isStopped } from '../../src/release/hold.ts';
import type { PodObject, WorkloadObject } from '../../src/release/objects.ts';
import { gateName, label } from '../../src/release/profiles.ts';
import type { DowngradeObject } from '../../src/release/record.ts';
import type { DatabaseState, ImageKnowledge, Inspection, Mode } from '../../src/release/release.ts';
import { merge } from './merge.ts';
import { makePod } from './pod.ts';
import { makeDatabase, makeImage, revisionsOf } from './release.ts';

type Version = keyof typeof revisionsOf;

export interface World {
  reads: Reads;
  writes: Writes;
  workloads: WorkloadObject[];
  pods: PodObject[];
  downgrades: DowngradeObject[];
  gates: Set<string>;
  learned: Record<string, ImageKnowledge>;
  events: { reason: string; message: string }[];
  /** Images that can't be pulled. */
  broken: Set<string>;
  /** Rows in the new form that the runner finds when it looks. */
  unreadableRows: number;
  /** The next step that the runner begins fails with this. */
  stepFails: string | undefined;
  /** Whoever ran a main container of this image while the database was not at its head. */
  harm: string[];
  database: DatabaseState;
  /** What the namespace's DowngradePolicy says. */
  mode: Mode;
  now: Date;
  tick(): void;
}

const versionOf = (image: string) => image.slice(image.lastIndexOf(':') + 1) as Version;

export function makeWorld(workloads: WorkloadObject[]): World {
  const files = new Map<string, Map<string, string>>();
  let serial = 0;
  const world = {
    workloads,
    pods: [] as PodObject[],
    downgrades: [] as DowngradeObject[],
    gates: new Set<string>(),
    learned: {} as Record<string, ImageKnowledge>,
    events: [] as World['events'],
    broken: new Set<string>(),
    unreadableRows: 0,
    stepFails: undefined as string | undefined,
    harm: [] as string[],
    database: makeDatabase() as DatabaseState,
    mode: 'Hold' as Mode,
    now: new Date('2026-11-21T12:00:00Z'),
  };

  const mainImage = (w: WorkloadObject) => w.spec.template.spec.containers[0]!.image!;
  const podsOf = (w: WorkloadObject) =>
    world.pods.filter((p) => p.metadata.ownerReferences?.[0]?.name === ownerName(w) && p.metadata.labels?.component);
  const ownerName = (w: WorkloadObject) => (w.kind === 'Deployment' ? `${w.metadata.name}-rs` : w.metadata.name);
  const isGated = (p: PodObject) => (p.spec.schedulingGates ?? []).length > 0;
  const imageOf = (p: PodObject) => p.spec.containers[0]!.image!;

  const create = (w: WorkloadObject, image: string) => {
    const component = w.metadata.labels!.component!;
    const owner = { kind: w.kind === 'Deployment' ? 'ReplicaSet' : 'StatefulSet', name: ownerName(w) };
    const name = `${w.metadata.name}-${serial++}`;
    world.pods.push(makePod({ name, component, image, owner, gated: world.gates.size > 0, phase: 'Pending' }));
  };

  /** What a ReplicaSet or StatefulSet controller does next for one workload. */
  const roll = (w: WorkloadObject) => {
    const desired = mainImage(w);
    const pods = podsOf(w).filter((p) => !p.metadata.deletionTimestamp);
    const current = (w.status?.runs as string | undefined) ?? desired;
    const stopped = isStopped(w.kind!, w);
    const old = pods.filter((p) => imageOf(p) !== desired);
    const fresh = pods.filter((p) => imageOf(p) === desired);
    if (stopped) {
      if (pods.length < w.spec.replicas!) create(w, current);
    } else if (w.kind === 'Deployment') {
      if (fresh.length < w.spec.replicas!) create(w, desired);
      else if (fresh.every((p) => p.status?.phase === 'Running'))
        for (const p of old) p.metadata.deletionTimestamp = 'now';
    } else if (old.some((p) => !isGated(p))) old[0]!.metadata.deletionTimestamp = 'now';
    else if (pods.length === 0) create(w, desired);
    const ready = pods.filter((p) => p.status?.phase === 'Running');
    const updated = fresh.length;
    w.status = {
      ...w.status,
      observedGeneration: w.metadata.generation!,
      replicas: pods.length,
      updatedReplicas: updated,
      readyReplicas: ready.length,
    };
    if (!stopped && fresh.length === w.spec.replicas && old.length === 0) w.status.runs = desired;
  };

  const rows = () => (world.database.state === 'read' ? world.database.versionTables : {});
  const inspection = (image: string): Inspection => {
    const managers = makeImage(versionOf(image)).managers!;
    return {
      at: world.now.toISOString(),
      airflowVersion: versionOf(image),
      core: {
        heads: [revisionsOf['3.2.1'].core],
        chain: [
          { revision: revisionsOf['3.2.1'].core, down: 'middle' },
          { revision: 'middle', down: revisionsOf['3.1.8'].core },
          { revision: revisionsOf['3.1.8'].core, down: null },
        ],
      },
      managers: managers.map((m) => ({
        ...m,
        chain: [
          { revision: revisionsOf['3.2.1'].fab, down: revisionsOf['3.1.8'].fab },
          { revision: revisionsOf['3.1.8'].fab, down: null },
        ],
        command: 'fab-db' as const,
        canDowngrade: true,
      })),
      database: { ...makeDatabase(), versionTables: structuredClone(rows()), backend: 'postgresql' },
      rows: [
        { table: 'trigger', column: 'kwargs', count: world.unreadableRows, examples: world.unreadableRows ? [7] : [] },
      ],
    };
  };

  /** The runner's program: looks, then carries out one revision per tick. */
  const work = (pod: PodObject) => {
    const dir = files.get(pod.metadata.name) ?? new Map<string, string>();
    files.set(pod.metadata.name, dir);
    const look = dir.get('look');
    if (!dir.has('inspect.json') || dir.delete('look'))
      dir.set(
        'inspect.json',
        JSON.stringify({
          ...inspection(world.downgrades.at(-1)?.status?.record?.from?.image ?? 'apache/airflow:3.2.1'),
          ...(look ? { look } : {}),
        }),
      );
    const orders = dir.has('orders.json') && JSON.parse(dir.get('orders.json')!);
    if (!orders || dir.has('result.json')) return;
    const head = { token: orders.token, run: orders.run };
    if (world.stepFails) {
      dir.set(
        'result.json',
        JSON.stringify({
          ...head,
          ok: false,
          error: { kind: 'StepFailed', message: world.stepFails },
          versionTables: rows(),
        }),
      );
      world.stepFails = undefined;
      return;
    }
    const tables = rows();
    const [core, fab] = [
      orders.steps.find((s: { kind: string }) => s.kind === 'core'),
      orders.steps.find((s: { kind: string }) => s.kind === 'manager'),
    ];
    const at = tables.alembic_version![0]!;
    if (core && at !== core.toRevision) {
      tables.alembic_version = [at === 'middle' ? core.toRevision : 'middle'];
      dir.set(
        'progress.json',
        JSON.stringify({
          ...head,
          step: 0,
          steps: 2,
          kind: 'core',
          done: at === 'middle' ? 2 : 1,
          of: 2,
          revision: at,
          message: 'drop x',
        }),
      );
    } else if (fab && tables.alembic_version_fab![0] !== fab.toRevision) tables.alembic_version_fab = [fab.toRevision];
    else dir.set('result.json', JSON.stringify({ ...head, ok: true, versionTables: tables }));
  };

  const runPod = (pod: PodObject) => {
    const role = pod.metadata.labels?.[label.role];
    const name = pod.spec.containers[0]!.name;
    if (world.broken.has(imageOf(pod))) {
      pod.status = {
        phase: 'Pending',
        containerStatuses: [{ name, state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } } }],
      };
      return;
    }
    if (role === 'probe')
      pod.status = {
        phase: 'Succeeded',
        containerStatuses: [{ name, imageID: `${imageOf(pod)}@x`, state: { terminated: { exitCode: 0 } } }],
      };
    else {
      pod.status = {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [{ name, state: { running: {} } }],
      };
      if (role === 'runner') work(pod);
      else if (
        world.database.state === 'read' &&
        rows().alembic_version?.[0] !== revisionsOf[versionOf(imageOf(pod))].core
      )
        world.harm.push(`${pod.metadata.name} ran ${imageOf(pod)} while the database was at ${rows().alembic_version}`);
    }
  };

  const tick = () => {
    world.now = new Date(world.now.getTime() + 1000);
    world.pods = world.pods.filter((p) => !p.metadata.deletionTimestamp);
    for (const w of world.workloads) roll(w);
    for (const p of world.pods)
      if (!isGated(p) && p.status?.phase !== 'Succeeded' && !p.metadata.deletionTimestamp) runPod(p);
  };

  const find = (name: string, uid: string) =>
    world.pods.find((p) => p.metadata.name === name && p.metadata.uid === uid);
  const reads: Reads = {
    workloads: async () => structuredClone(world.workloads),
    pods: async () => structuredClone(world.pods),
    replicaSetOwners: async () =>
      Object.fromEntries(
        world.workloads.filter((w) => w.kind === 'Deployment').map((w) => [ownerName(w), w.metadata.name]),
      ),
    downgrades: async () => structuredClone(world.downgrades),
    gateExists: async () => world.gates.size > 0,
    gateInForce: async () => world.gates.size > 0,
    podLog: async (_, name) => {
      const pod = world.pods.find((p) => p.metadata.name === name)!;
      const { version, coreHead, managers } = makeImage(versionOf(imageOf(pod)));
      return `DOWNDRAFT-PROBE ${JSON.stringify({ airflowVersion: version, coreHeads: [coreHead], managers })}`;
    },
    runnerFiles: async (_, name, __, paths) =>
      paths.map((p) => (p.endsWith('/pid') ? '1' : files.get(name)?.get(p.slice(p.lastIndexOf('/') + 1)))),
    database: async () => structuredClone(world.database),
    sessions: async () => [],
    learnedImages: async () => structuredClone(world.learned),
    askPod: async () => ({ database: { state: 'unreadable', why: 'nobody can be asked' } }),
    registry: async () => undefined,
    mode: async () => world.mode,
  };
  const writes: Writes = {
    createDowngrade: async (object) => {
      if (world.downgrades.some((d) => d.metadata.name === object.metadata.name)) return;
      world.downgrades.push({
        ...structuredClone(object),
        metadata: {
          ...object.metadata,
          uid: `uid-${object.metadata.name}`,
          creationTimestamp: world.now.toISOString(),
        },
      });
    },
    patchDowngradeStatus: async (_, name, status) => {
      const object = world.downgrades.find((d) => d.metadata.name === name)!;
      object.status = merge(object.status ?? {}, structuredClone(status)) as DowngradeObject['status'];
    },
    createPod: async (pod) => {
      if (world.pods.some((p) => p.metadata.name === pod.metadata.name)) return;
      files.delete(pod.metadata.name);
      world.pods.push({
        ...structuredClone(pod),
        metadata: { ...pod.metadata, uid: `uid-${serial++}` },
        status: { phase: 'Pending' },
      });
    },
    deletePod: async (_, name, uid) => {
      const pod = find(name, uid);
      if (pod) pod.metadata.deletionTimestamp = 'now';
    },
    ungatePod: async (_, name, uid) => {
      const pod = find(name, uid);
      if (pod) pod.spec.schedulingGates = (pod.spec.schedulingGates ?? []).filter((g) => g.name !== gateName);
    },
    labelPod: async (_, name, uid, labels) => {
      const pod = find(name, uid);
      if (pod) pod.metadata.labels = merge(pod.metadata.labels, labels) as Record<string, string>;
    },
    patchWorkload: async (object, patch) => {
      const i = world.workloads.findIndex((w) => w.metadata.name === object.metadata.name);
      world.workloads[i] = merge(world.workloads[i], patch) as WorkloadObject;
    },
    createGate: async (namespace, release) => void world.gates.add(`${namespace}/${release}`),
    deleteGate: async (namespace, release) => void world.gates.delete(`${namespace}/${release}`),
    deleteJob: async (_, name) => {
      world.pods = world.pods.filter((p) => p.metadata.ownerReferences?.[0]?.name !== name);
    },
    writeFile: async (_, pod, __, path, text) => {
      const dir = files.get(pod) ?? new Map<string, string>();
      files.set(pod, dir.set(path.slice(path.lastIndexOf('/') + 1), text));
    },
    startDetached: async (_, pod) => void files.set(pod, files.get(pod) ?? new Map()),
    learnImage: async (knowledge) => {
      world.learned[knowledge.image] = knowledge;
    },
    forgetImage: async (image) => {
      delete world.learned[image];
    },
    event: async ({ reason, message }) => void world.events.push({ reason, message }),
  };
  return Object.assign(world, { reads, writes, tick });
}
