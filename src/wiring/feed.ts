/** What may ask the loop for work: workloads, gated pods, Downgrades. */
import type { Logger } from 'pino';
import type { Client } from '../cluster/client/client.ts';
import { everywhere } from '../cluster/client/paths.ts';
import { watch } from '../cluster/client/watch.ts';
import type { Mirror } from '../cluster/mirror/mirror.ts';
import { changeOf } from '../controller/enqueue.ts';
import { wakeWhenDue } from '../controller/retention-timer.ts';
import type { DowngradeObject } from '../release/kubernetes/downgrade.ts';
import { releaseOfPod } from '../release/kubernetes/pods.ts';
import { label, type PodObject, type WorkloadObject } from '../release/model/kubernetes.ts';

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
