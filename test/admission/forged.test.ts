/**
 * Anyone who reaches the port can send a review. Whatever it says, on the ports that main joins: no Secret is read, no host
 * dialled and no file opened because a review names it. What is stored is read.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import https from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ContainerSpec, PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { type Postgres, startPostgres } from '../database/postgres.ts';
import { databaseHost, nameDatabase } from '../loop/names.ts';
import { isOpened } from '../make/fifo.ts';
import { makeRecord } from '../make/helmrelease.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { revisionsOf } from '../make/release.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';
import { type Guarded, startGuarded } from './guarded.ts';
import { asWritten } from './written.ts';

const older = 'apache/airflow:3.1.8';
let at: Guarded;
let postgres: Postgres;
let listener: Server;
let dialled = 0;
let folder: string;
let fifo: string;
const forget = nameDatabase();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-forged-'));
  fifo = join(folder, 'key');
  execFileSync('mkfifo', [fifo]);
  listener = createServer((socket) => {
    dialled++;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  postgres = await startPostgres();
  await postgres.createDatabase('air');
  for (const [table, revision] of [
    ['alembic_version', revisionsOf['3.2.1'].core],
    ['dag', ''],
  ])
    await postgres.query('air', `CREATE TABLE ${table} AS SELECT '${revision}'::text AS version_num`);
  at = await startGuarded({ real: true });
  await at.kubectl(['create', 'namespace', 'finance']);
  const url = postgres.url('air').replace('127.0.0.1', databaseHost);
  for (const [namespace, name, connection] of [
    ['air', 'af-metadata', url],
    ['air', 'foreign', evil()],
    ['finance', 'foreign', evil()],
    ['finance', 'af-metadata', evil()],
  ])
    await created({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData: { connection } });
  await created(asWritten(makeDeployment()));
  await waitFor('the mirror to have it', 10_000, async () => (await held()).reason === 'DatabaseAhead');
}, 180_000);

afterAll(async () => {
  await at?.stop();
  await postgres?.stop();
  listener?.close();
  forget();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  at.asked.length = 0;
  at.reviewed.length = 0;
  dialled = 0;
});

const evilPort = () => (listener.address() as AddressInfo).port;
const evil = () =>
  `postgresql://u:p@${databaseHost}:${evilPort()}/x?sslmode=verify-full&sslkey=${fifo}&sslcert=${fifo}&sslrootcert=${fifo}`;

async function created(object: object): Promise<void> {
  const { code, stderr } = await at.kubectl(['create', '-f', '-'], object);
  if (code !== 0) throw new Error(stderr);
}

/** Sends a review straight to the port. */
function post(path: string, review: unknown): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { 'content-type': 'application/json' };
  const sent = { method: 'POST', headers, rejectUnauthorized: false, timeout: 20_000 };
  const request = https.request(at.reach.url + path, sent, (response) => {
    let body = '';
    response
      .setEncoding('utf8')
      .on('data', (part: string) => (body += part))
      .on('end', () => resolve(body));
  });
  request.on('error', reject).end(JSON.stringify(review));
  return promise;
}

async function held() {
  const review = makeReview({ object: makeDeployment({ image: older }), oldObject: makeDeployment() });
  await post('/mutate', review);
  return at.reviewed.at(-1)!;
}

const connection = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';
const fromSecret = (name: string) => ({ name: connection, valueFrom: { secretKeyRef: { name, key: 'connection' } } });

/** What a forger writes into a pod's spec, by what he is after. */
const forgeries: [string, (spec: WorkloadObject['spec']['template']['spec']) => void][] = [
  ['a foreign Secret', (spec) => each(spec, (c) => (c.env = [fromSecret('foreign')]))],
  [
    'a foreign Secret by envFrom',
    (spec) => each(spec, (c) => Object.assign(c, { env: [], envFrom: [{ secretRef: { name: 'foreign' } }] })),
  ],
  ['a foreign ConfigMap', (spec) => each(spec, (c) => (c.envFrom = [{ configMapRef: { name: 'foreign' } }]))],
  ['a host and files for keys', (spec) => each(spec, (c) => (c.env = [{ name: connection, value: evil() }]))],
  ['a registry', (spec) => each(spec, (c) => (c.image = `127.0.0.1:${evilPort()}/evil/airflow:latest`))],
  [
    'a registry by name',
    (spec) => each(spec, (c) => (c.image = `localhost:${evilPort()}/airflow@sha256:${'0'.repeat(64)}`)),
  ],
  [
    'pull secrets and a service account',
    (spec) => Object.assign(spec, { imagePullSecrets: [{ name: 'foreign' }], serviceAccountName: 'foreign' }),
  ],
];

function each(
  { containers, initContainers = [] }: { containers: ContainerSpec[]; initContainers?: ContainerSpec[] },
  change: (c: ContainerSpec) => unknown,
): void {
  for (const container of [...containers, ...initContainers]) change(container);
}

function forged<T extends WorkloadObject | PodObject>(object: T, forge: (typeof forgeries)[number][1]): T {
  forge(object.kind === 'Pod' ? (object as PodObject).spec : (object as WorkloadObject).spec.template.spec);
  return object;
}

/** Of what holds secrets or names hosts, only that of the stored workload; other objects may be looked for by name. */
function expectNothingForeign(): void {
  const own = /^GET \/api\/v1\/namespaces\/air\/(secrets\/af-metadata|serviceaccounts\/af-airflow-scheduler)$/;
  const read = at.asked.filter((path) => /\/(secrets|configmaps|serviceaccounts)\//.test(path));
  expect(read.filter((path) => !own.test(path))).toEqual([]);
  expect(dialled).toBe(0);
  expect(isOpened(fifo)).toBe(false);
}

it('what is stored is read: the Secret of the stored workload, then its database', async () => {
  expect(await held()).toMatchObject({ verdict: 'hold', reason: 'DatabaseAhead' });
  expect(at.asked).toContain('GET /api/v1/namespaces/air/secrets/af-metadata');
});

describe.each(forgeries)('a forged review that names %s', (_, forge) => {
  const to = (image = older) => forged(makeDeployment({ image }), forge);
  const both = () => ({ object: to(), oldObject: forged(makeDeployment(), forge) });

  it.each([
    ['an update that says both sides are so', '/mutate', () => makeReview(both())],
    ['an update from what is stored', '/mutate', () => makeReview({ object: to(), oldObject: makeDeployment() })],
    [
      'a creation beside what is stored',
      '/mutate',
      () =>
        makeReview({
          object: forged(makeDeployment({ component: 'worker', image: older }), forge),
          operation: 'CREATE',
        }),
    ],
    ['an update of what is not stored', '/mutate', () => named(makeReview(both()), { name: 'foreign' })],
    ['an update in a namespace that has none', '/mutate', () => named(makeReview(both()), { namespace: 'finance' })],
    ['a validation', '/validate', () => makeReview(both())],
    [
      "a Job's pod",
      '/gate',
      () => makeReview({ object: forged(makeMigrationPod({ image: older }), forge), operation: 'CREATE' }),
    ],
    [
      'a pod of a drained release',
      '/drain',
      () => makeReview({ object: forged(makePod({ image: older }), forge), operation: 'CREATE' }),
    ],
    ['a container for debugging', '/ephemeral', () => ephemeral(forge)],
    [
      "Helm's record",
      '/record',
      () => makeReview({ object: makeRecord({ objects: [to()] }) as never, operation: 'CREATE' }),
    ],
  ])('%s: it is answered, and nothing foreign is touched', async (_, path, review) => {
    const { response } = JSON.parse(await post(path, review()));
    expect(response).toMatchObject({ uid: makeReview().request.uid, allowed: expect.any(Boolean) });
    expectNothingForeign();
  });
});

function named<T extends ReturnType<typeof makeReview>>(review: T, names: { name?: string; namespace?: string }): T {
  Object.assign(review.request, names);
  return review;
}

function ephemeral(forge: (typeof forgeries)[number][1]) {
  const object = forged(makePod({}), forge);
  object.spec.ephemeralContainers = [{ name: 'debugger', image: object.spec.containers[0]!.image! }];
  return makeReview({ object, oldObject: makePod({}), subResource: 'ephemeralcontainers' });
}

it('(the listener would have seen it: a stored workload that names it is another matter)', async () => {
  const image = `127.0.0.1:${evilPort()}/own/airflow:1`;
  await created(asWritten(makeDeployment({ namespace: 'finance', image })));
  await waitFor('the stored registry or database to be dialled', 10_000, async () => {
    const object = makeDeployment({ namespace: 'finance', image: image.replace(':1', ':2') });
    await post('/mutate', makeReview({ object, oldObject: makeDeployment({ namespace: 'finance', image }) }));
    return dialled > 0;
  });
});
