/**
 * A real control plane with downdraft's own manifests installed, and the webhooks answered by a server in this process,
 * on the ports that main joins. What is stored comes from the cluster, all else (or nothing: `real`) from a test's world.
 */
import { execFile } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import type { FastifyBaseLogger } from 'fastify';
import { parseAllDocuments } from 'yaml';
import { issue } from '../../certs/authority.ts';
import { buildServer } from '../../src/admission/server.ts';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { startMirror } from '../../src/cluster/mirror/mirror.ts';
import { readConfig } from '../../src/config.ts';
import { admissionPorts } from '../../src/wiring/admission.ts';
import { callersOf } from '../../src/wiring/callers.ts';
import { registryOf } from '../../src/wiring/images.ts';
import { type ControlPlane, startControlPlane } from '../cluster/plane/controlplane.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { makePorts, type World } from '../make/ports.ts';

/** A review that was answered, as the log tells it. */
export interface Reviewed {
  kind: string;
  name: string;
  operation: string;
  verdict: string;
  reason: string;
  says?: string;
}

export interface Guarded {
  plane: ControlPlane;
  /** The cluster's admin, by our own client. */
  client: Client;
  /** What the webhooks find in place of the database, runs, images, registries, policies and rights; a test changes it. */
  world: World;
  /** Paths of the reviews that came in. */
  calls: string[];
  reviewed: Reviewed[];
  /** What the webhooks asked the API server, as "GET /api/v1/…". */
  asked: string[];
  /** How the API server reaches the webhooks: for configurations that a test adds. */
  reach: { url: string; caBundle: string };
  /** Runs kubectl; does not throw when it fails. */
  kubectl(args: string[], input?: unknown): Promise<{ code: number; stdout: string; stderr: string }>;
  /** The object as stored. */
  get(kind: string, name: string): Promise<Record<string, never>>;
  /** Nobody answers reviews any more. */
  silence(): Promise<void>;
  stop(): Promise<void>;
}

type Stops = (() => Promise<unknown> | unknown)[];

/**
 * Starts everything; resolves when a first review has come in. `real`: the world says nothing. `known`: reviews are taken
 * from the API server alone, which shows a certificate.
 */
export async function startGuarded({
  real = false,
  known = false,
  env = {} as Record<string, string>,
} = {}): Promise<Guarded> {
  const stops: Stops = [];
  const stop = async () => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const plane = await startControlPlane({ purpose: 'admission tests', knownToWebhooks: known });
    stops.push(() => plane.stop());
    const kubectl: Guarded['kubectl'] = (args, input) => run(plane.env, args, input);
    const objects = await rendered(kubectl);
    await apply(
      kubectl,
      objects.filter((o) => o.kind === 'Namespace' || o.kind === 'CustomResourceDefinition'),
    );
    await must(kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all']));
    const seen = { calls: [], reviewed: [], asked: [], world: {} };
    const webhooks = await answerReviews(
      plane,
      { ...seen, real, env: known ? { ...env, ...knownCallers(plane) } : env },
      stops,
    );
    await apply(
      kubectl,
      objects.map((object) => reachedAt(object, webhooks.reach)),
    );
    const client = connect({ kubeconfig: plane.kubeconfig });
    stops.push(() => client.close());
    const get = async (kind: string, name: string) =>
      JSON.parse((await must(kubectl(['-n', 'air', 'get', kind, name, '-o', 'json']))).stdout);
    const guarded = { plane, client, ...seen, ...webhooks, kubectl, get, stop };
    await inForce(guarded);
    return guarded;
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Seen extends Pick<Guarded, 'calls' | 'reviewed' | 'asked' | 'world'> {
  real: boolean;
  env: Record<string, string>;
}

function knownCallers({ pki }: ControlPlane): Record<string, string> {
  return { DOWNDRAFT_CLIENT_CA: pki.caCert, DOWNDRAFT_CLIENT_NAMES: 'admin' };
}

async function answerReviews({ kubeconfig }: ControlPlane, seen: Seen, stops: Stops) {
  const env = { DOWNDRAFT_KUBECONFIG: kubeconfig, ...seen.env };
  const config = readConfig({ env, podNamespace: () => 'downdraft', hostname: () => 'guarded' });
  const client = connect({ kubeconfig, onRequest: (method, path) => void seen.asked.push(`${method} ${path}`) });
  stops.push(() => client.close());
  const ending = new AbortController();
  stops.push(() => ending.abort());
  const mirror = startMirror(client, 'downdraft', ending.signal, () => undefined);
  await waitFor('the mirror to be told of everything', 30_000, () => mirror.missing() === undefined);
  const joined = admissionPorts({ client, mirror, registry: registryOf(client, config) }, config, () => undefined);
  const { storedWorkload, releaseWorkloads, notReady, now, settings, ...told } = makePorts(seen.world);
  const ports = seen.real ? joined : { ...joined, ...told };
  const names = { serviceName: config.service, namespace: config.namespace, hosts: ['127.0.0.1'] };
  const { ca, leaf } = await issue({ ...names, now: new Date() });
  const callers = await callersOf(config);
  const app = buildServer(ports, { logger: loggerTo(seen.reviewed), tls: leaf, callers });
  app.server.on('request', (request: { url: string }) => seen.calls.push(request.url.split('?')[0]!));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const silence = async () => {
    app.server.closeAllConnections();
    await app.close();
  };
  stops.push(silence);
  const { port } = app.server.address() as AddressInfo;
  return { reach: { url: `https://127.0.0.1:${port}`, caBundle: Buffer.from(ca.cert).toString('base64') }, silence };
}

function loggerTo(reviewed: Reviewed[]): FastifyBaseLogger {
  const ignore = () => undefined;
  const info = (line: unknown, says?: string) => void (says === 'reviewed' && reviewed.push(line as Reviewed));
  const logger = { info, warn: ignore, error: ignore, fatal: ignore, debug: info, trace: ignore, silent: ignore };
  return { ...logger, level: 'info', child: () => loggerTo(reviewed) } as unknown as FastifyBaseLogger;
}

type Manifest = { kind: string; webhooks?: { clientConfig: { service?: { path: string }; url?: string } }[] };

async function rendered(kubectl: Guarded['kubectl']): Promise<Manifest[]> {
  const { stdout } = await must(kubectl(['kustomize', 'manifests']));
  return parseAllDocuments(stdout).map((document) => document.toJS());
}

function reachedAt(object: Manifest, { url, caBundle }: Guarded['reach']): Manifest {
  const webhooks = object.webhooks?.map((webhook) => {
    const { path } = webhook.clientConfig.service!;
    return { ...webhook, clientConfig: { url: url + path, caBundle } };
  });
  return webhooks ? { ...object, webhooks } : object;
}

async function apply(kubectl: Guarded['kubectl'], items: Manifest[]): Promise<void> {
  await must(kubectl(['apply', '-f', '-'], { apiVersion: 'v1', kind: 'List', items }));
}

/** Asks until the API server asks us, by a change that is not stored. */
async function inForce({ kubectl, calls }: Pick<Guarded, 'kubectl' | 'calls'>): Promise<void> {
  await must(kubectl(['create', 'namespace', 'air']));
  const metadata = { name: 'trial', namespace: 'air', labels: { tier: 'airflow' } };
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'x', image: 'x:1' }] } };
  const spec = { selector: { matchLabels: { a: 'b' } }, template };
  const trial = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec };
  await waitFor('the webhooks to be in force', 30_000, async () => {
    await must(kubectl(['create', '-f', '-', '--dry-run=server'], trial));
    return calls.length > 0;
  });
}

async function must<T extends { code: number; stderr: string }>(running: Promise<T>): Promise<T> {
  const result = await running;
  if (result.code !== 0) throw new Error(result.stderr);
  return result;
}

async function run(env: NodeJS.ProcessEnv, args: string[], input: unknown) {
  const running = promisify(execFile)('kubectl', args, { env, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 });
  running.child.stdin?.end(input === undefined ? '' : JSON.stringify(input));
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout: string; stderr: string };
    return { code: typeof code === 'number' ? code : -1, stdout, stderr };
  }
}
