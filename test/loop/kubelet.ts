/**
 * A kubelet that runs nothing: it writes the status of the pods that the real scheduler binds, and finishes their
 * deletions. What a main container of Airflow would do first it does: it opens a session on the release's database and
 * reads how far the schema is. That is kept as evidence, and the session stays open as long as the pod runs.
 */
import pg from 'pg';
import type { Client } from '../../src/cluster/client/client.ts';
import { conflict, notFound } from '../../src/cluster/client/errors.ts';
import { core, mergePatch } from '../../src/cluster/client/paths.ts';
import { watch } from '../../src/cluster/client/watch.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import { keepNode } from './node.ts';
import { brokenStatus, runningStatus, succeededStatus } from './podstatus.ts';

/** One main container of Airflow that ran. Times are performance.now(). */
export interface MainContainer {
  namespace: string;
  pod: string;
  image: string;
  startedAt: number;
  endedAt: number | undefined;
  /** The revisions in alembic_version and alembic_version_fab when it started. */
  found: { core: string; fab: string };
}

export interface KubeletOptions {
  /** URL of the database of the releases in a namespace. */
  database(namespace: string): string;
  /** The pods in which downdraft's own programs run. */
  programs: { podStarted(pod: PodObject): void; podEnded(uid: string): void };
}

export interface Kubelet {
  ran: MainContainer[];
  /** Images that can't be pulled. */
  broken: Set<string>;
  /** What went wrong in the kubelet itself; a test must find it empty. */
  faults: unknown[];
  /** Ends the sessions that the pods of a namespace still hold. */
  endSessions(namespace: string): Promise<void>;
  stop(): Promise<void>;
}

interface Standing {
  namespace: string;
  main: MainContainer | undefined;
  session: pg.Client | undefined;
}

const nodeName = 'node-1';

/** Starts node and kubelet; resolves when pods can be scheduled. */
export async function startKubelet(client: Client, options: KubeletOptions): Promise<Kubelet> {
  const stopping = new AbortController();
  const standing = new Map<string, Standing>();
  const queues = new Map<string, Promise<void>>();
  const ended = new Set<string>();
  const kubelet: Kubelet = {
    ran: [],
    broken: new Set(),
    faults: [],
    endSessions: async (namespace) => {
      for (const pod of standing.values()) if (pod.namespace === namespace) await closeSession(pod);
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(queues.values());
      await watching;
      for (const pod of standing.values()) await closeSession(pod);
    },
  };
  const fault = (error: unknown) => {
    if (!stopping.signal.aborted) kubelet.faults.push(error);
  };
  const inTurn = (uid: string, act: () => Promise<void>) => {
    const turn = (queues.get(uid) ?? Promise.resolve()).then(act).catch(fault);
    queues.set(uid, turn);
    void turn.then(() => queues.get(uid) === turn && queues.delete(uid));
  };
  const end = async (uid: string) => {
    const pod = standing.get(uid);
    if (!pod) return;
    standing.delete(uid);
    options.programs.podEnded(uid);
    await closeSession(pod);
  };
  const take = async (pod: PodObject, deleted: boolean) => {
    const uid = pod.metadata.uid!;
    if (deleted || pod.metadata.deletionTimestamp) {
      await end(uid);
      if (!deleted && !ended.has(uid)) await finishDeletion(client, pod);
      ended.add(uid);
    } else if (pod.spec.nodeName === nodeName && !standing.has(uid) && !ended.has(uid)) {
      const begun: Standing = { namespace: pod.metadata.namespace!, main: undefined, session: undefined };
      standing.set(uid, begun);
      await start(client, pod, begun, kubelet, options);
    }
  };
  await keepNode(client, nodeName, stopping.signal, fault);
  const watching = watch<PodObject & { metadata: { uid?: string } }>(client, '/api/v1/pods', {
    onChange: ({ type, object }) => inTurn(object.metadata.uid!, () => take(object, type === 'DELETED')),
    signal: stopping.signal,
  });
  return kubelet;
}

async function start(client: Client, pod: PodObject, standing: Standing, kubelet: Kubelet, options: KubeletOptions) {
  const main = pod.spec.containers[0]!;
  const role = pod.metadata.labels?.[label.role];
  const podIP = addressOf(pod.metadata.uid!);
  if (kubelet.broken.has(main.image!)) return writeStatus(client, pod, brokenStatus(pod));
  if (role === 'probe') return writeStatus(client, pod, succeededStatus(pod, podIP));
  if (role === 'runner') options.programs.podStarted(pod);
  else await startMain(pod, standing, kubelet, options);
  await writeStatus(client, pod, runningStatus(pod, podIP));
}

async function startMain(pod: PodObject, standing: Standing, kubelet: Kubelet, options: KubeletOptions): Promise<void> {
  const { namespace = '', name } = pod.metadata;
  const connectionString = options.database(namespace);
  const session = new pg.Client({ connectionString, application_name: 'airflow', connectionTimeoutMillis: 10_000 });
  // The database of a run is dropped, or its server stopped, with sessions on it.
  session.on('error', () => undefined);
  standing.session = session;
  await session.connect();
  const { rows } = await session.query(
    'select (select version_num from alembic_version) as core, (select version_num from alembic_version_fab) as fab',
  );
  const image = pod.spec.containers[0]!.image!;
  standing.main = { namespace, pod: name, image, startedAt: performance.now(), endedAt: undefined, found: rows[0] };
  kubelet.ran.push(standing.main);
}

async function closeSession(standing: Standing): Promise<void> {
  const { session, main } = standing;
  standing.session = undefined;
  await session?.end();
  if (main && main.endedAt === undefined) main.endedAt = performance.now();
}

async function writeStatus(client: Client, pod: PodObject, status: unknown): Promise<void> {
  const { namespace = '', name, uid } = pod.metadata;
  const body = { metadata: { uid }, status };
  await unlessGone(client.request('PATCH', core(namespace, 'pods', name, 'status'), { body, contentType: mergePatch }));
}

async function finishDeletion(client: Client, pod: PodObject): Promise<void> {
  const { namespace = '', name, uid } = pod.metadata;
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid } };
  await unlessGone(client.request('DELETE', core(namespace, 'pods', name), { body }));
}

async function unlessGone(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!notFound(error) && !conflict(error)) throw error;
  }
}

/** One for each pod, of the range for benchmarks (RFC 2544): nothing is dialled there. */
function addressOf(uid: string): string {
  const number = Number.parseInt(uid.slice(0, 4), 16);
  return `198.18.${number >> 8}.${number & 255}`;
}
