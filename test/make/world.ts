/**
 * A world in memory: releases with their API server, workload controllers (rollouts.ts), kubelet, images and databases
 * (containers.ts), each reduced to what the controller can see of it. `tick` lets everybody but downdraft move on by one
 * step. It serves the rules level, where thousands of runs must fit in seconds; the same loop meets the real ones in
 * test/loop and test/stories.
 */

import { bareTrialPod, gateConfiguration, trialPod } from '../../src/cluster/drain-webhook.ts';
import type { Reads, StoredRollout } from '../../src/controller/ports.ts';
import { recognize } from '../../src/release/airflow/charts.ts';
import { snapshotApis } from '../../src/release/downgrade/snapshots.ts';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import { backupVolume } from '../../src/release/kubernetes/helper-pods.ts';
import { keptPod } from '../../src/release/kubernetes/kept-fields.ts';
import type { DatabaseState, Session } from '../../src/release/model/database.ts';
import type { ImageKnowledge } from '../../src/release/model/image.ts';
import { nameOf, type PodObject, type PodSpec, type WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { defaultRules, type Mode, type Rules } from '../../src/release/model/policy.ts';
import type { BackupObject, Outlook } from '../../src/release/model/release.ts';
import type { WaitingTrigger } from '../../src/release/model/runner.ts';
import {
  digestsOf,
  isBehind,
  isMisfit,
  mainImage,
  makeContents,
  migrateUp,
  probeLog,
  roleOf,
  secretOf,
  takeUpLog,
  work,
} from './containers.ts';
import { admitOwn, drained } from './door.ts';
import { makeDatabase, type Version } from './release.ts';
import { makeRollouts, ownerName } from './rollouts.ts';
import type { World } from './world-parts.ts';
import { makeWrites } from './writes.ts';

/** True when a pod is neither held back by a gate, nor being deleted, nor over: kubelet then runs it. */
function isRunnable({ metadata, spec, status }: PodObject): boolean {
  const waits = (spec.schedulingGates ?? []).length > 0 || metadata.deletionTimestamp;
  return !waits && !['Succeeded', 'Failed'].includes(status?.phase ?? '');
}

function containerName(pod: PodObject): string {
  const image = mainImage(pod);
  return pod.spec.containers.find((c) => c.image === image)!.name;
}

/** The status that kubelet writes. */
function report(pod: PodObject, phase: 'Pending' | 'Running' | 'Succeeded', state: object, imageID?: string): void {
  pod.status = {
    phase,
    conditions: [{ type: 'Ready', status: phase === 'Running' ? 'True' : 'False' }],
    containerStatuses: [{ name: containerName(pod), ...(imageID ? { imageID } : {}), state }],
  };
}

function unscheduled(pod: PodObject, claim: string): void {
  const message = `0/1 nodes are available: persistentvolumeclaim "${claim}" not found.`;
  const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
  pod.status = { phase: 'Pending', conditions };
}

function crashed(pod: PodObject): void {
  const state = { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } };
  const lastState = { terminated: { exitCode: 1, reason: 'Error' } };
  pod.status = {
    phase: 'Pending',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [{ name: containerName(pod), state, lastState }],
  };
}

/** As the API server matches the gate's selectors; what it is shown, the webhook gates when it knows it as Airflow's. */
function isCaught(gate: string, { metadata, spec }: PodObject): boolean {
  const [namespace = '', release = ''] = gate.split('/');
  if (metadata.namespace !== namespace) return false;
  if (!recognize(metadata, spec) && spec.containers[0]?.image !== 'downdraft.dev/none') return false;
  const { labels = {} } = metadata;
  return gateConfiguration(namespace, release, { url: 'https://downdraft' }).webhooks.some(
    ({ objectSelector: { matchLabels, matchExpressions } }) =>
      Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
      matchExpressions.every(({ key }) => labels[key] === undefined),
  );
}

export function makeWorld(workloads: WorkloadObject[]): World {
  const files = new Map<string, Map<string, string>>();
  let serial = 0;
  const world = {
    workloads,
    pods: [] as PodObject[],
    downgrades: [] as DowngradeObject[],
    gates: new Set<string>(),
    gateBroken: false,
    refusesPods: (() => undefined) as World['refusesPods'],
    rightsMissing: [] as string[],
    learned: {} as Record<string, ImageKnowledge>,
    registryLost: false,
    events: [] as World['events'],
    broken: new Set<string>(),
    crashing: new Set<string>(),
    lastLog: '',
    history: [] as StoredRollout[],
    busy: new Set<string>(),
    stuck: new Set<string>(),
    contents: {} as Record<string, string>,
    registryTells: false,
    unreadableRows: 0,
    undecipherable: 0,
    triggers: [] as WaitingTrigger[],
    missing: new Set<string>(),
    copies: {} as World['copies'],
    copyImpossible: undefined as string | undefined,
    copyFails: undefined as string | undefined,
    dumps: {} as World['dumps'],
    dumpImpossible: undefined as string | undefined,
    claimsMissing: new Set<string>(),
    claimModes: {} as Record<string, string[]>,
    warnings: {} as Record<string, string>,
    meshed: false,
    mirror: ((image) => image) as World['mirror'],
    admits: (() => undefined) as World['admits'],
    backups: [] as BackupObject[],
    maker: undefined as World['maker'],
    outlook: {} as Outlook,
    refuses: undefined as string | undefined,
    copyKept: undefined as string | undefined,
    stepFails: undefined as string | undefined,
    countFails: undefined as string | undefined,
    rows: { 'public.dag': 3, 'public.dag_run': 1 } as Record<string, number>,
    lostRows: {} as Record<string, number>,
    harm: [] as string[],
    database: makeDatabase() as DatabaseState,
    databases: {} as Record<string, DatabaseState>,
    backend: 'postgresql',
    outside: undefined as string | undefined,
    sessions: [] as Session[],
    migrates: false,
    dialled: [] as string[],
    settings: (() => ({})) as World['settings'],
    keys: [] as string[],
    mode: 'Hold' as Mode,
    rules: defaultRules as Rules,
    now: new Date('2026-11-21T12:00:00Z'),
  };
  const { versionIn, imageID } = makeContents(world.contents);

  const store = (pod: PodObject) => {
    const caught = [...world.gates].some((gate) => isCaught(gate, pod));
    const { metadata, ...rest } = caught ? drained(pod) : pod;
    files.delete(pod.metadata.name);
    for (const container of rest.spec.containers) container.image = world.mirror(container.image!);
    const creationTimestamp = world.now.toISOString();
    world.pods.push({ ...rest, metadata: { ...metadata, uid: `uid-${serial++}`, creationTimestamp } });
  };
  const rollouts = makeRollouts(() => world.pods, store);

  const databaseBy = (secret: string): DatabaseState => {
    if (['af-metadata', 'af-config-envs'].includes(secret)) return world.database;
    const identity = { database: secret, oid: '16390', cluster: '7300000000000000001' };
    world.databases[secret] ??= { ...makeDatabase(), identity };
    return world.databases[secret];
  };
  const databaseOf = (metadata: PodObject['metadata'], spec: PodSpec) => databaseBy(secretOf(metadata, spec));

  const runAirflow = (pod: PodObject, version: Version) => {
    const database = databaseOf(pod.metadata, pod.spec);
    const recognized = recognize(pod.metadata, pod.spec);
    if (database.state !== 'read' || !recognized) return;
    const migrates = recognized.component.endsWith('-migrations');
    if (migrates && isBehind(version, database)) {
      world.harm.push(`${pod.metadata.name} took the database forward`);
      migrateUp(version, database);
    } else if (world.migrates && isBehind(version, database)) migrateUp(version, database);
    if (isMisfit(version, database))
      world.harm.push(
        `${pod.metadata.name} ran ${mainImage(pod)} while the database was at ${database.versionTables.alembic_version}`,
      );
  };

  const runRunner = (pod: PodObject, version: Version) => {
    const database = databaseOf(pod.metadata, pod.spec);
    const folder = files.get(pod.metadata.name) ?? new Map<string, string>();
    files.set(pod.metadata.name, folder);
    if (database.state === 'read') work(folder, version, database, world, backupVolume(pod));
  };

  /** What the main container does once its image is there. */
  const runContainer = (pod: PodObject, id: string) => {
    const role = roleOf(pod);
    const version = versionIn(id);
    const over = { terminated: { exitCode: 0 } };
    if (role === 'probe') return report(pod, world.meshed ? 'Running' : 'Succeeded', over, id);
    report(pod, 'Running', { running: {} }, id);
    if (role === 'runner') return runRunner(pod, version);
    runAirflow(pod, version);
    if (pod.metadata.ownerReferences?.[0]?.kind === 'Job' && !world.busy.has(pod.metadata.name))
      report(pod, 'Succeeded', over, id);
  };

  const runPod = (pod: PodObject) => {
    const image = mainImage(pod);
    const claim = backupVolume(pod)?.claim;
    if (claim && world.claimsMissing.has(claim)) return unscheduled(pod, claim);
    if (world.broken.has(image))
      return report(pod, 'Pending', { waiting: { reason: 'ImagePullBackOff', message: 'not found' } });
    if (world.crashing.has(pod.metadata.name)) return crashed(pod);
    // What was pulled at the start stays, wherever the tag points by now.
    runContainer(pod, pod.status?.containerStatuses?.[0]?.imageID ?? imageID(image));
  };

  const tick = () => {
    world.now = new Date(world.now.getTime() + 1000);
    world.pods = world.pods.filter((p) => !p.metadata.deletionTimestamp || world.stuck.has(p.metadata.name));
    rollouts.collect(world.workloads);
    for (const w of world.workloads) rollouts.roll(w);
    for (const b of world.backups) if (world.maker) b.status = world.maker(b);
    for (const p of world.pods) if (isRunnable(p)) runPod(p);
  };

  const within = <T extends { metadata: { namespace?: string } }>(objects: T[], namespace: string) =>
    structuredClone(objects.filter((o) => o.metadata.namespace === namespace));
  const fromOutside = (w: WorkloadObject): DatabaseState => {
    const secret = secretOf(w.metadata, w.spec.template.spec);
    world.dialled.push(`database ${secret}`);
    if (world.outside !== undefined) return { state: 'unreadable', why: world.outside };
    return structuredClone(databaseBy(secret));
  };
  const fromInside = (name: string): DatabaseState => {
    world.dialled.push(`pod ${name}`);
    const pod = world.pods.find((p) => p.metadata.name === name);
    if (pod?.status?.phase !== 'Running') return { state: 'unreadable', why: `pod/${name} does not run` };
    return structuredClone(databaseOf(pod.metadata, pod.spec));
  };
  const reads: Reads = {
    workloads: async (namespace) => within(world.workloads, namespace),
    pods: async (namespace) => within(world.pods, namespace).flatMap((pod) => keptPod(pod) ?? []),
    pod: async (namespace, name) => within(world.pods, namespace).find((pod) => pod.metadata.name === name),
    replicaSetOwners: async (namespace) =>
      Object.fromEntries(
        within(world.workloads, namespace)
          .filter((w) => w.kind === 'Deployment')
          .map((w) => [ownerName(w), w.metadata.name]),
      ),
    downgrades: async (namespace) => within(world.downgrades, namespace),
    job: async (namespace, name) => {
      const made = within(world.pods, namespace).find((p) => p.metadata.ownerReferences?.[0]?.name === name);
      if (!made) return undefined;
      const { uid } = made.metadata.ownerReferences![0]!;
      return {
        metadata: { name, namespace, uid },
        spec: { template: { metadata: { labels: made.metadata.labels! }, spec: made.spec } },
      };
    },
    gateExists: async (namespace, release) => world.gates.has(`${namespace}/${release}`),
    tryPods: async (namespace, release, workloads) =>
      (workloads.length > 0 ? workloads : [undefined]).map((w) => {
        const refused = w && world.refusesPods(w.object);
        const there = world.gates.has(`${namespace}/${release}`) && !world.gateBroken && !refused;
        const gated =
          there && isCaught(`${namespace}/${release}`, w ? trialPod(w.object) : bareTrialPod(namespace, release));
        const about = w
          ? { workload: nameOf(w), profile: w.profile }
          : { workload: 'a bare pod', profile: 'official' as const };
        return { ...about, gated, ...(refused ? { refused } : {}) };
      }),
    missingRights: async () => world.rightsMissing,
    podLog: async (_, name) => {
      const pod = world.pods.find((p) => p.metadata.name === name)!;
      if (world.crashing.has(name)) return world.lastLog;
      return name.includes('-triggers-') ? takeUpLog(pod, world.missing) : probeLog(versionIn(mainImage(pod)));
    },
    podWarning: async (_, uid) => world.warnings[uid],
    claimModes: async (_, claims) =>
      Object.fromEntries(claims.flatMap((name) => (world.claimModes[name] ? [[name, world.claimModes[name]]] : []))),
    runnerFiles: async (_, name, __, paths) =>
      paths.map((p) => (p.endsWith('/pid') ? '1' : files.get(name)?.get(p.slice(p.lastIndexOf('/') + 1)))),
    database: async (workload) => fromOutside(workload),
    sessions: async () => structuredClone(world.sessions),
    obstacles: async (way) => world.outlook[way] ?? [],
    backupObject: async (way, namespace, name) => {
      const { kind } = snapshotApis[way];
      const is = (b: BackupObject) => b.kind === kind && b.metadata.namespace === namespace && b.metadata.name === name;
      return structuredClone(world.backups.find(is));
    },
    learnedImages: async ({ namespace, release }) =>
      Object.values(structuredClone(world.learned)).map((knowledge) => ({
        namespace,
        release,
        usedAt: world.now.toISOString(),
        knowledge,
      })),
    digest: async (image) =>
      world.registryLost ? { unknown: 'it does not answer' } : { digest: imageID(image).split('@')[1]! },
    ranBefore: async (_, objects) =>
      Object.fromEntries(objects.map((w) => [`${w.kind!.toLowerCase()}/${w.metadata.name}`, rollouts.imagesOf(w)])),
    digestSettings: async (_, name, __, of, key) => {
      const pod = world.pods.find((p) => p.metadata.name === name);
      if (pod?.status?.phase !== 'Running') return { fault: 'does not run' };
      world.keys.push(key);
      return digestsOf(world.settings(pod, of), key);
    },
    askPod: async (_, name) => ({ database: fromInside(name), sessions: structuredClone(world.sessions) }),
    registry: async (image) => {
      world.dialled.push(`registry ${image}`);
      if (!world.registryTells) return undefined;
      return { version: versionIn(image), from: 'label', digest: imageID(image).split('@')[1]! };
    },
    policy: async () => ({ mode: world.mode, rules: world.rules }),
    policyNow: async () => ({ mode: world.mode, rules: world.rules }),
    rollouts: async () => structuredClone(world.history),
    templatesBefore: async (_, objects) =>
      Object.fromEntries(
        objects.flatMap((w) => {
          const template = rollouts.finished(w);
          const name = `${w.kind!.toLowerCase()}/${w.metadata.name}`;
          return template ? [[name, structuredClone(template)]] : [];
        }),
      ),
  };
  const admit = (object: WorkloadObject, before: WorkloadObject) => admitOwn(world as World, object, before);
  const writes = makeWrites(world, files, store, admit);
  return Object.assign(world, { reads, writes, tick });
}
