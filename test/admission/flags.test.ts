/**
 * Callers without credentials, on the compiled server with the flags and the memory of its container: whatever 40 of them
 * send, the replica stays, stays within its memory, and goes on answering the API server.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { memoryLimitMiB } from '../bench/image.ts';
import { peakMiB } from '../bench/proc.ts';
import { makeCertificates, type Server, startDowndraft } from '../bench/servers.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';
import { bodies } from './worst.ts';

/** How long each of them goes on. */
const attackMs = 1_500;

/** As the webhooks' timeoutSeconds: what comes later refuses a deploy. The machine is shared, so no less is demanded. */
const timeoutMs = 10_000;

/**
 * A small review waits no longer than a spared replica takes for so many of the dearest, one after another, in the same
 * seconds of the same machine: that is under a second where one takes an eighth of it. Behind the work of all clients it
 * would wait for 40.
 */
const mostDear = 8;

const dear = bodies['as many objects as a review may have']![1]();
const trivial = JSON.stringify(makeReview({ object: makeDeployment(), oldObject: makeDeployment() }));
const agent = new https.Agent({ keepAlive: true });
let folder: string;
let server: Server;
/** Another replica, which nobody attacks, on the same machine, as busy as it is. */
let spared: Server;
let limitMiB: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-flags-'));
  limitMiB = await memoryLimitMiB();
  const sample = join(folder, 'sample.json');
  await writeFile(sample, trivial);
  const place = { folder, certificates: await makeCertificates(folder), sample };
  server = await startDowndraft(place);
  spared = await startDowndraft(place);
});

afterAll(async () => {
  agent.destroy();
  await Promise.all([server?.stop(), spared?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

/** Milliseconds until a review is answered, a small one as the API server sends it. Throws when it is not judged. */
async function asked(of: Server, body = trivial): Promise<number> {
  const began = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const [host, port] = of.address.split(':') as [string, string];
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const sent = { host, port, path: of.path, method: 'POST', headers, agent, rejectUnauthorized: false };
  https
    .request({ ...sent, timeout: timeoutMs }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    })
    .once('timeout', () => reject(new Error(`no answer within ${timeoutMs} ms`)))
    .once('error', reject)
    .end(body);
  expect(await promise).toBe(200);
  return performance.now() - began;
}

/** What the share of them lies below. */
const at = (figures: number[], share: number) => figures.sort((a, b) => a - b)[Math.floor(figures.length * share)]!;

it.each([
  'empty objects',
  'lists in lists',
  'objects with keys of their own',
  'as many objects as a review may have',
  'as many texts as a review may have',
  'one long text',
  'many objects in small bodies',
  'a record of lists',
  'a record of questions',
  'bodies held open',
  'small bodies held open',
  'slow headers',
  'many connections',
  'handshakes that never end',
  'pipelining',
  'names that nobody has',
])(
  '%s, from 40 clients: small reviews are answered, and the memory is within its limit',
  { timeout: 60_000 },
  async (attack) => {
    const port = Number(server.address.split(':')[1]);
    const attacker = new Worker(new URL('./attacker.ts', import.meta.url), { workerData: { attack, port } });
    const failed = new Promise<never>((_, reject) => attacker.once('error', reject));
    failed.catch(() => undefined);
    const waited: number[] = [];
    const alone: number[] = [];
    try {
      await Promise.race([failed, delay(300)]);
      for (let part = 0; part < 3; part++) {
        alone.push(await Promise.race([failed, asked(spared, dear)]));
        for (const end = performance.now() + attackMs / 3; performance.now() < end; await delay(20))
          waited.push(await Promise.race([failed, asked(server)]));
      }
    } finally {
      await attacker.terminate();
    }
    const p99 = at(waited, 0.99);
    const unit = at(alone, 0.5);
    const peak = await peakMiB(server.pid);
    console.log(
      `${attack}: ${waited.length} reviews, p99 ${p99.toFixed(0)} ms, a dear one alone ${unit.toFixed(0)} ms; ${peak.toFixed(0)} of ${limitMiB} MiB at most`,
    );
    expect(p99 / unit, 'p99 of a small review, in dear ones').toBeLessThan(mostDear);
    expect(peak).toBeLessThan(limitMiB);
  },
);
