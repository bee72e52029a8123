/**
 * Where the schema is, and who else is on the database: read from outside by the stored workload's own connection, else
 * asked inside a pod of the release, which resolves every form of connection as Airflow does.
 */
import { mainContainerOf, mainStatusOf } from '../../release/kubernetes/main-container.ts';
import type { DatabaseState, Session } from '../../release/model/database.ts';
import type { Release } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import type { RunnerState } from '../../release/model/runner.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Pod, Workload } from '../../release/model/workload.ts';
import { foremost } from '../../release/verdict/workload.ts';
import type { Reads } from '../ports.ts';

export interface Looks {
  now(): Date;
  /** Release → what ran when its database was last compared with its images, so that a quiet release is not dialled. */
  examined: Map<string, string>;
  /** Release → the last answer of a pod and when it came; asking one takes seconds of its CPU. */
  asked: Map<string, { at: number; told: Told }>;
}

/** None seen is not known to be none, where it is said why they could not be seen. */
type SeenSessions = Pick<Release, 'sessions' | 'sessionsUnseen'>;

export interface Told {
  database: DatabaseState;
  sessions?: Session[];
}

interface Subject {
  namespace: string;
  name: string;
  workloads: Workload[];
  pods: Pod[];
  run: Run | undefined;
  runner: RunnerState;
}

/** How long a pod's answer serves while nothing is being reversed. */
const pauseMs = 10_000;

/** Looks at the database where something of the release is held, under way, or new since the last look. Never throws. */
export async function observeDatabase(
  reads: Reads,
  subject: Subject,
  looks: Looks,
): Promise<{ database: DatabaseState } & SeenSessions> {
  const { namespace, name, workloads, pods, run } = subject;
  const key = `${namespace}/${name}`;
  const concerned = run !== undefined || pods.some((p) => p.gated) || workloads.some((w) => w.hold);
  const shape = shapeOf(workloads, pods);
  if (!concerned && looks.examined.get(key) === shape) return unread('nothing of the release has changed');
  looks.examined.set(key, shape);
  const outside = await fromOutside(reads, workloads);
  // Not known is not examined: the next change of a pod looks again.
  if (outside.state !== 'read') looks.examined.delete(key);
  if (outside.state === 'read') return { database: outside, ...(await sessionsOutside(reads, subject)) };
  if (!concerned || isElsewhere(workloads)) return { database: outside, sessions: [] };
  const established = establishedState(run);
  if (established) return { database: established, sessions: [] };
  const inside = await fromInside(reads, subject, looks, outside.why);
  return { database: inside.database, sessions: wantsSessions(subject) ? others(inside.sessions ?? [], pods) : [] };
}

/** Once verified, or back where it was, no pod is left that could be asked, until the first one that may start runs. */
function establishedState(run: Run | undefined): DatabaseState | undefined {
  const { verifiedAt, returnedAt, versionTables, plan } = run?.status ?? {};
  if (!(verifiedAt || returnedAt) || !versionTables || !plan) return undefined;
  return { state: 'read', versionTables, airflowTables: true, identity: plan.identity };
}

function unread(why: string): { database: DatabaseState; sessions: Session[] } {
  return { database: { state: 'unreadable', why }, sessions: [] };
}

/** What the comparison depends on: which images are asked for, which ones run, which database is named. */
function shapeOf(workloads: Workload[], pods: Pod[]): string {
  const ids = pods.flatMap((p) => (p.object.status?.containerStatuses ?? []).map((s) => s.imageID ?? ''));
  return JSON.stringify([workloads.map((w) => [w.name, w.images, w.connection]), [...new Set(ids)].sort()]);
}

async function fromOutside(reads: Reads, workloads: Workload[]): Promise<Exclude<DatabaseState, undefined>> {
  if (workloads.length === 0) return { state: 'unreadable', why: 'no workload of the release is left' };
  const workload = foremost(workloads);
  return reads.database(workload.object, workload.container);
}

/** Old pods have the connection from before the change: what they say is not about the database that is named now. */
function isElsewhere(workloads: Workload[]): boolean {
  return workloads.some((w) => w.hold?.connection !== undefined && w.hold.connection !== w.connection);
}

async function fromInside(reads: Reads, subject: Subject, { asked, now }: Looks, why: string): Promise<Told> {
  const key = `${subject.namespace}/${subject.name}`;
  const last = asked.get(key);
  const reversing = subject.run?.status.schemaStartedAt !== undefined;
  if (last && !reversing && now().getTime() - last.at < pauseMs) return last.told;
  const pod = speakerOf(subject);
  if (!pod) return { database: { state: 'unreadable', why } };
  const told = await reads.askPod(subject.namespace, pod.name, pod.container);
  if (told.database.state === 'unreadable')
    told.database = { state: 'unreadable', why: `${why}; and pod/${pod.name} says: ${told.database.why}` };
  asked.set(key, { at: now().getTime(), told });
  return told;
}

/** A pod that runs: the runner first, since it stays to the end, then one of the image from before the change. */
function speakerOf({ pods, workloads }: Subject): { name: string; container: string } | undefined {
  const running = pods.filter(
    (p) => ['airflow', 'runner'].includes(p.role) && !p.gated && !p.ended && !p.terminating && mainOf(p),
  );
  const before = workloads.flatMap((w) => w.hold?.from ?? []);
  const rank = (p: Pod) => (p.role === 'runner' ? 0 : before.includes(p.image) ? 1 : 2);
  const pod = running.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))[0];
  return pod && { name: pod.name, container: mainOf(pod)! };
}

function mainOf({ object }: Pod): string | undefined {
  return mainStatusOf(object)?.state?.running ? mainContainerOf(object) : undefined;
}

/** Only asked once the pods are gone and nothing is begun: then every session that is left is somebody else's. */
function wantsSessions({ run, workloads }: Subject): boolean {
  return Boolean(run?.status.drainedAt && !run.status.schemaStartedAt && workloads.length > 0);
}

async function sessionsOutside(reads: Reads, subject: Subject): Promise<SeenSessions> {
  if (!wantsSessions(subject)) return { sessions: [] };
  const workload = foremost(subject.workloads);
  try {
    return { sessions: others(await reads.sessions(workload.object, workload.container), subject.pods) };
  } catch (error) {
    return { sessions: [], sessionsUnseen: wordsOfThrown(error) };
  }
}

function others(sessions: Session[], pods: Pod[]): Session[] {
  const runners = pods.filter((p) => p.role === 'runner').map((p) => p.object.status?.podIP);
  return sessions.filter((s) => !runners.includes(s.client));
}
