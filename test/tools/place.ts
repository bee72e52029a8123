/**
 * Where tools are tried: the place of test/loop (real API server, workload controllers, PostgreSQL, webhooks; a kubelet
 * that is a fake), the controller beside it, and releases that are installed from the example chart by the tool itself.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { core } from '../../src/cluster/client/paths.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { imageOf, type Version } from '../loop/images.ts';
import { databaseHost } from '../loop/names.ts';
import { databaseOf, type Place, startPlace } from '../loop/place.ts';
import { makeSeed, stored } from '../loop/release.ts';
import { type Controller, startController } from './controller.ts';
import { setHeads } from './heads.ts';
import { endJobs } from './jobs.ts';
import { type Said, type Type, type TypeOptions, terminal } from './terminal.ts';

export const chart = fileURLToPath(new URL('../../manifests/example', import.meta.url));

export interface ToolPlace extends Place {
  type: Type;
  kubectl(args: string[], options?: TypeOptions): Promise<Said>;
  controller: Controller;
  /** What went wrong in the stand-ins; a test must find it empty. */
  faults: unknown[];
  /** For files of this place. */
  folder: string;
}

/** A namespace with a database of its own, in which a tool installs the release. */
export interface Site {
  namespace: string;
  registry: string;
  /** The chart's values here. */
  settings: object;
  /** Arguments by which helm renders the example chart here. */
  values(version: Version, ...more: string[]): string[];
}

/** Starts everything. `path` comes first in the terminal's PATH. */
export async function startTools(purpose: string, path: string[] = []): Promise<ToolPlace> {
  const place = await startPlace(purpose);
  const ending = new AbortController();
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-tools-'));
  const stop = async () => {
    ending.abort();
    await place.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await makeSeed(place);
    const controller = startController(place, ending.signal);
    const { faults } = place.kubelet;
    endJobs(place, ending.signal, faults);
    const type = terminal({ ...place.plane.env, PATH: [...path, place.plane.env.PATH].join(':') });
    const kubectl: ToolPlace['kubectl'] = (args, options) => type('kubectl', args, options);
    return { ...place, type, kubectl, controller, faults, folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Makes a namespace and its database, with the heads of this Airflow. */
export async function makeSite(place: ToolPlace, namespace: string, version: Version): Promise<Site> {
  const { client, postgres, folder } = place;
  await client.request('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  });
  await postgres.query('postgres', `create database "${databaseOf(namespace)}" template seed`);
  await setHeads(place, namespace, version);
  await waitFor('the default service account', 60_000, () =>
    client.request<object>('GET', core(namespace, 'serviceaccounts', 'default')),
  );
  const registry = `${namespace}.example`;
  const file = join(folder, `${namespace}.yaml`);
  const settings = valuesOf(place, namespace, registry);
  await writeFile(file, JSON.stringify(settings));
  const values: Site['values'] = (wanted, ...more) => ['-f', file, '--set', `airflowVersion=${wanted}`, ...more];
  return { namespace, registry, settings, values };
}

/** By a host's name, as a release's connection is, and without a first try over TLS, which this server has not. */
function valuesOf({ postgres }: Place, namespace: string, registry: string): object {
  const url = new URL(postgres.url(databaseOf(namespace)));
  url.hostname = databaseHost;
  return {
    images: { airflow: { repository: `${registry}/apache/airflow` } },
    postgresql: { enabled: false },
    data: { connection: `${url}?sslmode=disable` },
  };
}

/** The four workloads of the release, in the order of their names. */
export async function workloadsOf({ client }: Place, { namespace }: Site): Promise<WorkloadObject[]> {
  const objects = await stored(client, namespace);
  return objects.sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
}

/** Waits until every workload asks for this Airflow and only its pods are there, Ready. */
export async function untilServes(place: Place, site: Site, version: Version): Promise<void> {
  await waitFor(`${site.namespace} serves ${version}`, 60_000, async () => {
    const workloads = (await workloadsOf(place, site)).map(readWorkload);
    return workloads.length === 4 && workloads.every((w) => w?.settled && w.image === imageOf(site.registry, version));
  });
}

/** Which of the release's workloads are held, as kubectl names them. */
export async function heldOf(place: Place, site: Site): Promise<string[]> {
  const workloads = (await workloadsOf(place, site)).map(readWorkload);
  return workloads.flatMap((w) => (w?.hold && w.stopped ? [`${w.kind.toLowerCase()}/${w.name}`] : []));
}

/** All four, as they are named in warnings. */
export const all = [
  'deployment/af-api-server',
  'deployment/af-dag-processor',
  'deployment/af-scheduler',
  'statefulset/af-triggerer',
];
