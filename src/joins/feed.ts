/** What may ask the loop for work: workloads, gated pods, Downgrades. */
import { hash } from 'node:crypto';
import type { Logger } from 'pino';
import type { Client } from '../cluster/client.ts';
import type { Mirror } from '../cluster/mirror.ts';
import { everywhere } from '../cluster/paths.ts';
import { watch } from '../cluster/watch.ts';
import type { DowngradeObject } from '../release/kubernetes/downgrade.ts';
import { holdOf } from '../release/kubernetes/hold.ts';
import { releaseOfPod } from '../release/kubernetes/pods.ts';
import { readWorkload } from '../release/kubernetes/workloads.ts';
import type { PodObject, WorkloadObject } from '../release/model/kubernetes.ts';
import { label } from '../release/model/kubernetes.ts';
import { wakeWhenDue } from './waking.ts';

type Enqueue = (key: { namespace: string; name: string }) => void;

/** Feeds the loop until the signal. Every release is looked at once at the beginning. */
export function feed(client: Client, mirror: Mirror, signal: AbortSignal, enqueue: Enqueue, logger: Logger): void {
  const known = new Map<string, string>();
  mirror.onChange((what, object, type) => {
    if (what !== 'workload') return;
    const change = changeOf(known, object as unknown as WorkloadObject, type);
    if (change) enqueue(change);
  }, signal);
  for (const key of mirror.releases()) enqueue(key);
  follow<PodObject>(client, everywhere.pods, signal, logger, label.gated, ({ object }) => {
    const release = releaseOfPod(object);
    if (release) enqueue({ namespace: object.metadata.namespace ?? 'default', name: release });
  });
  const wake = wakeWhenDue(enqueue, signal);
  follow<DowngradeObject>(client, everywhere.downgrades, signal, logger, undefined, (change) => {
    const { object, type } = change;
    wake(object, type === 'DELETED');
    const open = type === 'DELETED' || !object.status?.record?.completedAt;
    if (open) enqueue({ namespace: object.metadata.namespace, name: object.spec.release });
  });
}

/**
 * The release to look at when a workload changed in what matters: its images, its database, its hold, how many of its
 * pods are there and Ready (a tag that was pushed anew shows in no other way).
 */
function changeOf(known: Map<string, string>, object: WorkloadObject, type: string) {
  const workload = readWorkload(object);
  const id = `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
  const before = known.get(id);
  if (type === 'DELETED') known.delete(id);
  if (!workload) return undefined;
  const { replicas, readyReplicas, updatedReplicas } = object.status ?? {};
  const shape = JSON.stringify([workload.images, workload.connection, replicas, readyReplicas, updatedReplicas]);
  // Of thousands of workloads, so no longer than it takes to tell one from another.
  const now = hash('sha256', shape, 'base64').slice(0, 16);
  const held = holdOf(object) !== undefined;
  if (type !== 'DELETED') known.set(id, `${held} ${now}`);
  if (type !== 'DELETED' && !held && before === `${held} ${now}`) return undefined;
  return { namespace: workload.namespace, name: workload.release };
}

function follow<T extends { metadata: { name: string } }>(
  client: Client,
  path: string,
  signal: AbortSignal,
  logger: Logger,
  labelSelector: string | undefined,
  onChange: (change: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }) => void,
): void {
  void watch<T>(client, path, {
    onChange,
    onState: (state) => {
      if (state.state === 'retrying') logger.warn({ path, err: state.error }, 'watch lost, trying again');
    },
    signal,
    ...(labelSelector ? { labelSelector } : {}),
  });
}
