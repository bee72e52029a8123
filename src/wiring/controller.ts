/** The controller on the leader: watches feed the loop, the loop reconciles one release at a time. */
import type { Logger } from 'pino';
import { askPod } from '../cluster/exec/ask-pod.ts';
import { digestSettings } from '../cluster/exec/digest-settings.ts';
import { runnerFiles } from '../cluster/exec/runner-files.ts';
import { upToDate } from '../cluster/mirror/mirror.ts';
import { clusterReads } from '../cluster/reads.ts';
import { rightsOf } from '../cluster/rights.ts';
import { clusterWrites, type WritesOptions } from '../cluster/writes.ts';
import type { Config } from '../config.ts';
import { inFolder } from '../controller/act/runner.ts';
import { startLoop } from '../controller/loop.ts';
import type { Reads, Writes } from '../controller/ports.ts';
import { reconcile } from '../controller/reconcile.ts';
import { askScript, digestsScript, probeScript, runnerScript, shellCommand, takeUpScript } from '../inside/bundle.ts';
import type { DowngradeObject } from '../release/kubernetes/downgrade.ts';
import { policyFor } from '../release/policy/policy.ts';
import type { Views } from './admission.ts';
import { databaseOf, dropCopyOf, sessionsOf } from './database.ts';
import { feed } from './feed.ts';
import { keepNamespaces, type NamespaceWrites } from './namespaces.ts';

/** Milliseconds for one look at a database by the controller. */
const databaseTimeoutMs = 5_000;

/** Milliseconds for dropping a copy: its server writes a checkpoint and deletes all its files before it answers. */
const dropTimeoutMs = 120_000;

/** Milliseconds for asking inside a pod; importing Airflow there takes most of it. */
const askTimeoutMs = 30_000;

/** The controller's way of looking, joined from cluster, database, registries and what runs in pods. */
export function controllerReads({ client, mirror, registry }: Views, namespace: string): Reads {
  const reads = clusterReads({ client, namespace });
  const program = shellCommand(askScript());
  return {
    ...reads,
    downgrades: async (of) => (await reads.downgrades(of)) as unknown as DowngradeObject[],
    runnerFiles: (of, pod, container, paths) => runnerFiles(client, of, pod, container, paths),
    database: (workload, container) => databaseOf(client, workload, container, databaseTimeoutMs),
    sessions: (workload, container) => sessionsOf(client, workload, container, databaseTimeoutMs),
    askPod: (of, pod, container) => askPod(client, of, pod, container, askTimeoutMs, program),
    digestSettings: (of, pod, container, who, key) =>
      digestSettings(client, of, pod, container, askTimeoutMs, shellCommand(digestsScript(who, key))),
    registry: registry.version,
    digest: registry.digest,
    missingRights: rightsOf(client),
    policy: async (of) => policyFor(upToDate(mirror).policies(), mirror.labelsOf(of)),
    policyNow: async (of) => policyFor(...(await Promise.all([reads.policies(), reads.namespaceLabels(of)]))),
  };
}

/** The controller's way of changing things: the cluster's objects, and the copies that earlier runs left. */
export function controllerWrites(options: WritesOptions): Writes & NamespaceWrites {
  return {
    ...clusterWrites(options),
    dropCopy: (workload, container, copy) => dropCopyOf(options.client, workload, container, copy, dropTimeoutMs),
  };
}

export interface Leadership {
  token: number;
  leads(): boolean;
  signal: AbortSignal;
}

/** Every write of a controller that no longer leads is refused here, whoever asks for it. */
export function whileLeading<T extends object>(writes: T, { leads, signal }: Leadership): T {
  return Object.fromEntries(
    Object.entries(writes).map(([name, write]) => [
      name,
      async (...args: unknown[]) => {
        if (signal.aborted || !leads()) throw new Error(`${name}: this replica is no longer the leader`);
        return (write as (...a: unknown[]) => Promise<void>)(...args);
      },
    ]),
  ) as unknown as T;
}

/** Runs the controller until the leadership's signal. */
export function runController(
  views: Views,
  config: Config,
  leadership: Leadership,
  gateReach: WritesOptions['gateReach'],
  logger: Logger,
): void {
  const { client, mirror } = views;
  const { signal, token } = leadership;
  const reads = controllerReads(views, config.namespace);
  const own = controllerWrites({ client, namespace: config.namespace, gateReach, instance: config.identity });
  const writes = whileLeading(own, leadership);
  const log = (fields: Record<string, unknown>, message: string) => logger.info(fields, message);
  const settings = {
    repositories: config.airflowRepositories,
    now: () => new Date(),
    runner: config.runner,
    patience: { noProgressMinutes: config.noProgressMinutes, longStepMinutes: config.longStepMinutes },
    commands: {
      probe: shellCommand(probeScript()),
      triggers: shellCommand(takeUpScript()),
      runner: inFolder(shellCommand(runnerScript())),
    },
    token,
    log,
    told: new Map<string, string>(),
    failed: new Map(),
    unanswered: new Map(),
    examined: new Map(),
    asked: new Map(),
    tried: new Map(),
    ran: new Set<string>(),
    proofs: new Map(),
  };
  const loop = startLoop({
    reconcile: (key) => reconcile(key, reads, writes, settings),
    pollMs: config.pollMs,
    idleMs: 10_000,
    workers: 8,
    signal,
    log: (fields, message) => logger.warn(fields, message),
  });
  feed(client, mirror, signal, loop.enqueue, logger);
  keepNamespaces(mirror, writes, signal, logger);
}
