/**
 * Anything that tenants may store, by the thousand, through a real API server with the real product beside it: compiled,
 * with its container's flags, under its own account. It stays, what is others' stays, and no older Airflow starts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { core } from '../../src/cluster/client/paths.ts';
import { memoryLimitMiB } from '../bench/image.ts';
import { peakMiB } from '../bench/proc.ts';
import { isReady, type Product, untilOf } from '../bench/product.ts';
import { startControlPlane } from '../cluster/plane/controlplane.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { startPostgres } from '../database/postgres.ts';
import { guarded, type Life, life, observed } from './anything.ts';
import { type Canaries, foreign, makeCanaries } from './foreign.ts';
import { live, nothingYet, type Told, unlessGone } from './lives.ts';
import { airflowIn, isHeld, isOlder } from './oracle.ts';
import { installProduct } from './product.ts';
import { connectionOf, makeSeed, seed } from './release.ts';
import { pathOf, type Thing } from './things.ts';

const requests = 2_000;
/** Another one by DOWNDRAFT_SEED. */
const seedOf = Number(process.env.DOWNDRAFT_SEED ?? 20_261_130);
const atATime = 8;

const stops: (() => Promise<unknown> | unknown)[] = [];
let client: Client;
let product: Product;
let canaries: Canaries;

beforeAll(async () => {
  const plane = await startControlPlane({ purpose: 'the loop: anything' });
  stops.push(() => plane.stop());
  const postgres = await startPostgres();
  stops.push(() => postgres.stop());
  client = connect({ kubeconfig: plane.kubeconfig });
  stops.push(() => client.close());
  await makeSeed({ postgres });
  for (const namespace of [...guarded, observed]) await makeNamespace(namespace, connectionOf({ postgres }, seed));
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-anything-'));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  product = await installProduct(plane, client, folder);
  stops.push(() => product.stop());
  await untilOf(product, new AbortController().signal)('readiness', async () => await isReady(product));
  canaries = await makeCanaries(client, foreign.namespace);
}, 180_000);

afterAll(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
}, 60_000);

async function makeNamespace(name: string, connection: string): Promise<void> {
  await client.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  const secrets = {
    metadata: { connection },
    'af-config-envs': { AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: connection },
    'blue-config-envs': { AIRFLOW__DATABASE__SQL_ALCHEMY_CONN: connection },
  };
  for (const [secret, stringData] of Object.entries(secrets))
    await client.request('POST', core(name, 'secrets'), { body: { metadata: { name: secret }, stringData } });
  await waitFor('the default service account', 60_000, () =>
    client.request<object>('GET', core(name, 'serviceaccounts', 'default')),
  );
}

/** In one namespace it only observes; a change there is judged by it from some moment on. */
async function observe(): Promise<void> {
  const selector = { matchLabels: { 'kubernetes.io/metadata.name': observed } };
  const spec = { mode: 'Observe', namespaceSelector: selector };
  await client.request('POST', pathOf('DowngradePolicy', ''), {
    body: { apiVersion: 'downdraft.dev/v1alpha1', kind: 'DowngradePolicy', metadata: { name: 'observes' }, spec },
  });
}

/** Lives them, so many at a time. Answers those that stay, as they were. */
async function liveAll(told: Told): Promise<Map<Life, Thing>> {
  const lives = fc.sample(life, { numRuns: requests, seed: seedOf }).map((make, at) => make(at));
  const left = new Map<Life, Thing>();
  const work = async () => {
    while (told.sent < requests) {
      const next = lives.shift()!;
      const stays = next.namespace !== undefined && lives.length % 20 === 0;
      const stored = await live(client, next, told, stays).catch((error) => {
        told.faults.push(`${error}: ${JSON.stringify(next)}`.slice(0, 6000));
      });
      if (stored) left.set(next, stored);
    }
  };
  await Promise.all(Array.from({ length: atATime }, work));
  return left;
}

it(`${requests} objects and updates, most of them taken by the API server: no older Airflow starts, and nobody else is touched`, async () => {
  await observe();
  const told = nothingYet();
  const left = await liveAll(told);
  const { failing, faults, ...counted } = told;
  const peak = Math.round(await peakMiB(product.pid));
  console.log(
    `DOWNDRAFT_SEED=${seedOf}: ${JSON.stringify({ ...counted, failing: failing.length, left: left.size, peak })}`,
  );
  expect.soft(faults).toEqual([]);
  expect.soft(failing).toEqual([]);
  expect.soft(await startedSince(left)).toEqual([]);
  expect.soft(counted.accepted).toBeGreaterThan(counted.sent / 2);
  expect.soft(counted.held).toBeGreaterThan(requests / 40);
  expect.soft(counted.observed).toBeGreaterThan(0);
  await canaries.expectUntouched([]);
  await product.check();
  expect(await product.get('/healthz')).toMatchObject({ status: 200 });
  expect(peak).toBeLessThan(await memoryLimitMiB());
}, 600_000);

/** Of those that stayed, what was held and is no longer: the leader has looked at them all the while. */
async function startedSince(left: Map<Life, Thing>): Promise<string[]> {
  const started: string[] = [];
  for (const [{ namespace = '' }, { kind, metadata, ...was }] of left) {
    const before = { kind, metadata, ...was };
    if (!isOlder(airflowIn(before)) || !isHeld(before)) continue;
    const now = await unlessGone(client.request<Thing>('GET', pathOf(kind, namespace, metadata.name)));
    if (now && !isHeld({ ...now, kind })) started.push(JSON.stringify({ before, now }));
  }
  return started;
}
