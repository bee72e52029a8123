/**
 * What the pods of Jobs do, which the kubelet of test/loop only starts: the migration Job takes the database to its
 * image's heads, as `airflow db migrate` does, and both it and create-user end. On a database that is ahead the migration
 * fails, as Airflow's does.
 */
import type { Client } from '../../src/cluster/client/client.ts';
import { conflict, notFound } from '../../src/cluster/client/errors.ts';
import { core, mergePatch } from '../../src/cluster/client/paths.ts';
import { watch } from '../../src/cluster/client/watch.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { newer, older, versionOf } from '../loop/images.ts';
import type { Place } from '../loop/place.ts';
import { succeededStatus } from '../loop/podstatus.ts';
import { headsOf, setHeads } from './heads.ts';

/** Ends the pods of Jobs until the signal. `faults` gets what went wrong. */
export function endJobs(place: Place, signal: AbortSignal, faults: unknown[]): void {
  const begun = new Set<string>();
  const onChange = ({ type, object }: { type: string; object: PodObject }) => {
    const { uid = '', ownerReferences = [], deletionTimestamp } = object.metadata;
    if (type === 'DELETED' || deletionTimestamp || !ownerReferences.some((owner) => owner.kind === 'Job')) return;
    if (object.status?.phase !== 'Running' || begun.has(uid)) return;
    begun.add(uid);
    void work(place, object).catch((error) => signal.aborted || faults.push(error));
  };
  void watch<PodObject>(place.client, '/api/v1/pods', { onChange, signal, labelSelector: 'tier=airflow' });
}

async function work(place: Place, pod: PodObject): Promise<void> {
  if (pod.metadata.labels?.component === 'run-airflow-migrations') await migrate(place, pod);
  await end(place.client, pod);
}

async function migrate(place: Place, pod: PodObject): Promise<void> {
  const { namespace = '', name } = pod.metadata;
  const version = versionOf(pod.spec.containers[0]!.image!);
  if (version === older && (await headsOf(place, namespace)) === newer)
    throw new Error(`${name}: Can't locate revision: a migration of ${older} ran on the database of ${newer}`);
  await setHeads(place, namespace, version);
}

async function end(client: Client, pod: PodObject): Promise<void> {
  const { namespace = '', name, uid } = pod.metadata;
  const body = { metadata: { uid }, status: succeededStatus(pod, pod.status?.podIP ?? '') };
  await waitFor(`the end of pod/${name}`, 10_000, async () => {
    try {
      await client.request('PATCH', core(namespace, 'pods', name, 'status'), { body, contentType: mergePatch });
    } catch (error) {
      if (!notFound(error) && !conflict(error)) throw error;
    }
    return true;
  });
}
