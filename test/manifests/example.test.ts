/**
 * The example release against the official chart's: what the tests run on must look like what users run.
 *
 * Both are flattened to `name › field › …: value` and compared line by line. What differs on purpose is listed here with
 * its reason; any other difference fails, and so does an entry that no longer matches one.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ensureBinaries } from '../cluster/build/binaries.ts';
import { run } from '../cluster/run/command.ts';
import { type Difference, differences, type Rendered, shapeOf, type Tree, workloadKinds } from './shape.ts';

/** A difference on purpose: the lines that it explains, what kind of difference it is, and its reason. */
interface Deliberate {
  at: RegExp;
  is: Difference['is'];
  why: string;
}

const chart = join(import.meta.dirname, '../../manifests/example');

const always: Deliberate[] = [
  { at: /^Secret af-(redis-password|broker-url) /, is: 'left out', why: 'LocalExecutor has no broker' },
  { at: / containers › \S+-log-groomer /, is: 'left out', why: 'no release lives so long here that logs pile up' },
  { at: / podAnnotations › checksum\/extra-secrets$/, is: 'left out', why: 'no extra Secrets here to watch' },
  { at: / podAnnotations › checksum\/pgbouncer-config-secret$/, is: 'left out', why: 'no PgBouncer here' },
  {
    at: / podAnnotations › checksum\/result-backend-secret$/,
    is: 'left out',
    why: 'LocalExecutor has no result backend',
  },
  { at: / mounts › \S+\/pod_template_file.yaml$/, is: 'left out', why: 'LocalExecutor makes no pods' },
  { at: /^\S+ af-postgresql /, is: 'added', why: 'the official chart takes its PostgreSQL from a subchart' },
];

/** Not every cluster has storage; the official chart with its persistence off makes a Deployment, too. */
const withoutStorage: Deliberate[] = [
  { at: /^Workload af-scheduler › kind$/, is: 'changed', why: 'a Deployment, since there is no claim to keep' },
  { at: / af-(scheduler|triggerer) › volumeClaimTemplates › logs$/, is: 'left out', why: 'no storage to claim' },
  { at: / af-(scheduler|triggerer) › volumes › logs › /, is: 'added', why: 'logs are kept as long as their pod' },
];

function explains({ at, is }: Deliberate, difference: Difference): boolean {
  return is === difference.is && at.test(difference.line);
}

let helm: string;

beforeAll(async () => {
  helm = process.env.DOWNDRAFT_HELM ?? join(await ensureBinaries(), 'helm');
}, 3_000_000);

async function template(...settings: string[]): Promise<string> {
  const arguments_ = ['template', 'af', chart, '--namespace', 'air', ...settings.flatMap((s) => ['--set', s])];
  return (await run(helm, arguments_, { env: process.env, timeoutMs: 30_000 })).stdout;
}

async function render(...settings: string[]): Promise<Rendered[]> {
  const documents = parseAllDocuments(await template(...settings));
  return documents.flatMap((document) => (document.toJS() as Rendered | null) ?? []);
}

async function officialChart(): Promise<Tree[]> {
  const file = join(import.meta.dirname, 'official-chart-shape.json');
  return JSON.parse(await readFile(file, 'utf8')).executors.LocalExecutor;
}

describe('the example has the official chart’s shape', () => {
  test.each([
    { name: 'with storage', settings: ['persistence.enabled=true'], deliberate: always },
    { name: 'without storage', settings: [], deliberate: [...always, ...withoutStorage] },
  ])('$name, but for what is listed', async ({ settings, deliberate }) => {
    const rendered = await render('airflowVersion=3.2.2', ...settings);
    const ours = rendered.filter((o) => ['Secret', 'Service', ...workloadKinds].includes(o.kind)).map(shapeOf);
    const found = differences(await officialChart(), ours);
    expect(found.filter((f) => !deliberate.some((d) => explains(d, f))).map((f) => f.seen)).toEqual([]);
    const stale = deliberate.filter((d) => !found.some((f) => explains(d, f)));
    expect(stale).toEqual([]);
  });

  test('a changed, a missing and an additional field are each seen', async () => {
    const official = await officialChart();
    const one = {
      kind: 'Deployment',
      name: 'x',
      labels: { a: '1', b: '2' },
      containers: [{ name: 'c', mounts: ['/m'] }],
    };
    const other = {
      kind: 'StatefulSet',
      name: 'x',
      labels: { a: '2', c: '3' },
      containers: [{ name: 'c', mounts: [] }],
    };
    expect(differences(official, official)).toEqual([]);
    expect(differences([one], [other]).map((d) => d.seen)).toEqual([
      'Workload x › kind: official Deployment, ours StatefulSet',
      'Workload x › labels › a: official 1, ours 2',
      'Workload x › labels › b: official 2, ours absent',
      'Workload x › containers › c › mounts › /m: official present, ours absent',
      'Workload x › labels › c: official absent, ours 3',
    ]);
  });
});

describe('the example', () => {
  test('differs between two versions in its images alone', async () => {
    const [newer, older] = [await template('airflowVersion=3.2.1'), await template('airflowVersion=3.1.8')];
    expect(newer).not.toBe(older);
    expect(newer.replaceAll('apache/airflow:3.2.1', 'apache/airflow:3.1.8')).toBe(older);
  });

  test('takes its image from a digest before a tag, and a tag before the version', async () => {
    const imagesOf = async (...settings: string[]) =>
      new Set((await template(...settings)).match(/(?<=image: ").*airflow.*(?=")/g));
    expect(await imagesOf('images.airflow.repository=r/airflow', 'defaultAirflowTag=3.1.8')).toEqual(
      new Set(['r/airflow:3.1.8']),
    );
    expect(await imagesOf('images.airflow.tag=t', 'defaultAirflowTag=3.1.8')).toEqual(new Set(['apache/airflow:t']));
    expect(await imagesOf('images.airflow.tag=t', 'images.airflow.digest=sha256:0')).toEqual(
      new Set(['apache/airflow@sha256:0']),
    );
  });

  test('refers to nothing that it does not make, and selects the pods that it makes', async () => {
    const objects = await render('dags.hello=pass');
    const made = new Set(objects.map((o) => `${o.kind} ${o.metadata.name}`));
    const text = JSON.stringify(objects);
    const wanted = [
      ...[...text.matchAll(/"secretKeyRef":\{"name":"([^"]+)"/g)].map((m) => `Secret ${m[1]}`),
      ...[...text.matchAll(/"configMap":\{"name":"([^"]+)"/g)].map((m) => `ConfigMap ${m[1]}`),
      ...[...text.matchAll(/"serviceAccountName":"([^"]+)"/g)].map((m) => `ServiceAccount ${m[1]}`),
      ...[...text.matchAll(/"serviceName":"([^"]+)"/g)].map((m) => `Service ${m[1]}`),
    ];
    expect(wanted.length).toBeGreaterThan(30);
    expect(wanted.filter((name) => !made.has(name))).toEqual([]);
    for (const { spec } of objects.filter((o) => ['Deployment', 'StatefulSet'].includes(o.kind))) {
      expect(spec.template.metadata?.labels).toEqual((spec.selector as { matchLabels: unknown }).matchLabels);
    }
  });

  test('has no hook on its Jobs when told so, and leaves them out when told so', async () => {
    const plain = await render('migrateDatabaseJob.useHelmHooks=false', 'createUserJob.useHelmHooks=false');
    const jobs = plain.filter((o) => o.kind === 'Job');
    expect(jobs.map((o) => o.metadata.annotations)).toEqual([undefined, undefined]);
    const none = await render('migrateDatabaseJob.enabled=false', 'createUserJob.enabled=false');
    expect(none.filter((o) => o.kind === 'Job' || o.metadata.name.endsWith('-job'))).toEqual([]);
  });

  test('keeps its database out of Airflow’s labels, under a name that other namespaces resolve', async () => {
    const objects = await render();
    const database = objects.filter((o) => o.metadata.name === 'af-postgresql');
    expect(database.map((o) => o.kind).sort()).toEqual(['Secret', 'Service', 'StatefulSet']);
    expect(JSON.stringify(database)).not.toContain('tier');
    expect(connectionOf(objects)).toBe(
      'postgresql://postgres:postgres@af-postgresql.air:5432/postgres?sslmode=disable',
    );
  });

  test('takes a database from outside, and asks for its URL', async () => {
    await expect(template('postgresql.enabled=false')).rejects.toThrow('set data.connection');
    const objects = await render('postgresql.enabled=false', 'data.connection=postgresql://u:p@db/x');
    expect(objects.filter((o) => o.metadata.name.includes('postgresql'))).toEqual([]);
    expect(connectionOf(objects)).toBe('postgresql://u:p@db/x');
    expect(connectionOf(await render('data.connection=postgresql://u:p@db/y'))).toBe('postgresql://u:p@db/y');
  });

  test('takes a grace of 0 seconds for a grace, and no value for the cluster’s own', async () => {
    const objects = await render('scheduler.terminationGracePeriodSeconds=0');
    const graceOf = (name: string) =>
      objects.find((o) => o.metadata.name === name && o.kind === 'Deployment')?.spec.template.spec
        .terminationGracePeriodSeconds;
    expect([graceOf('af-scheduler'), graceOf('af-api-server')]).toEqual([0, undefined]);
  });

  test('gives extra environment to every Airflow container, and lays settings over airflow.cfg', async () => {
    const objects = await render('extraEnv[0].name=X', 'extraEnv[0].value=y', 'config.core.parallelism=9');
    const containers = objects.flatMap(({ spec }) => [
      ...(spec?.template?.spec.initContainers ?? []),
      ...(spec?.template?.spec.containers ?? []),
    ]);
    const without = containers.filter((c) => !c.env?.some((v) => v.name === 'X' && v.value === 'y'));
    expect(without.map((c) => c.name)).toEqual(['postgresql']);
    const settings = objects.find((o) => o.metadata.name === 'af-config')?.data?.['airflow.cfg'];
    expect(settings).toMatch(/^parallelism = 9$/m);
    expect(settings).toMatch(/^executor = LocalExecutor$/m);
  });

  test('mounts each Dag by itself wherever Dags are read or run', async () => {
    const objects = await render('dags.hello=pass', 'dags.other\\.py=pass');
    const readers = objects.filter((o) => JSON.stringify(o.spec ?? null).includes('/opt/airflow/dags/hello.py'));
    expect(readers.map((o) => o.metadata.name).sort()).toEqual(['af-dag-processor', 'af-scheduler', 'af-triggerer']);
    const dags = objects.find((o) => o.metadata.name === 'af-dags');
    expect(dags?.data).toEqual({ 'hello.py': 'pass', 'other.py': 'pass' });
  });
});

function connectionOf(objects: Rendered[]): string {
  const secret = objects.find((o) => o.kind === 'Secret' && o.metadata.name === 'af-metadata');
  return Buffer.from(secret?.data?.connection ?? '', 'base64').toString();
}
