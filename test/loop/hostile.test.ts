/**
 * Whatever a tenant, a chart or a stranger writes into any text of what downdraft reads, under its own account with the
 * manifests' rights: nothing of other namespaces is asked for, and what stands there stays.
 */
import https from 'node:https';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { configurations, downgradesOf, jsonPatch, mergePatch } from '../../src/cluster/client/paths.ts';
import { gateConfigurationName } from '../../src/cluster/drain-webhook.ts';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import { releaseOfPod } from '../../src/release/kubernetes/pods.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { runController } from '../../src/wiring/controller.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { makeRecord } from '../make/helmrelease.ts';
import { leavesOf, withLeaf } from '../make/leaves.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';
import { type Canaries, makeCanaries } from './foreign.ts';
import { type Place, startPlace } from './place.ts';
import { install, makeSeed, releaseName } from './release.ts';
import { downgrade, kinds, namespace, older, paths, unspoiltPod } from './spoilt.ts';

let place: Place;
let canaries: Canaries;
const asked: string[] = [];
const leading = new AbortController();

beforeAll(async () => {
  place = await startPlace('the loop: hostile names', (method, path) => void asked.push(`${method} ${path}`));
  await makeSeed(place);
  await install(place, namespace);
  canaries = await makeCanaries(place.client, namespace);
  const leadership = { token: 1, leads: () => true, signal: leading.signal };
  runController(place.views, place.config, leadership, () => place.reach, pino({ level: 'silent' }));
  await looked([releaseName], 0);
}, 180_000);

afterAll(async () => {
  leading.abort();
  await place?.stop();
}, 60_000);

beforeEach(() => void asked.splice(0));

/** A look at each of these has begun since so many requests. */
async function looked(releases: readonly string[], since: number): Promise<void> {
  // Each look at a release asks for its gate.
  const gateOf = (release: string) =>
    `GET ${configurations('MutatingWebhookConfiguration', gateConfigurationName(namespace, release))}`;
  const left = new Set(releases);
  await waitFor(`a look at each of ${left.size} releases`, 60_000, () => {
    for (const one of asked.slice(since)) for (const r of left) if (one === gateOf(r)) left.delete(r);
    return left.size === 0;
  }).catch((error) => expect([...left], String(error)).toEqual([]));
}

/** By this label they are taken away again. */
const mark = { 'test.example/hostile': 'true' };

/** Stores them as of a release each; answers the releases of those that the API server took. */
async function store(kind: keyof typeof kinds): Promise<{ tried: number; releases: string[] }> {
  const { path, made } = kinds[kind];
  const releases: string[] = [];
  const objects = made().map((object, at) => {
    const release = `${kind.toLowerCase().replaceAll(/[^a-z]/g, '')}${at}`;
    const named = kind === 'pod' ? /"af-/g : /"af(?=["-])/g;
    const own = JSON.parse(
      JSON.stringify(object).replaceAll(named, (af) => af.replace('af', release)),
    ) as WorkloadObject;
    own.metadata.labels = { ...own.metadata.labels, ...mark };
    return own;
  });
  const queue = [...objects];
  const work = async () => {
    for (let object = queue.pop(); object; object = queue.pop()) {
      const body = object;
      const stored = await taken(() => place.client.request<WorkloadObject>('POST', path, { body }));
      if (!stored) continue;
      const release = kind === 'Downgrade' ? await withStatus(stored, body) : releaseOf(kind, stored);
      if (release) releases.push(release);
    }
  };
  await Promise.all(Array.from({ length: 6 }, work));
  return { tried: objects.length, releases };
}

function releaseOf(kind: string, stored: WorkloadObject): string | undefined {
  if (kind === 'pod') return releaseOfPod(stored as unknown as PodObject);
  // What has not the chart's label is none of the watched ones.
  if (stored.metadata.labels?.tier !== 'airflow') return undefined;
  return readWorkload({ ...stored, kind: kind.split(' ').at(-1)! })?.release;
}

async function withStatus(stored: object, { status }: { status?: object }): Promise<string> {
  const { metadata, spec } = stored as DowngradeObject;
  const path = downgradesOf(namespace, metadata.name, 'status');
  await taken(() => place.client.request('PATCH', path, { body: { status }, contentType: mergePatch }));
  return spec.release;
}

async function takeAway(kind: keyof typeof kinds): Promise<void> {
  const labelSelector = Object.entries(mark)[0]!.join('=');
  await place.client.request('DELETE', kinds[kind].path, { query: { labelSelector, gracePeriodSeconds: 0 } });
}

/** What the API server answers; undefined for what it refuses by itself, or because a webhook can't be asked about it. */
async function taken<T>(storing: () => Promise<T>): Promise<T | undefined> {
  try {
    return await storing();
  } catch (error) {
    if (error instanceof ApiError && [400, 403, 404, 409, 422].includes(error.status)) return undefined;
    if (/failed calling webhook/.test(String(error))) return undefined;
    throw error;
  }
}

it('a Downgrade: the API server refuses a release that no label could name', async () => {
  for (const release of paths)
    await expect(
      place.client.request('POST', downgradesOf(namespace), { body: { ...downgrade(), spec: { release, to: older } } }),
    ).rejects.toMatchObject({ status: 422 });
});

it.each(Object.keys(kinds) as (keyof typeof kinds)[])(
  'a %s with a hostile text in any place',
  async (kind) => {
    if (kind === 'Downgrade') await takeAnyRelease();
    const { tried, releases } = await store(kind);
    expect(releases.length, `taken of ${tried}`).toBeGreaterThan(tried / 4);
    if (kind === 'Downgrade') expect(releases.some((release) => paths.includes(release))).toBe(true);
    await looked(releases, 0);
    if (kind === 'pod') await lookedAtWhole();
    // No two looks at one release overlap: when a later one has begun, the one that met the text is over.
    const since = asked.length;
    await takeAway(kind);
    // A pod that is let go is watched no longer, so taking it away is no event; a new one is.
    if (kind === 'pod') await store(kind);
    await looked(releases, since);
    await takeAway(kind);
    await canaries.expectUntouched(asked);
  },
  90_000,
);

/** The pods are of the release that has a database: by one more of them it is looked at again while all are there. */
async function lookedAtWhole(): Promise<void> {
  const since = asked.length;
  const { metadata } = unspoiltPod;
  const body = { ...unspoiltPod, metadata: { ...metadata, name: 'last', labels: { ...metadata.labels, ...mark } } };
  await place.client.request('POST', kinds.pod.path, { body });
  await looked([releaseName], since);
}

/** As an older definition of the kind, which stored what it was given. */
async function takeAnyRelease(): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/downgrades.downdraft.dev';
  const spec = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties';
  const removed = ['release/pattern', 'release/maxLength', 'to/pattern'];
  const body = removed.map((one) => ({ op: 'remove', path: `${spec}/${one}` }));
  await place.client.request('PATCH', path, { body, contentType: jsonPatch });
  const any = { body: { ...downgrade(), spec: { release: paths[0], to: older } }, query: { dryRun: 'All' } };
  await waitFor('the definition to take any release', 30_000, () =>
    taken(() => place.client.request<object>('POST', downgradesOf(namespace), any)),
  );
}

const [was, now] = [makeDeployment({ namespace }), makeDeployment({ namespace, image: older })];
const migration = makeMigrationPod({ namespace, image: older });
const record = makeRecord({ objects: [now] }) as unknown as WorkloadObject;
const pods = { object: makePod({ namespace }), oldObject: makePod({ namespace }) };

it.each([
  ['/mutate', makeReview({ object: now, oldObject: was })],
  ['/validate', makeReview({ object: makeDeployment({ namespace, image: older, held: true }), oldObject: was })],
  ['/gate', makeReview({ object: migration, operation: 'CREATE' })],
  ['/drain', makeReview({ object: makePod({ namespace, image: older }), operation: 'CREATE' })],
  ['/ephemeral', makeReview({ ...pods, subResource: 'ephemeralcontainers' })],
  ['/record', makeReview({ object: record, operation: 'CREATE' })],
] as [string, object][])(
  'a review sent to %s with a hostile text in any place',
  async (path, review) => {
    // A namespace that is well-formed is asked for, to whom the API server itself is the caller.
    const texts = leavesOf(review).map((at, index) => withLeaf(review, at, paths[index % paths.length]!));
    const answers = await Promise.all(texts.map((one) => post(path, one)));
    for (const { body } of answers) expect(body).not.toMatch(/system:serviceaccount|forbidden|Cannot read/);
    expect([...new Set(answers.map(({ status }) => status))].sort()).toEqual([200, 400]);
    await canaries.expectUntouched(asked);
  },
  60_000,
);

/** Straight to the port, as anybody who reaches it can. */
async function post(path: string, review: object): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const headers = { 'content-type': 'application/json' };
  const sent = { method: 'POST', headers, rejectUnauthorized: false, timeout: 20_000 };
  const request = https.request(place.reach.url + path, sent, (response) => {
    let body = '';
    response
      .setEncoding('utf8')
      .on('data', (part: string) => (body += part))
      .on('end', () => resolve({ status: response.statusCode ?? 0, body }));
  });
  request.on('error', reject).end(JSON.stringify(review));
  return await promise;
}
