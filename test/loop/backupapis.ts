/**
 * The two foreign APIs on the real control plane: definitions with as much of a schema as their documentation says of the
 * fields that are written or read here, and their makers, played by who calls `make`.
 */
import type { Client } from '../../src/cluster/client/client.ts';
import { notFound } from '../../src/cluster/client/errors.ts';
import { mergePatch } from '../../src/cluster/client/paths.ts';
import { snapshotApis } from '../../src/release/downgrade/snapshots.ts';
import type { SnapshotWay } from '../../src/release/model/policy.ts';
import type { BackupObject } from '../../src/release/model/release.ts';
import { waitFor } from '../cluster/run/wait.ts';

const text = { type: 'string' };
const object = (properties: object, ...required: string[]) => ({ type: 'object', properties, required });

/** kubernetes-csi/external-snapshotter v8, and cloudnative-pg 1.27. */
const schemas: Record<SnapshotWay, object> = {
  VolumeSnapshot: object(
    {
      spec: object(
        {
          source: object({ persistentVolumeClaimName: text, volumeSnapshotContentName: text }),
          volumeSnapshotClassName: text,
        },
        'source',
      ),
      status: object({
        readyToUse: { type: 'boolean' },
        restoreSize: { 'x-kubernetes-int-or-string': true },
        error: object({ message: text, time: text }),
      }),
    },
    'spec',
  ),
  CNPGBackup: object(
    {
      spec: object(
        {
          cluster: object({ name: text }, 'name'),
          method: { ...text, enum: ['barmanObjectStore', 'volumeSnapshot', 'plugin'], default: 'barmanObjectStore' },
          pluginConfiguration: object({ name: text }, 'name'),
        },
        'cluster',
      ),
      status: object({ phase: text, error: text }),
    },
    'spec',
  ),
};

/** Installs both, and CloudNativePG's clusters; resolves when they are served. */
export async function installApis(client: Client): Promise<void> {
  await Promise.all(
    Object.entries(schemas).map(async ([way, schema]) => {
      const { group, kind, plural } = snapshotApis[way as SnapshotWay];
      await define(client, group, kind, plural, schema);
    }),
  );
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  await define(client, 'postgresql.cnpg.io', 'Cluster', 'clusters', open);
}

async function define(client: Client, group: string, kind: string, plural: string, openAPIV3Schema: object) {
  const schema = { openAPIV3Schema };
  const versions = [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema }];
  const names = { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() };
  // The API server wants this word of anybody who defines something in a group of Kubernetes' own.
  const annotations = { 'api-approved.kubernetes.io': 'unapproved, a test' };
  await client.request('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.${group}`, annotations },
      spec: { group, scope: 'Namespaced', names, versions },
    },
  });
  await waitFor(`${plural}.${group} to be served`, 30_000, async () =>
    client.request<object>('GET', `/apis/${group}/v1/${plural}`).catch((error) => {
      if (notFound(error)) return undefined;
      throw error;
    }),
  );
}

/** All of a namespace that were asked for. */
export async function askedFor(client: Client, way: SnapshotWay, namespace: string): Promise<BackupObject[]> {
  return (await client.request<{ items: BackupObject[] }>('GET', pathOf(way, namespace))).items;
}

/** What the maker writes. */
export async function make(client: Client, way: SnapshotWay, { metadata }: BackupObject, status: object) {
  const path = `${pathOf(way, metadata.namespace)}/${metadata.name}/status`;
  await client.request('PATCH', path, { body: { status }, contentType: mergePatch });
}

function pathOf(way: SnapshotWay, namespace: string): string {
  const { group, plural } = snapshotApis[way];
  return `/apis/${group}/v1/namespaces/${namespace}/${plural}`;
}
