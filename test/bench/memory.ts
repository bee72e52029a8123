/** What the whole product takes in a big cluster: it is started as its pod starts it, beside a stand-in for the API server. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { startChild } from './child.ts';
import type { Size } from './crowd.ts';
import { withFolder } from './folder.ts';
import { peakMiB, residentMiB } from './proc.ts';
import { get, isReady, startProduct, untilOf } from './product.ts';
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
    const [apiPort] = (await freePorts(1)) as [number];
    const program = join(import.meta.dirname, 'apiserver.ts');
    const args = [String(apiPort), certificates, JSON.stringify(size), ...(role === 'follower' ? ['led'] : [])];
    stack.adopt(await startChild('apiserver', [process.execPath, program, ...args], { folder }), (c) => c.stop());
    const asked = async () => JSON.parse((await get(apiPort, '/bench')).text) as Asked;
    await waitFor('the stand-in for the API server', 60_000, async () => await asked().catch(() => undefined), 50);
    const ca = await readFile(join(certificates, 'tls.crt'));
    const product = stack.adopt(await startProduct(folder, { apiPort, token: 'bench', ca }), (c) => c.stop());
    const until = untilOf(product, signal);
    const readySeconds = await until('readiness', async () => await isReady(product));
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
