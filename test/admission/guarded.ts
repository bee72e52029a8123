/** A real control plane with downdraft's own manifests installed, and the webhooks answered by a server in this process. */
import { execFile } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { issue } from '../../certs/authority.ts';
import { buildServer } from '../../src/admission/server.ts';
import { type ControlPlane, startControlPlane } from '../cluster/controlplane.ts';
import { waitFor } from '../cluster/wait.ts';
import { makePorts, type World } from '../make/ports.ts';

export interface Guarded {
  plane: ControlPlane;
  /** What the webhooks find; a test changes it. */
  world: World;
  /** Paths of the reviews that came in. */
  calls: string[];
  /** How the API server reaches the webhooks: for configurations that a test adds. */
  reach: { url: string; caBundle: string };
  /** Runs kubectl; does not throw when it fails. */
  kubectl(args: string[], input?: unknown): Promise<{ code: number; stdout: string; stderr: string }>;
  /** The object as stored. */
  get(kind: string, name: string): Promise<Record<string, never>>;
  stop(): Promise<void>;
}

/** Starts everything; resolves when a first review has come in. */
export async function startGuarded(): Promise<Guarded> {
  const plane = await startControlPlane({ purpose: 'admission tests' });
  const world: World = {};
  const calls: string[] = [];
  const { ca, leaf } = await issue({
    serviceName: 'downdraft',
    namespace: 'downdraft',
    now: new Date(),
    hosts: ['127.0.0.1'],
  });
  const kubectl = (args: string[], input?: unknown) => run(plane.env, args, input);
  const get = async (kind: string, name: string) =>
    JSON.parse((await kubectl(['-n', 'air', 'get', kind, name, '-o', 'json'])).stdout);
  const current = (): ReturnType<typeof makePorts> => makePorts(world);
  const ports = {
    ...makePorts(),
    storedWorkload: (kind: string, _: string, name: string) => get(kind, name),
    releaseWorkloads: async () =>
      JSON.parse((await kubectl(['-n', 'air', 'get', 'deploy,sts', '-o', 'json'])).stdout).items,
    database: (...args: Parameters<ReturnType<typeof makePorts>['database']>) => current().database(...args),
    run: (...args: Parameters<ReturnType<typeof makePorts>['run']>) => current().run(...args),
  };
  const app = buildServer(ports, { logger: undefined, tls: leaf });
  app.server.on('request', (request: { url: string }) => calls.push(request.url.split('?')[0]!));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const reach = { url: `https://127.0.0.1:${port}`, caBundle: Buffer.from(ca.cert).toString('base64') };
  const stop = async () => {
    await app.close();
    await plane.stop();
  };
  try {
    await install(kubectl, reach, calls);
  } catch (error) {
    await stop();
    throw error;
  }
  return { plane, world, calls, reach, kubectl, get, stop };
}

async function install(kubectl: Guarded['kubectl'], reach: Guarded['reach'], calls: string[]): Promise<void> {
  const rendered = await must(kubectl(['kustomize', 'manifests']));
  const objects = parseAllDocuments(rendered.stdout).map((document) => document.toJS());
  for (const object of objects)
    for (const webhook of object.webhooks ?? []) {
      const { path } = webhook.clientConfig.service;
      webhook.clientConfig = { url: reach.url + path, caBundle: reach.caBundle };
    }
  await must(kubectl(['apply', '-f', '-'], { apiVersion: 'v1', kind: 'List', items: objects }));
  await must(kubectl(['create', 'namespace', 'air']));
  const trial = ['-n', 'air', 'create', 'deployment', 'trial', '--image=x:1'];
  await must(kubectl(trial));
  await must(kubectl(['-n', 'air', 'label', 'deployment', 'trial', 'tier=airflow']));
  await waitFor('the webhooks to be in force', 30_000, async () => {
    await must(kubectl(['-n', 'air', 'set', 'image', 'deployment/trial', '*=x:2', '--dry-run=server']));
    return calls.length > 0;
  });
  await must(kubectl(['-n', 'air', 'delete', 'deployment', 'trial']));
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
