/** The controller on the leader: watches feed the loop, the loop reconciles one release at a time. */
import type { Logger } from 'pino';
import type { Client } from '../cluster/client.ts';
import { clusterReads } from '../cluster/reads.ts';
import { runnerFiles } from '../cluster/runnerfiles.ts';
import { watch } from '../cluster/watch.ts';
import { clusterWrites, type WritesOptions } from '../cluster/writes.ts';
import type { Config } from '../config.ts';
import { startLoop } from '../controller/loop.ts';
import type { Reads, Writes } from '../controller/ports.ts';
import { reconcile } from '../controller/reconcile.ts';
import { inFolder } from '../controller/runner.ts';
import { probeScript, runnerScript, shellCommand } from '../inside/scripts.ts';
import { holdOf } from '../release/hold.ts';
import type { PodObject, WorkloadObject } from '../release/objects.ts';
import { label } from '../release/profiles.ts';
import type { DowngradeObject } from '../release/record.ts';
import { readWorkload, releaseOfPod } from '../release/workload.ts';
import { databaseOf, sessionsOf } from './database.ts';

/** Milliseconds for one look at a database by the controller. */
const databaseTimeoutMs = 5_000;

/** The controller's way of looking, joined from cluster and database. */
export function controllerReads(client: Client, namespace: string): Reads {
  const reads = clusterReads({ client, namespace });
  return {
    ...reads,
    downgrades: async (of) => (await reads.downgrades(of)) as unknown as DowngradeObject[],
    runnerFiles: (of, pod, container, paths) => runnerFiles(client, of, pod, container, paths),
    database: (workload, container) => databaseOf(client, workload, container, databaseTimeoutMs),
    sessions: (workload, container) => sessionsOf(client, workload, container, databaseTimeoutMs),
  };
}

export interface Leadership {
  token: number;
  leads(): boolean;
  signal: AbortSignal;
}

/** Every write of a controller that no longer leads is refused here, whoever asks for it. */
export function whileLeading(writes: Writes, { leads, signal }: Leadership): Writes {
  return Object.fromEntries(
    Object.entries(writes).map(([name, write]) => [
      name,
      async (...args: unknown[]) => {
        if (signal.aborted || !leads()) throw new Error(`${name}: this replica leads no longer`);
        return (write as (...a: unknown[]) => Promise<void>)(...args);
      },
    ]),
  ) as unknown as Writes;
}

/** Runs the controller until the leadership's signal. */
export function runController(
  client: Client,
  config: Config,
  leadership: Leadership,
  gateReach: WritesOptions['gateReach'],
  logger: Logger,
): void {
  const { signal, token } = leadership;
  const reads = controllerReads(client, config.namespace);
  const own = clusterWrites({ client, namespace: config.namespace, gateReach, instance: config.identity });
  const writes = whileLeading(own as unknown as Writes, leadership);
  const log = (fields: Record<string, unknown>, message: string) => logger.info(fields, message);
  const settings = {
    repositories: config.airflowRepositories,
    now: () => new Date(),
    runner: config.runner,
    commands: { probe: shellCommand(probeScript()), runner: inFolder(shellCommand(runnerScript())) },
    token,
    log,
    told: new Map<string, string>(),
  };
  const loop = startLoop({
    reconcile: (key) => reconcile(key, reads, writes, settings),
    pollMs: config.pollMs,
    idleMs: 10_000,
    workers: 4,
    signal,
    log: (fields, message) => logger.warn(fields, message),
  });
  feed(client, signal, loop.enqueue, logger);
}

type Enqueue = (key: { namespace: string; name: string }) => void;

/** What may ask for work: workloads that are or were held, gated pods, Downgrades. */
function feed(client: Client, signal: AbortSignal, enqueue: Enqueue, logger: Logger): void {
  const held = new Set<string>();
  const onWorkload = ({ object, type }: { type: string; object: WorkloadObject }) => {
    const workload = readWorkload(object);
    const id = `${object.metadata.namespace}/${object.metadata.name}`;
    const isHeld = type !== 'DELETED' && holdOf(object) !== undefined;
    const wasHeld = held.delete(id);
    if (isHeld) held.add(id);
    if (workload && (isHeld || wasHeld)) enqueue({ namespace: workload.namespace, name: workload.release });
  };
  const onPod = ({ object }: { object: PodObject }) => {
    const release = releaseOfPod(object);
    if (release) enqueue({ namespace: object.metadata.namespace ?? 'default', name: release });
  };
  const onDowngrade = ({ object, type }: { type: string; object: DowngradeObject }) => {
    const open = type === 'DELETED' || !object.status?.record?.completedAt;
    if (open) enqueue({ namespace: object.metadata.namespace, name: object.spec.release });
  };
  const onState = (path: string) => (state: { state: string; error?: unknown }) => {
    if (state.state === 'retrying') logger.warn({ path, err: state.error }, 'watch lost, trying again');
  };
  const start = <T extends { metadata: { name: string } }>(
    path: string,
    onChange: (event: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }) => void,
    labelSelector?: string,
  ) =>
    void watch<T>(client, path, {
      onChange,
      onState: onState(path),
      signal,
      ...(labelSelector ? { labelSelector } : {}),
    });
  const named = (kind: string) => (event: { type: string; object: WorkloadObject }) =>
    onWorkload({ ...event, object: { kind, ...event.object } });
  start('/apis/apps/v1/deployments', named('Deployment'), 'tier=airflow');
  start('/apis/apps/v1/statefulsets', named('StatefulSet'), 'tier=airflow');
  start('/api/v1/pods', onPod, label.gated);
  start('/apis/downdraft.dev/v1alpha1/downgrades', onDowngrade);
}
