/**
 * Observe: everything a decision about one release needs, read live into one frozen snapshot. Nothing is decided here
 * and nothing is written.
 */
import { knowImage } from '../release/images.ts';
import { foremost } from '../release/next.ts';
import { activeRun } from '../release/record.ts';
import type { DatabaseState, GateState, ImageKnowledge, Pod, Release, Run, Workload } from '../release/release.ts';
import { readPod, readWorkload, releaseOfPod } from '../release/workload.ts';
import { observeProbe, observeRunner } from './answers.ts';
import type { Reads } from './ports.ts';

export interface ObserveSettings {
  repositories: readonly string[];
  now(): Date;
}

/** Reads one release. Throws when the API server can't be asked; what the database can't tell is part of the answer. */
export async function observe(
  reads: Reads,
  { namespace, name }: { namespace: string; name: string },
  settings: ObserveSettings,
): Promise<Release> {
  const [objects, podObjects, owners, downgrades, gateExists, learned] = await Promise.all([
    reads.workloads(namespace),
    reads.pods(namespace),
    reads.replicaSetOwners(namespace),
    reads.downgrades(namespace),
    reads.gateExists(namespace, name),
    reads.learnedImages(),
  ]);
  const workloads = objects.map(readWorkload).filter((w): w is Workload => w?.release === name);
  const pods = podObjects.filter((p) => releaseOfPod(p) === name).map((p) => readPod(p, owners));
  const run = activeRun(downgrades, name);
  const concerned = run !== undefined || pods.some((p) => p.gated) || workloads.some((w) => w.hold);
  const [gate, probe, runner] = await Promise.all([
    observeGate(reads, { namespace, name, gateExists, run }),
    observeProbe(reads, run, pods, settings.now()),
    observeRunner(reads, run, pods, settings.now()),
  ]);
  // After the runner: what it says is done must be seen to be done.
  const database = await (concerned ? observeDatabase(reads, workloads) : unread('nothing of the release is held'));
  const release: Release = {
    namespace,
    name,
    workloads,
    pods,
    database,
    images: knowImages(workloads, pods, run, learned, settings),
    run,
    gate,
    probe,
    runner,
    sessions: await observeSessions(reads, workloads, run, pods),
    now: settings.now(),
  };
  return Object.freeze(release);
}

async function observeDatabase(reads: Reads, workloads: Workload[]): Promise<DatabaseState> {
  if (workloads.length === 0) return unread('no workload of the release is left');
  const workload = foremost(workloads);
  return reads.database(workload.object, workload.container);
}

async function unread(why: string): Promise<DatabaseState> {
  return { state: 'unreadable', why };
}

async function observeGate(
  reads: Reads,
  { namespace, name, gateExists, run }: { namespace: string; name: string; gateExists: boolean; run: Run | undefined },
): Promise<GateState> {
  if (!gateExists) return 'absent';
  if (!run?.status.drainStartedAt) return { written: 'nothing is drained' };
  try {
    const inForce = await reads.gateInForce(namespace, name);
    return inForce ? 'inForce' : { written: 'waiting for the gate to be in force' };
  } catch (error) {
    return { written: `can't prove that the gate is in force: ${error instanceof Error ? error.message : error}` };
  }
}

/** Only asked once the pods are gone and nothing is begun: then every session that is left is somebody else's. */
async function observeSessions(reads: Reads, workloads: Workload[], run: Run | undefined, pods: Pod[]) {
  if (!run?.status.drainedAt || run.status.schemaStartedAt || workloads.length === 0) return [];
  const workload = foremost(workloads);
  const sessions = await reads.sessions(workload.object, workload.container);
  const runners = pods.filter((p) => p.role === 'runner').map((p) => p.object.status?.podIP);
  return sessions.filter((s) => !runners.includes(s.client));
}

function knowImages(
  workloads: Workload[],
  pods: Pod[],
  run: Run | undefined,
  learned: Record<string, ImageKnowledge>,
  settings: ObserveSettings,
): Release['images'] {
  const declared = new Map(workloads.map((w) => [w.image, w.declaredVersion]));
  const images = new Set([...workloads.map((w) => w.image), ...pods.map((p) => p.image), ...(run ? [run.to] : [])]);
  return Object.fromEntries(
    [...images].map((image) => [
      image,
      knowImage(image, {
        learned: Object.hasOwn(learned, image) ? learned[image] : undefined,
        repositories: settings.repositories,
        declared: declared.get(image),
      }),
    ]),
  );
}
