/** What the controller looks at, live. Nothing here changes anything: the trial of the gate is a dry run. */
import type { PodObject, WorkloadObject } from '../release/objects.ts';
import type { SnapshotWay } from '../release/places.ts';
import { gateName, type ProfileName } from '../release/profiles.ts';
import type { DowngradeObject } from '../release/record.ts';
import type { ImageKnowledge } from '../release/release.ts';
import { getBackup, obstaclesOf } from './backups.ts';
import type { Client } from './client.ts';
import { gateConfigurationName, gateTrialPod } from './gate.ts';
import { learnedImages } from './learned.ts';
import { found, list, metadataOnly } from './lists.ts';
import { apps, byUs, configurations, core, downgradesOf, isObjectName, workloadPath } from './paths.ts';
import { runnerFiles } from './runnerfiles.ts';
import { rolloutsOf, templatesBefore } from './templates.ts';

export interface ReadsOptions {
  client: Client;
  /** Downdraft's own namespace. */
  namespace: string;
}

const logLines = 2000;
const logBytes = 1024 * 1024;

/** Every function throws ApiError when the API server refuses, another Error when it does not answer in time. */
export function clusterReads({ client, namespace: own }: ReadsOptions) {
  return {
    async workloads(namespace: string): Promise<WorkloadObject[]> {
      const kinds = ['deployments', 'statefulsets'].map((resource) =>
        list<WorkloadObject>(client, apps(namespace, resource)),
      );
      return (await Promise.all(kinds)).flatMap(({ items }) => items);
    },
    pods: async (namespace: string): Promise<PodObject[]> =>
      (await list<PodObject>(client, core(namespace, 'pods'))).items,
    replicaSetOwners: async (namespace: string) => await replicaSetOwners(client, namespace),
    rollouts: async (namespace: string) => await rolloutsOf(client, namespace),
    templatesBefore: async (namespace: string, workloads: readonly WorkloadObject[]) =>
      await templatesBefore(client, namespace, workloads),
    downgrades: async (namespace: string): Promise<DowngradeObject[]> =>
      (await list<DowngradeObject>(client, downgradesOf(namespace))).items,
    gateExists: async (namespace: string, release: string): Promise<boolean> =>
      (await found(
        client,
        configurations('MutatingWebhookConfiguration', gateConfigurationName(namespace, release)),
      )) !== undefined,
    gateInForce: async (namespace: string, release: string, profile: ProfileName) =>
      await gateInForce(client, namespace, release, profile),
    /** The end of a container's log: 2000 lines, 1 MiB at most. */
    podLog: async (namespace: string, pod: string, container: string, previous = false): Promise<string> =>
      await client.text(core(namespace, 'pods', pod, 'log'), {
        query: { container, tailLines: logLines, limitBytes: logBytes, ...(previous ? { previous: 'true' } : {}) },
      }),
    runnerFiles: async (namespace: string, pod: string, container: string, paths: string[]) =>
      await runnerFiles(client, namespace, pod, container, paths),
    obstacles: obstaclesOf(client),
    backupObject: async (way: SnapshotWay, namespace: string, name: string) =>
      await getBackup(client, way, namespace, name),
    learnedImages: async (): Promise<Record<string, ImageKnowledge>> => await learnedImages(client, own),
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
  return decoded(secret.data);
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
    return secret && { name, type: secret.type ?? '', data: decoded(secret.data) };
  });
  return (await Promise.all(read)).filter((secret) => secret !== undefined);
}

function decoded(data: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
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

async function replicaSetOwners(client: Client, namespace: string): Promise<Record<string, string>> {
  type Owned = { metadata: { name: string; ownerReferences?: { kind: string; name: string; controller?: boolean }[] } };
  const { items } = await list<Owned>(client, apps(namespace, 'replicasets'), { accept: metadataOnly });
  const owners: Record<string, string> = {};
  for (const { metadata } of items) {
    const owner = metadata.ownerReferences?.find(
      (reference) => reference.controller && reference.kind === 'Deployment',
    );
    if (owner) owners[metadata.name] = owner.name;
  }
  return owners;
}

async function gateInForce(client: Client, namespace: string, release: string, profile: ProfileName): Promise<boolean> {
  const query = { ...byUs, dryRun: 'All' };
  const body = gateTrialPod(namespace, release, profile);
  const pod = await client.request<PodObject>('POST', core(namespace, 'pods'), { body, query });
  return pod.spec.schedulingGates?.some((gate) => gate.name === gateName) ?? false;
}
