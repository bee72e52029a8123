/**
 * Where the loop is tried: the real control plane (API server, scheduler, workload controllers) with downdraft's CRD and
 * webhooks, a real PostgreSQL, a node whose kubelet is a fake, and the webhooks answered by this process.
 */
import type { AddressInfo } from 'node:net';
import { issue } from '../../certs/authority.ts';
import { buildServer } from '../../src/admission/server.ts';
import { type Client, type ConnectOptions, connect } from '../../src/cluster/client/client.ts';
import { startMirror } from '../../src/cluster/mirror/mirror.ts';
import { type Config, readConfig } from '../../src/config.ts';
import type { Reads, Writes } from '../../src/controller/ports.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { admissionPorts, type Views } from '../../src/wiring/admission.ts';
import { controllerReads, controllerWrites } from '../../src/wiring/controller.ts';
import { registryOf } from '../../src/wiring/images.ts';
import { type ControlPlane, startControlPlane } from '../cluster/plane/controlplane.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { accountKinds, ownKubeconfig } from './account.ts';
import { type Kubelet, startKubelet } from './kubelet.ts';
import { applyManifests } from './manifests.ts';
import { nameDatabase } from './names.ts';
import { makeStandIn, type StandIn } from './standin.ts';

export interface Place {
  plane: ControlPlane;
  /** The cluster's admin: people, tools, and the stand-ins. */
  client: Client;
  /** Of downdraft's own service account, by which the webhooks look and the controller works. */
  kubeconfig: string;
  config: Config;
  /** What the webhooks look at. */
  views: Views;
  postgres: Postgres;
  kubelet: Kubelet;
  standIn: StandIn;
  /** How the API server reaches the webhooks. */
  reach: { url: string; caBundle: string };
  /** The controller's ports as main joins them, but for what meets programs inside pods. `by` and `mirror` replace its own. */
  reads(by?: Client, mirror?: Views['mirror']): Reads;
  writes(by?: Client): Writes;
  /** Ends everything, in the order of dependence. */
  stop(): Promise<void>;
}

/** The database of a namespace has the namespace's name. */
export const databaseOf = (namespace: string) => namespace;

/** Starts everything; when something does not start, ends what did and throws. `onRequest` hears what downdraft asks. */
export async function startPlace(purpose: string, onRequest?: ConnectOptions['onRequest']): Promise<Place> {
  const stops: (() => Promise<unknown> | unknown)[] = [];
  const stop = async () => {
    const faults: unknown[] = [];
    for (const end of stops.splice(0).reverse())
      try {
        await end();
      } catch (error) {
        faults.push(error);
      }
    if (faults.length > 0) throw new AggregateError(faults, 'not everything ended as it should');
  };
  stops.push(nameDatabase());
  try {
    const plane = keep(await startControlPlane({ purpose }), (p) => p.stop());
    const postgres = keep(await startPostgres(), (p) => p.stop());
    const client = keep(connect({ kubeconfig: plane.kubeconfig }), (c) => c.close());
    const url = (namespace: string) => postgres.url(databaseOf(namespace));
    const standIn = makeStandIn(url, (namespace, pod) =>
      client.request<PodObject>('GET', `/api/v1/namespaces/${namespace}/pods/${pod}`),
    );
    await applyManifests(client, plane, ['Namespace', 'CustomResourceDefinition', ...accountKinds]);
    const config = configOf(await ownKubeconfig(client, plane, configOf(plane.kubeconfig)));
    const kubeconfig = config.kubeconfig!;
    const own = keep(connect({ kubeconfig, onRequest }), (c) => c.close());
    const views = await startViews(own, config, stops);
    const reach = await startWebhooks(views, config, stops);
    await applyManifests(client, plane, ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'], reach);
    const kubelet = keep(await startKubelet(client, { database: url, programs: standIn }), (k) => k.stop());
    return {
      plane,
      client,
      kubeconfig,
      config,
      views,
      postgres,
      kubelet,
      standIn,
      reach,
      ...portsOf(views, config, reach, standIn),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }

  function keep<T>(started: T, end: (started: T) => Promise<unknown> | unknown): T {
    stops.push(() => end(started));
    return started;
  }
}

function configOf(kubeconfig: string): Config {
  const env = { DOWNDRAFT_KUBECONFIG: kubeconfig, DOWNDRAFT_POLL_MS: '100', DOWNDRAFT_IDENTITY: 'loop' };
  return readConfig({ env, podNamespace: () => 'downdraft', hostname: () => 'loop' });
}

function portsOf(views: Views, config: Config, reach: Place['reach'], standIn: StandIn) {
  const { client } = views;
  return {
    reads: (by: Client = client, mirror = views.mirror): Reads => ({
      ...controllerReads({ ...views, client: by, mirror }, config.namespace),
      ...standIn.reads,
    }),
    writes: (by: Client = client): Writes => ({
      ...controllerWrites({
        client: by,
        namespace: config.namespace,
        gateReach: () => reach,
        instance: config.identity,
      }),
      ...standIn.writes,
    }),
  };
}

/** The mirror, told of everything there is. */
async function startViews(client: Client, config: Config, stops: (() => unknown)[]): Promise<Views> {
  const ending = new AbortController();
  stops.push(() => ending.abort());
  const mirror = startMirror(client, config.namespace, ending.signal, () => undefined);
  await waitFor('the mirror to be told of everything', 30_000, async () => mirror.missing() === undefined, 50);
  return { client, mirror, registry: registryOf(client, config) };
}

async function startWebhooks(views: Views, config: Config, stops: (() => unknown)[]): Promise<Place['reach']> {
  const names = { serviceName: config.service, namespace: config.namespace, hosts: ['127.0.0.1'] };
  const { ca, leaf } = await issue({ ...names, now: new Date() });
  const app = buildServer(
    admissionPorts(views, config, () => undefined),
    { logger: undefined, tls: leaf },
  );
  stops.push(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, caBundle: Buffer.from(ca.cert).toString('base64') };
}
