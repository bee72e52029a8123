/** A small release on the real control plane: two Deployments, a StatefulSet, the Secret with the connection, a database. */
import type { Client } from '../../src/cluster/client/client.ts';
import { notFound } from '../../src/cluster/client/errors.ts';
import { apps, configurations, core, downgradesOf, mergePatch } from '../../src/cluster/client/paths.ts';
import { gateConfigurationName } from '../../src/cluster/drain-webhook.ts';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { revisionsOf } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import { imageOf, newer, type Version } from './images.ts';
import { databaseHost } from './names.ts';
import { databaseOf, type Place } from './place.ts';

export interface Installed {
  namespace: string;
  /** All its images are from here, so that no other release shares them. */
  registry: string;
}

/** Name of the database that the others are copied from. */
export const seed = 'seed';
export const releaseName = 'af';

/** Tables whose rows a downgrade leaves alone. */
export const keptTables = ['dag', 'dag_run', 'task_instance'] as const;

/** SQL for a checksum over all rows of a table. */
export function checksumOf(table: (typeof keptTables)[number]): string {
  return `select '${table}' as name, md5(string_agg(t::text, ',' order by t::text)) as sum from ${table} t`;
}

/**
 * Makes the database that the others are copied from: as 3.2.1 leaves it, as far as anybody here looks. The stand-in for the
 * runner writes each revision that it reverses into `undone`; the checksums of its rows travel with it.
 */
export async function makeSeed({ postgres }: Pick<Place, 'postgres'>): Promise<void> {
  const { core: head, fab } = revisionsOf[newer];
  await postgres.createDatabase(seed);
  await postgres.query(
    seed,
    `create table alembic_version (version_num varchar(32) primary key);
     create table alembic_version_fab (version_num varchar(32) primary key);
     create table dag (dag_id text primary key);
     create table dag_run (id serial primary key, dag_id text references dag);
     create table task_instance (id uuid primary key, run integer references dag_run, state text);
     create table undone (revision text);
     insert into dag select 'dag' || n from generate_series(1, 5) n;
     insert into dag_run (dag_id) select 'dag' || 1 + n % 5 from generate_series(1, 50) n;
     insert into task_instance select gen_random_uuid(), 1 + n % 50, 'success' from generate_series(1, 500) n;
     create table kept as ${keptTables.map(checksumOf).join(' union all ')};
     insert into alembic_version values ('${head}');
     insert into alembic_version_fab values ('${fab}')`,
  );
}

/** Installs a release of 3.2.1 in a namespace of its own; resolves when all its pods are Ready. */
export async function install(place: Place, namespace: string): Promise<Installed> {
  const { client, postgres } = place;
  const installed = { namespace, registry: `${namespace}.example` };
  await client.request('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  });
  await postgres.query('postgres', `create database "${databaseOf(namespace)}" template ${seed}`);
  const secrets = {
    'af-metadata': { connection: connectionOf(place, namespace) },
    'af-fernet-key': { 'fernet-key': 'none' },
  };
  for (const [name, stringData] of Object.entries(secrets))
    await client.request('POST', core(namespace, 'secrets'), {
      body: { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData },
    });
  await waitFor('the default service account', 60_000, () =>
    client.request<object>('GET', core(namespace, 'serviceaccounts', 'default')),
  );
  for (const object of workloadsOf(installed)) {
    const path = apps(namespace, `${object.kind!.toLowerCase()}s`);
    await client.request('POST', path, { body: object, query: { fieldManager: 'helm' } });
  }
  await waitFor(`release in ${namespace} to be Ready`, 60_000, async () =>
    (await stored(client, namespace)).every((w) => readWorkload(w)?.settled),
  );
  return installed;
}

/** Sets the image of all workloads, as `kubectl set image` does. */
export async function setImage({ client }: Place, { namespace, registry }: Installed, version: Version): Promise<void> {
  const image = imageOf(registry, version);
  for (const { kind, metadata, spec } of await stored(client, namespace)) {
    const { containers, initContainers = [] } = spec.template.spec;
    const named = (list: { name: string }[]) => list.map(({ name }) => ({ name, image }));
    const pod = { containers: named(containers), initContainers: named(initContainers) };
    await client.request('PATCH', apps(namespace, `${kind!.toLowerCase()}s`, metadata.name), {
      body: { spec: { template: { spec: pod } } },
      contentType: 'application/strategic-merge-patch+json',
      query: { fieldManager: 'kubectl-set' },
    });
  }
}

/** The Deployments and StatefulSets of a namespace as stored, with their kind. */
export async function stored(client: Client, namespace: string): Promise<WorkloadObject[]> {
  const lists = ['Deployment', 'StatefulSet'].map(async (kind) => {
    const path = apps(namespace, `${kind.toLowerCase()}s`);
    const { items } = await client.request<{ items: WorkloadObject[] }>('GET', path);
    return items.map((item) => ({ kind, ...item }));
  });
  return (await Promise.all(lists)).flat();
}

export async function downgrades(client: Client, namespace: string): Promise<DowngradeObject[]> {
  return (await client.request<{ items: DowngradeObject[] }>('GET', downgradesOf(namespace))).items;
}

export async function pods(client: Client, namespace: string): Promise<PodObject[]> {
  return (await client.request<{ items: PodObject[] }>('GET', core(namespace, 'pods'))).items;
}

/** Names of the gate configurations for a namespace's release. */
export async function gates(client: Client, namespace: string): Promise<string[]> {
  const path = configurations('MutatingWebhookConfiguration');
  const { items } = await client.request<{ items: { metadata: { name: string } }[] }>('GET', path);
  const wanted = gateConfigurationName(namespace, releaseName);
  return items.map(({ metadata }) => metadata.name).filter((name) => name === wanted);
}

/** Takes away what costs: the pods' sessions, the database, and what was learned of these images. */
export async function forget(place: Place, { namespace, registry }: Installed): Promise<void> {
  const { client, kubelet, postgres, config } = place;
  await kubelet.endSessions(namespace);
  await postgres.query('postgres', `drop database "${databaseOf(namespace)}" with (force)`);
  const path = core(config.namespace, 'configmaps', 'downdraft-images');
  const { data = {} } = await client.request<{ data?: Record<string, string> }>('GET', path).catch((error) => {
    if (notFound(error)) return { data: {} };
    throw error;
  });
  const keys = Object.keys(data).filter((key) => data[key]!.includes(`"${registry}/`));
  if (keys.length === 0) return;
  const body = { data: Object.fromEntries(keys.map((key) => [key, null])) };
  await client.request('PATCH', path, { body, contentType: mergePatch });
}

/** As in a release: by a host's name, and without a first try over TLS, which this server has not. */
export function connectionOf({ postgres }: Pick<Place, 'postgres'>, namespace: string): string {
  const url = new URL(postgres.url(databaseOf(namespace)));
  url.hostname = databaseHost;
  return `${url}?sslmode=disable`;
}

function workloadsOf({ namespace, registry }: Installed): WorkloadObject[] {
  const shape = { namespace, image: imageOf(registry, newer) };
  const deployments = ['api-server', 'scheduler'].map((component) => makeDeployment({ ...shape, component }));
  return [...deployments, makeStatefulSet({ ...shape, component: 'triggerer' })].map(asWritten);
}

/** As a person writes it: without what only the API server sets, and with the default service account. */
function asWritten(object: WorkloadObject): WorkloadObject {
  const { uid: _, resourceVersion: __, generation: ___, ...metadata } = object.metadata;
  const { serviceAccountName: ____, ...pod } = object.spec.template.spec;
  const service = object.kind === 'StatefulSet' ? { serviceName: metadata.name } : {};
  const template = { ...object.spec.template, spec: pod };
  return { apiVersion: 'apps/v1', kind: object.kind!, metadata, spec: { ...object.spec, ...service, template } };
}
