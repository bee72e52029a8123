/** The whole product in a process of its own, as its pod starts it: compiled, with its container's flags, under an account. */
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { freePorts } from '../cluster/run/ports.ts';
import { Hopeless, waitFor } from '../cluster/run/wait.ts';
import { type Child, startChild } from './child.ts';
import { containerEntry, containerEnvironment } from './image.ts';

/** The API server, and who it is to it; `ca` is PEM. */
export interface Account {
  apiPort: number;
  token: string;
  ca: string | Buffer;
}

export interface Product extends Child {
  port: number;
  /** A GET on its port. */
  get(path: string): Promise<{ status: number; text: string }>;
}

/** Starts it, on a free port or the given one; its log is `<folder>/downdraft.log`. `env` is set beside the container's own. */
export async function startProduct(
  folder: string,
  { apiPort, token, ca }: Account,
  { port, env = {} }: { port?: number; env?: Record<string, string> } = {},
): Promise<Product> {
  const own = port ?? (await freePorts(1))[0]!;
  const account = join(folder, 'account');
  await mkdir(account);
  // As kubelet gives it to a pod.
  for (const [name, content] of Object.entries({ token, namespace: 'downdraft', 'ca.crt': ca }))
    await writeFile(join(account, name), content, { mode: 0o600 });
  const all = {
    ...(await containerEnvironment()),
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: String(apiPort),
    DOWNDRAFT_PORT: String(own),
    DOWNDRAFT_NAMESPACE: 'downdraft',
    POD_NAME: 'bench',
    ...env,
  };
  const command: [string, ...string[]] = [process.execPath, await containerEntry(folder, 'inpod'), account];
  const child = await startChild('downdraft', command, { folder, env: all });
  return { ...child, port: own, get: (path) => get(own, path) };
}

/** Waits for something of a product that goes on; answers the seconds since this was called. Throws when it has ended. */
export function untilOf(product: Product, signal: AbortSignal) {
  const started = performance.now();
  return async (what: string, isSo: () => Promise<boolean>): Promise<number> => {
    await waitFor(what, 900_000, async () => {
      if (signal.aborted) throw new Hopeless(String(signal.reason));
      await product.check().catch((error) => {
        throw new Hopeless(error.message);
      });
      return await isSo();
    });
    return (performance.now() - started) / 1000;
  };
}

/** Whether it answers reviews. */
export async function isReady(product: Product): Promise<boolean> {
  return (await product.get('/readyz').catch(() => undefined))?.status === 200;
}

/** A GET on a port of this machine. */
export async function get(port: number, path: string): Promise<{ status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    // Its certificate is the stand-in's or downdraft's own; who answers on this port is known.
    const options = { host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false, timeout: 5000 };
    const asked = request(options, (response) => {
      text(response).then((told) => resolve({ status: response.statusCode ?? 0, text: told }), reject);
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer within 5 s'))).once('error', reject);
    asked.end();
  });
}
