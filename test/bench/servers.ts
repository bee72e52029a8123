/** The servers that are measured, each alone in its own process, all with the same certificate. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { type Child, startChild } from './child.ts';
import { containerEntry, containerEnvironment } from './image.ts';
import { startStandin } from './standin.ts';

export interface Server {
  name: 'downdraft' | 'controller-runtime' | 'Pepr';
  pid: number;
  address: string;
  path: string;
  /** Folder with tls.crt and tls.key. */
  certificates: string;
  stop(): Promise<void>;
}

/** Where a server keeps its log and certificates, and one body by which it is seen to answer. */
export interface Place {
  folder: string;
  certificates: string;
  sample: string;
}

/** Makes the certificate of all servers, for 127.0.0.1, in `<folder>/certificates`. */
export async function makeCertificates(folder: string): Promise<string> {
  const dir = join(folder, 'certificates');
  await mkdir(dir);
  const made = await generate([{ name: 'commonName', value: 'bench' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  await writeFile(join(dir, 'tls.crt'), made.cert);
  await writeFile(join(dir, 'tls.key'), made.private, { mode: 0o600 });
  return dir;
}

/** downdraft as in its container; with the URL of a database, it reads that one for every review. */
export async function startDowndraft(place: Place, database?: string): Promise<Server> {
  const [port] = (await freePorts(1)) as [number];
  const entry = await containerEntry(place.folder, 'downdraft');
  const command = [process.execPath, entry, String(port), place.certificates, ...(database ? [database] : [])];
  return await startServer('downdraft', { command, env: await containerEnvironment(), port, path: '/mutate' }, place);
}

/** The webhook in Go, from the folder that `ensureGo` answers. */
export async function startGo(place: Place, go: string): Promise<Server> {
  const [port] = (await freePorts(1)) as [number];
  const command = [join(go, 'webhook'), `-port=${port}`, `-certificates=${place.certificates}`];
  return await startServer('controller-runtime', { command, env: {}, port, path: '/mutate' }, place);
}

/** Pepr's controller with the module in the folder that `ensurePepr` answers. */
export async function startPepr(place: Place, pepr: string): Promise<Server> {
  const [port] = (await freePorts(1)) as [number];
  const standin = await startStandin();
  const kubeconfig = join(place.folder, 'pepr-kubeconfig.json');
  await writeFile(kubeconfig, kubeconfigOf(standin.url));
  const env = {
    NODE_ENV: 'production',
    KUBECONFIG: kubeconfig,
    PORT: String(port),
    PEPR_API_PATH: 'bench',
    LOG_LEVEL: 'info',
    SSL_CERT_PATH: join(place.certificates, 'tls.crt'),
    SSL_KEY_PATH: join(place.certificates, 'tls.key'),
  };
  const command = [process.execPath, join(pepr, 'module.js')];
  try {
    const server = await startServer('Pepr', { command, env, port, path: '/validate/bench' }, place);
    return { ...server, stop: () => server.stop().finally(standin.stop) };
  } catch (error) {
    standin.stop();
    throw error;
  }
}

function kubeconfigOf(server: string): string {
  const name = 'bench';
  // The client takes plain HTTP, which the stand-in speaks, only with this.
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

interface Start {
  command: string[];
  env: Record<string, string>;
  port: number;
  path: string;
}

async function startServer(name: Server['name'], { command, env, port, path }: Start, place: Place): Promise<Server> {
  const { folder, certificates } = place;
  const child = await startChild(name, command as [string], { folder, env });
  try {
    await waitFor(`${name} answering`, 60_000, async () => await answers(child, port, path, place), 50);
  } catch (error) {
    await child.check().finally(() => child.stop());
    throw error;
  }
  return { name, pid: child.pid, address: `127.0.0.1:${port}`, path, certificates, stop: child.stop };
}

/** Whether a review is allowed; Pepr binds its paths only once it has its store. */
async function answers(child: Child, port: number, path: string, place: Place): Promise<boolean> {
  await child.check();
  const ca = await readFile(join(place.certificates, 'tls.crt'));
  const body = await readFile(place.sample);
  return await new Promise<boolean>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const asked = request({ host: '127.0.0.1', port, path, ca, method: 'POST', headers, agent: false, timeout: 2000 });
    asked.once('timeout', () => asked.destroy(new Error('no answer within 2 s'))).once('error', reject);
    asked.once('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.end(body);
  });
}
