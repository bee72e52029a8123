/** What the whole product takes in a big cluster: it is started as its pod starts it, beside a stand-in for the API server. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../cluster/ports.ts';
import { Hopeless, waitFor } from '../cluster/wait.ts';
import { startChild } from './child.ts';
import type { Size } from './crowd.ts';
import { withFolder } from './folder.ts';
import { containerEntry, containerEnvironment } from './image.ts';
import { peakMiB, residentMiB } from './proc.ts';
import { makeCertificates } from './servers.ts';

/** The cluster of which the targets speak. */
export const bigCluster: Size = { releases: 1000, pods: 100_000, crowded: 10_000, foreign: 20_000 };

/** MiB that a replica may take at rest. */
export const restLimitMiB = 120;

export interface Taken {
  role: 'follower' | 'leader';
  /** MiB when all is known and, of a leader, every release has been looked at; and at most until then. */
  rest: number;
  peak: number;
  /** Namespaces whose pods were listed. */
  looked: number;
  /** Until reviews were answered, and until all was quiet. */
  readySeconds: number;
  quietSeconds: number;
}

/** What the stand-in has been asked: see Taken. */
interface Asked {
  looked: number;
  /** Since the last list. */
  quietMs: number;
}

/** Runtimes give memory back only once they are quiet. */
const restMs = 3_000;

/** Starts the product in such a cluster and measures it until it is quiet. Throws, with the end of its log, when it ends. */
export async function measureMemory(size: Size, role: Taken['role'], signal: AbortSignal): Promise<Taken> {
  return await withFolder(async (folder, stack) => {
    const certificates = await makeCertificates(folder);
    const [apiPort, port] = (await freePorts(2)) as [number, number];
    const program = join(import.meta.dirname, 'apiserver.ts');
    const args = [String(apiPort), certificates, JSON.stringify(size), ...(role === 'follower' ? ['led'] : [])];
    stack.adopt(await startChild('apiserver', [process.execPath, program, ...args], { folder }), (c) => c.stop());
    const asked = async () => JSON.parse((await get(apiPort, '/bench')).text) as Asked;
    await waitFor('the stand-in for the API server', 60_000, async () => await asked().catch(() => undefined), 50);
    const account = await serviceAccount(folder, certificates);
    const env = {
      ...(await containerEnvironment()),
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(apiPort),
      DOWNDRAFT_PORT: String(port),
      DOWNDRAFT_NAMESPACE: 'downdraft',
      POD_NAME: 'bench',
    };
    const command = [process.execPath, await containerEntry(folder, 'inpod'), account];
    const started = performance.now();
    const product = stack.adopt(await startChild('downdraft', command as [string], { folder, env }), (c) => c.stop());
    const until = async (what: string, isSo: () => Promise<boolean>) => {
      await waitFor(what, 900_000, async () => {
        if (signal.aborted) throw new Hopeless(String(signal.reason));
        await product.check().catch((error) => {
          throw new Hopeless(error.message);
        });
        return await isSo();
      });
      return (performance.now() - started) / 1000;
    };
    const readySeconds = await until(
      'readiness',
      async () => (await get(port, '/readyz').catch(() => undefined))?.status === 200,
    );
    const quietSeconds = await until('all is quiet', async () => {
      const { looked, quietMs } = await asked();
      return quietMs > restMs && (role === 'follower' || looked > 0);
    });
    await delay(restMs);
    const { looked } = await asked();
    const [rest, peak] = await Promise.all([residentMiB(product.pid), peakMiB(product.pid)]);
    return { role, rest: Math.round(rest), peak: Math.round(peak), looked, readySeconds, quietSeconds };
  });
}

/** A folder as kubelet gives it to a pod. */
async function serviceAccount(folder: string, certificates: string): Promise<string> {
  const account = join(folder, 'account');
  await mkdir(account);
  await writeFile(join(account, 'token'), 'bench');
  await writeFile(join(account, 'namespace'), 'downdraft');
  await copyFile(join(certificates, 'tls.crt'), join(account, 'ca.crt'));
  return account;
}

async function get(port: number, path: string): Promise<{ status: number; text: string }> {
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
