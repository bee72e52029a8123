/** Every change that downdraft makes in the cluster. Each may be made twice: done already, or gone already, is fine. */
import type { Learned, Owner } from '../release/model/image.ts';
import { gateName, label, type PodObject, type PodTemplate, type WorkloadObject } from '../release/model/kubernetes.ts';
import type { BackupObject } from '../release/model/release.ts';
import type { Client } from './client/client.ts';
import { ApiError, conflict, notFound } from './client/errors.ts';
import {
  batch,
  byUs,
  configurations,
  core,
  eventsOf,
  mergePatch,
  namespaceOf,
  policyOf,
  workloadPath,
} from './client/paths.ts';
import { gateOf, remove, removeGate } from './deletions.ts';
import { recordWrites } from './downgrades.ts';
import { type GateClientConfig, gateConfiguration, gateConfigurationName } from './drain-webhook.ts';
import { type EventWords, eventOf } from './events.ts';
import { startDetached, writeFile } from './exec/files.ts';
import { createBackup } from './external-backups.ts';
import { forgetImage, learnImage } from './learned-images.ts';
import { restoreTemplate } from './rollout-history.ts';

export interface WritesOptions {
  client: Client;
  /** Downdraft's own namespace. */
  namespace: string;
  /** How the API server reaches our webhook; asked anew for each gate, since the CA may change. */
  gateReach: () => GateClientConfig;
  /** This replica's name, for events. */
  instance: string;
}

/** Every function throws ApiError when the API server refuses, another Error when it does not answer in time. */
export function clusterWrites({ client, namespace: own, gateReach, instance }: WritesOptions) {
  return {
    ...recordWrites(client),
    createPod: async (pod: PodObject): Promise<PodObject | undefined> =>
      await create<PodObject>(client, core(pod.metadata.namespace ?? 'default', 'pods'), {
        apiVersion: 'v1',
        kind: 'Pod',
        ...pod,
      }),
    deletePod: async (namespace: string, name: string, uid: string): Promise<void> =>
      await remove(client, core(namespace, 'pods', name), uid),
    ungatePod: async (namespace: string, name: string, uid: string) => await ungatePod(client, namespace, name, uid),
    labelPod: async (
      namespace: string,
      name: string,
      uid: string,
      labels: Record<string, string | null>,
    ): Promise<void> => await patchPod(client, namespace, name, { metadata: { uid, labels } }),
    patchWorkload: async ({ kind, metadata }: WorkloadObject, body: Record<string, unknown>): Promise<void> =>
      await patch(client, workloadPath(kind, metadata.namespace ?? 'default', metadata.name), body),
    restoreTemplate: async (workload: WorkloadObject, template: PodTemplate): Promise<void> =>
      await restoreTemplate(client, workload, template),
    createGate: async (namespace: string, release: string): Promise<void> =>
      await createGate(client, namespace, release, gateConfiguration(namespace, release, gateReach())),
    deleteGate: async (namespace: string, release: string): Promise<void> =>
      await removeGate(client, namespace, release),
    /** With its pods, which the garbage collector takes. */
    deleteJob: async (namespace: string, name: string, uid: string): Promise<void> =>
      await remove(client, batch(namespace, 'jobs', name), uid, { propagationPolicy: 'Background' }),
    writeFile: async (namespace: string, pod: string, container: string, path: string, text: string): Promise<void> =>
      await writeFile(client, namespace, pod, container, path, text),
    startDetached: async (namespace: string, pod: string, container: string, command: string[]): Promise<void> =>
      await startDetached(client, namespace, pod, container, command),
    createBackup: async (object: BackupObject): Promise<void> => await createBackup(client, object),
    learnImage: async (learned: Learned): Promise<void> => await learnImage(client, own, learned),
    /** Says that releases of Airflow are in a namespace, so that Helm's records there are looked at. */
    labelNamespace: async (namespace: string): Promise<void> =>
      await patch(client, namespaceOf(namespace), { metadata: { labels: { [label.airflow]: 'true' } } }),
    patchPolicyStatus: async (name: string, status: Record<string, unknown>): Promise<void> => {
      try {
        await patch(client, policyOf(name, 'status'), { status });
      } catch (error) {
        if (!notFound(error)) throw error;
      }
    },
    forgetImage: async (of: Owner, image: string): Promise<void> => await forgetImage(client, own, of, image),
    event: async (words: EventWords): Promise<void> => {
      const path = eventsOf(words.object.namespace);
      await client.request('POST', path, { body: eventOf(words, instance, new Date()), query: byUs });
    },
  };
}

/** What was stored; undefined where something of that name is there. */
async function create<T>(client: Client, path: string, body: unknown): Promise<T | undefined> {
  try {
    return await client.request<T>('POST', path, { body, query: byUs });
  } catch (error) {
    if (!conflict(error)) throw error;
    return undefined;
  }
}

async function patch(client: Client, path: string, body: unknown): Promise<void> {
  await client.request('PATCH', path, { body, contentType: mergePatch, query: byUs });
}

/** The API server calls a patch with another uid invalid (422: field is immutable); here it is what it means, a conflict. */
async function patchPod(client: Client, namespace: string, name: string, body: unknown): Promise<void> {
  try {
    await patch(client, core(namespace, 'pods', name), body);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 422 && error.message.includes('metadata.uid'))) throw error;
    throw new ApiError(409, 'Conflict', error.message);
  }
}

/** There already is fine, if it is that gate: a release is never drained behind a configuration of others. */
async function createGate(client: Client, namespace: string, release: string, body: object): Promise<void> {
  await create(client, configurations('MutatingWebhookConfiguration'), body);
  if ((await gateOf(client, namespace, release)) !== undefined) return;
  throw new Error(
    `MutatingWebhookConfiguration ${gateConfigurationName(namespace, release)} is there and does not say that it is downdraft's gate of release ${release} in namespace ${namespace}; nothing is drained until it is deleted`,
  );
}

const ungateTries = 3;

/** Takes our gate off; gates of others stay. Gone, replaced or ungated: fine. */
async function ungatePod(client: Client, namespace: string, name: string, uid: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ungateAsRead(client, namespace, name, uid);
    } catch (error) {
      if (notFound(error)) return;
      if (!conflict(error) || attempt === ungateTries) throw error;
    }
  }
}

/** Reads, then writes what was read less our gate, bound to that reading. */
async function ungateAsRead(client: Client, namespace: string, name: string, uid: string): Promise<void> {
  const pod = await client.request<PodObject>('GET', core(namespace, 'pods', name));
  const gates = pod.spec.schedulingGates ?? [];
  if (pod.metadata.uid !== uid) return;
  const others = gates.filter((gate) => gate.name !== gateName);
  if (others.length === gates.length && pod.metadata.labels?.[label.gated] === undefined) return;
  const { resourceVersion } = pod.metadata;
  const metadata = { uid, resourceVersion, labels: { [label.gated]: null } };
  await patchPod(client, namespace, name, {
    metadata,
    spec: { schedulingGates: others.length > 0 ? others : null },
  });
}
