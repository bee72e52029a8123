/** What the controller looks at, live. Nothing here changes anything: the trial of the gate is a dry run. */
import type { DowngradeObject } from '../release/kubernetes/downgrade.ts';
import { keptPod, keptWorkload, withoutNotes } from '../release/kubernetes/kept-fields.ts';
import type { Learned, Owner } from '../release/model/image.ts';
import {
  type JobObject,
  label,
  type Metadata,
  type PodObject,
  type WorkloadObject,
} from '../release/model/kubernetes.ts';
import type { SnapshotWay } from '../release/model/policy.ts';
import type { Workload } from '../release/model/workload.ts';
import type { PolicyObject } from '../release/policy/policy.ts';
import type { Client } from './client/client.ts';
import { ApiError } from './client/errors.ts';
import { found, list, metadataOnly } from './client/lists.ts';
import { apps, batch, core, downgradesOf, everywhere, isObjectName, workloadPath } from './client/paths.ts';
import { sharing } from './client/sharing.ts';
import { gateOf } from './deletions.ts';
import { runnerFiles } from './exec/runner-files.ts';
import { getBackup, obstaclesOf } from './external-backups.ts';
import { learnedImages } from './learned-images.ts';
import { ranBefore, rolloutsOf, templatesBefore } from './rollout-history.ts';
import { decodedData } from './secrets.ts';
import { tryPods } from './trials.ts';

export interface ReadsOptions {
  client: Client;
  /** Downdraft's own namespace. */
  namespace: string;
}

/** A list of 10,000 pods is 100 MB that pass through here; more at once only take turns on one processor. */
const podListsAtOnce = 2;

const logLines = 2000;
const logBytes = 1024 * 1024;

/** Every function throws ApiError when the API server refuses, another Error when it does not answer in time. */
export function clusterReads({ client, namespace: own }: ReadsOptions) {
  return {
    async workloads(namespace: string): Promise<WorkloadObject[]> {
      const kinds = ['deployments', 'statefulsets'].map((resource) =>
        list(client, apps(namespace, resource), keptWorkload),
      );
      return (await Promise.all(kinds)).flat();
    },
    pods: sharing((namespace: string): Promise<PodObject[]> => podsOf(client, namespace), podListsAtOnce),
    pod: async (namespace: string, name: string): Promise<PodObject | undefined> =>
      await found<PodObject>(client, core(namespace, 'pods', name)),
    replicaSetOwners: async (namespace: string) => await replicaSetOwners(client, namespace),
    rollouts: async (namespace: string) => await rolloutsOf(client, namespace),
    ranBefore: async (namespace: string, workloads: readonly WorkloadObject[]) =>
      await ranBefore(client, namespace, workloads),
    templatesBefore: async (namespace: string, workloads: readonly WorkloadObject[], known: readonly string[]) =>
      await templatesBefore(client, namespace, workloads, known),
    downgrades: async (namespace: string): Promise<DowngradeObject[]> =>
      await list<DowngradeObject, DowngradeObject>(client, downgradesOf(namespace), (object) => ({
        ...object,
        metadata: withoutNotes(object.metadata),
      })),
    gateExists: async (namespace: string, release: string): Promise<boolean> =>
      (await gateOf(client, namespace, release)) !== undefined,
    /** Undefined when there is none of that name, as there is none of what is no name. */
    job: async (namespace: string, name: string): Promise<JobObject | undefined> =>
      isObjectName(name) ? await found<JobObject>(client, batch(namespace, 'jobs', name)) : undefined,
    tryPods: async (namespace: string, release: string, workloads: readonly Workload[]) =>
      await tryPods(client, namespace, release, workloads),
    /** The end of a container's log: 2000 lines, 1 MiB at most. */
    podLog: async (namespace: string, pod: string, container: string, previous = false): Promise<string> =>
      await client.text(core(namespace, 'pods', pod, 'log'), {
        query: { container, tailLines: logLines, limitBytes: logBytes, ...(previous ? { previous: 'true' } : {}) },
      }),
    podWarning: async (namespace: string, uid: string) => await podWarning(client, namespace, uid),
    claimModes: async (namespace: string, claims: readonly string[]) => await claimModes(client, namespace, claims),
    runnerFiles: async (namespace: string, pod: string, container: string, paths: string[]) =>
      await runnerFiles(client, namespace, pod, container, paths),
    obstacles: obstaclesOf(client),
    backupObject: async (way: SnapshotWay, namespace: string, name: string) =>
      await getBackup(client, way, namespace, name),
    policies: async (): Promise<PolicyObject[]> =>
      await list<PolicyObject, PolicyObject>(client, everywhere.policies, (policy) => policy),
    /** undefined: there is no such namespace. */
    namespaceLabels: async (name: string): Promise<Record<string, string> | undefined> => {
      const labelsOf = ({ metadata }: { metadata: Metadata }) => metadata.labels ?? {};
      // A list of one: we have no other right to read namespaces.
      const [labels] = await list(client, everywhere.namespaces, labelsOf, { fieldSelector: `metadata.name=${name}` });
      return labels;
    },
    learnedImages: async (of: Owner): Promise<Learned[]> => await learnedImages(client, own, of),
  };
}

/** The stored Deployment or StatefulSet; undefined when there is none. */
export async function getWorkload(
  client: Client,
  kind: string,
  namespace: string,
  name: string,
): Promise<WorkloadObject | undefined> {
  if (!isObjectName(name)) return undefined;
  return await found<WorkloadObject>(client, workloadPath(kind, namespace, name));
}

/** Values of a Secret, decoded; undefined when there is none, as there is none of what is no name. */
export async function getSecret(
  client: Client,
  namespace: string,
  name: string,
): Promise<Record<string, string> | undefined> {
  if (!isObjectName(name)) return undefined;
  const secret = await found<{ data?: Record<string, string> }>(client, core(namespace, 'secrets', name));
  if (!secret) return undefined;
  return decodedData(secret.data);
}

/**
 * The pull secrets of a stored workload: its pod template's own and its service account's, decoded. One that is missing or
 * can't be read is left out: the registry then says what it thinks of nobody.
 */
export async function pullSecretsOf(
  client: Client,
  { metadata: { namespace = 'default' }, spec }: WorkloadObject,
): Promise<{ name: string; type: string; data: Record<string, string> }[]> {
  const { imagePullSecrets = [], serviceAccountName = 'default' } = spec.template.spec;
  type Account = { imagePullSecrets?: { name?: string }[] };
  const account = isObjectName(serviceAccountName)
    ? await found<Account>(client, core(namespace, 'serviceaccounts', serviceAccountName))
    : undefined;
  const names = [...imagePullSecrets, ...(account?.imagePullSecrets ?? [])].map(({ name }) => name);
  const read = [...new Set(names)].filter(isObjectName).map(async (name) => {
    const secret = await found<{ type?: string; data?: Record<string, string> }>(
      client,
      core(namespace, 'secrets', name),
    );
    return secret && { name, type: secret.type ?? '', data: decodedData(secret.data) };
  });
  return (await Promise.all(read)).filter((secret) => secret !== undefined);
}

/** Values of a ConfigMap; undefined when there is none. */
export async function getConfigMap(
  client: Client,
  namespace: string,
  name: string,
): Promise<Record<string, string> | undefined> {
  if (!isObjectName(name)) return undefined;
  const map = await found<{ data?: Record<string, string> }>(client, core(namespace, 'configmaps', name));
  return map && (map.data ?? {});
}

/**
 * Those that have not ended well, and downdraft's own. One after the other: one of ours that ends in between is in both,
 * not in none.
 */
async function podsOf(client: Client, namespace: string): Promise<PodObject[]> {
  const path = core(namespace, 'pods');
  const ended = 'status.phase=Succeeded';
  const others = await list(client, path, keptPod, { fieldSelector: 'status.phase!=Succeeded' });
  const own = await list(client, path, keptPod, { fieldSelector: ended, labelSelector: label.role });
  const uids = new Set(own.map(({ metadata }) => metadata.uid));
  return [...others.filter(({ metadata }) => !uids.has(metadata.uid)), ...own];
}

async function replicaSetOwners(client: Client, namespace: string): Promise<Record<string, string>> {
  const ownerOf = ({ metadata: { name, ownerReferences } }: { metadata: Metadata }): [string, string] | undefined => {
    const owner = ownerReferences?.find((reference) => reference.controller && reference.kind === 'Deployment');
    return owner && [name, owner.name];
  };
  return Object.fromEntries(await list(client, apps(namespace, 'replicasets'), ownerOf, { accept: metadataOnly }));
}

/** Events are many where something is wrong: one page is enough, and the newest of it counts. */
const mostEvents = 100;

async function podWarning(client: Client, namespace: string, uid: string): Promise<string | undefined> {
  type Warning = {
    reason?: string;
    message?: string;
    lastTimestamp?: string;
    eventTime?: string;
    metadata: { creationTimestamp?: string };
  };
  const query = { fieldSelector: `involvedObject.uid=${uid},type=Warning`, limit: mostEvents };
  const { items } = await client.request<{ items: Warning[] | null }>('GET', core(namespace, 'events'), { query });
  const at = (e: Warning) => Date.parse(e.lastTimestamp ?? e.eventTime ?? e.metadata.creationTimestamp ?? '') || 0;
  const newest = (items ?? []).sort((a, b) => at(b) - at(a))[0];
  return newest && `${newest.reason ?? 'Warning'}: ${newest.message ?? ''}`;
}

/** What is missing here is not known: it is nobody's fault that stops a run. */
async function claimModes(
  client: Client,
  namespace: string,
  claims: readonly string[],
): Promise<Record<string, string[]>> {
  type Claim = { spec?: { accessModes?: string[] } };
  const read = claims.filter(isObjectName).map(async (name): Promise<[string, string[]][]> => {
    try {
      const claim = await found<Claim>(client, core(namespace, 'persistentvolumeclaims', name));
      return claim?.spec?.accessModes ? [[name, claim.spec.accessModes]] : [];
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) return [];
      throw error;
    }
  });
  return Object.fromEntries((await Promise.all(read)).flat());
}
