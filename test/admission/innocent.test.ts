/** A real API server with the real manifests: nothing innocent reaches us, and nothing is ever refused for our sake. */
import { request } from 'node:https';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import { type Guarded, startGuarded } from './guarded.ts';
import { type OddObject, oddObjects, pathOf } from './odd.ts';
import { asWritten, crowded, oddOnes, shop } from './written.ts';

const older = 'apache/airflow:3.1.8';
const passed = { code: 0, stderr: '' };
let at: Guarded;
const air = (args: string[]) => at.kubectl(['-n', 'air', ...args]);
const create = (object: object) => at.kubectl(['create', '-f', '-'], object);

beforeAll(async () => {
  at = await startGuarded({ known: true });
  for (const object of [makeDeployment(), makeStatefulSet(), shop()]) {
    const { code, stderr } = await create(asWritten(object));
    if (code !== 0) throw new Error(stderr);
  }
}, 180_000);

afterAll(async () => await at?.stop());

beforeEach(() => {
  at.calls.length = 0;
  at.reviewed.length = 0;
});

describe('of 300 odd objects', () => {
  const stored: OddObject[] = [];

  /** What the API server says to each, but for what it took; six at a time. */
  async function refusals(given: OddObject[], ask: (object: OddObject) => Promise<unknown>): Promise<string[]> {
    const said: string[] = [];
    const waiting = [...given];
    const worker = async () => {
      for (let object = waiting.pop(); object; object = waiting.pop())
        await ask(object).catch((error) => said.push(`${object?.kind} ${object?.metadata.name}: ${error.message}`));
    };
    await Promise.all(Array.from({ length: 6 }, worker));
    return said;
  }

  const patch = (object: OddObject, body: object) =>
    at.client.request('PATCH', `${pathOf(object)}/${object.metadata.name}`, {
      contentType: 'application/merge-patch+json',
      timeoutMs: 30_000,
      body,
    });

  it('none is refused when it is created, and we are asked about none', async () => {
    const given = oddObjects(300, 'air', 42);
    const post = async (body: OddObject) =>
      void stored.push(await at.client.request<OddObject>('POST', pathOf(body), { body, timeoutMs: 30_000 }));
    expect(await refusals(given, post)).toEqual([]);
    expect(stored).toHaveLength(300);
    expect(at.calls).toEqual([]);
  }, 60_000);

  it('none is refused when it is relabelled and scaled, and we are asked about none', async () => {
    const change = { metadata: { labels: { odd: 'changed' }, annotations: { note: 'x' } } };
    const changed = (object: OddObject) =>
      patch(
        object,
        'replicas' in (object.spec ?? {}) ? { ...change, spec: { replicas: 0, minReadySeconds: 1 } } : change,
      );
    expect(await refusals(stored, changed)).toEqual([]);
    expect(at.calls).toEqual([]);
  }, 60_000);

  it('none is refused when it gets another image and another environment, and we are asked about none', async () => {
    const workloads = stored.filter(({ apiVersion }) => apiVersion === 'apps/v1');
    const changed = (object: OddObject) => {
      const [first, ...rest] = object.spec.template.spec.containers;
      const containers = [{ ...first, image: 'x:2', env: [{ name: 'DATABASE_HOST' }] }, ...rest];
      return patch(object, { spec: { template: { spec: { containers } } } });
    };
    expect(workloads.length).toBeGreaterThan(90);
    expect(await refusals(workloads, changed)).toEqual([]);
    expect(at.calls).toEqual([]);
  }, 60_000);
});

describe('the API server does not ask', () => {
  it.each([
    ['a new label', ['label', 'deployment', 'af-scheduler', 'team=data', '--overwrite']],
    ['a new annotation', ['annotate', 'deployment', 'af-scheduler', 'note=x', '--overwrite']],
    ['scaling a Deployment', ['scale', 'deployment', 'af-scheduler', '--replicas=2']],
    ['scaling a StatefulSet', ['scale', 'statefulset', 'af-triggerer', '--replicas=2']],
    ['replicas in the object', ['patch', 'deployment', 'af-scheduler', '-p', '{"spec":{"replicas":1}}']],
    ['a restart', ['rollout', 'restart', 'deployment', 'af-scheduler']],
    ['a restart of a StatefulSet', ['rollout', 'restart', 'statefulset', 'af-triggerer']],
    ['status', ['patch', 'deployment', 'af-scheduler', '--subresource=status', '-p', '{"status":{"replicas":1}}']],
    ['another environment', ['set', 'env', 'deployment/af-scheduler', 'A=B', 'AIRFLOW__CORE__PARALLELISM=8']],
    ['a pause', ['rollout', 'pause', 'deployment', 'af-scheduler']],
    ["another application's image", ['set', 'image', 'deployment/shop', 'scheduler=shop:2']],
    ["another application's database", ['set', 'env', 'deployment/shop', 'DATABASE_HOST=x']],
  ])('about %s', async (_, args) => {
    expect(await air(args)).toMatchObject(passed);
    expect(at.calls).toEqual([]);
  });
});

describe('odd shapes of Airflow are never refused', () => {
  it.each(oddOnes().map((object) => [object.metadata.name, object] as const))('%s', async (name, object) => {
    expect(await create(asWritten(object))).toMatchObject(passed);
    at.calls.length = 0;
    expect(await air(['label', 'deployment', name, 'team=data'])).toMatchObject(passed);
    expect(await air(['patch', 'deployment', name, '-p', '{"spec":{"replicas":0}}'])).toMatchObject(passed);
    expect(at.calls).toEqual([]);
    expect(await air(['set', 'image', `deployment/${name}`, '*=apache/airflow:3.2.2'])).toMatchObject({ code: 0 });
    expect(at.calls).toContain('/mutate');
    expect(await air(['delete', 'deployment', name])).toMatchObject(passed);
  });
});

it('a workload that lost its own labels is known by those of its pods, and the person reads what to do', async () => {
  const object = makeDeployment({ name: 'unlabelled' });
  delete object.metadata.labels;
  expect(await create(asWritten(object))).toMatchObject({ code: 0 });
  const { code, stderr } = await air(['set', 'image', 'deployment/unlabelled', `*=${older}`]);
  expect(code).not.toBe(0);
  expect(stderr).toContain('put them back first');
});

describe('as much as an object can hold', () => {
  const path = '/apis/apps/v1/namespaces/air/statefulsets';
  const change = (name: string, body: object[]) =>
    at.client.request<WorkloadObject>('PATCH', `${path}/${name}`, {
      contentType: 'application/json-patch+json',
      // Admitted as ever, but not stored: this is about conditions, not about storing.
      query: { dryRun: 'All' },
      timeoutMs: 50_000,
      body,
    });

  it.each([
    ['3,000 variables in one container', crowded({ variables: 3000, containers: 1 })],
    ['8,000 variables in one container', crowded({ variables: 8000, containers: 1 })],
    ['50 containers with 20 variables each', crowded({ variables: 20, containers: 50 })],
  ])(
    "%s: Airflow's own workload is changed and held as any other",
    async (_, object) => {
      const { name } = object.metadata;
      await at.client.request('POST', path, { body: object, timeoutMs: 50_000 });
      at.calls.length = 0;
      await change(name, [
        { op: 'add', path: '/metadata/labels/team', value: 'data' },
        { op: 'replace', path: '/spec/replicas', value: 1 },
      ]);
      expect(at.calls).toEqual([]);
      await change(name, [{ op: 'add', path: '/spec/template/spec/containers/0/env/0', value: { name: 'A' } }]);
      const image = (where: string) => ({ op: 'replace', path: `/spec/template/spec/${where}/0/image`, value: older });
      const { metadata } = await change(name, [image('containers'), image('initContainers')]);
      expect(metadata.annotations).toHaveProperty(['downdraft.dev/hold']);
    },
    60_000,
  );
});

it('(all this time the API server has shown its certificate: nobody else is answered)', async () => {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const headers = { 'content-type': 'application/json' };
  request(`${at.reach.url}/mutate`, { method: 'POST', headers, rejectUnauthorized: false }, (response) =>
    resolve(response.resume().statusCode),
  )
    .once('error', reject)
    .end('{}');
  expect(await promise).toBe(401);
});

describe('while nobody answers reviews', () => {
  beforeAll(async () => {
    await at.kubectl(['label', 'namespace', 'air', 'downdraft.dev/airflow=true']);
    await at.silence();
  });

  it.each([
    ['scaling', ['scale', 'deployment', 'af-scheduler', '--replicas=3']],
    ['a label', ['label', 'deployment', 'af-scheduler', 'down=yes']],
    ['a restart', ['rollout', 'restart', 'statefulset', 'af-triggerer']],
    ["another application's image", ['set', 'image', 'deployment/shop', 'scheduler=shop:3']],
    ['deleting', ['delete', 'statefulset', 'af-triggerer']],
  ])('%s goes through', async (_, args) => {
    expect(await air(args)).toMatchObject(passed);
  });

  it('an image of Airflow is refused, with words that name us', async () => {
    const { code, stderr } = await air(['set', 'image', 'deployment/af-scheduler', `*=${older}`]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('failed calling webhook "workloads.downdraft.dev"');
  });

  it.each([
    ['a pod of the migration Job', makeMigrationPod({ name: 'migrate', phase: undefined })],
    ['a pod of a worker', makePod({ name: 'task', component: 'worker' })],
  ])('%s is created', async (_, pod) => {
    expect(await create(asWritten(pod))).toMatchObject(passed);
  });

  it("Helm's record is written", async () => {
    const labels = { owner: 'helm', name: 'af', status: 'pending-upgrade', version: '2' };
    const metadata = { name: 'sh.helm.release.v1.af.v2', namespace: 'air', labels };
    expect(await create({ apiVersion: 'v1', kind: 'Secret', metadata, type: 'helm.sh/release.v1' })).toMatchObject(
      passed,
    );
  });

  it('a person may debug a pod', async () => {
    const path = '/api/v1/namespaces/air/pods/task/ephemeralcontainers';
    const body = { spec: { ephemeralContainers: [{ name: 'debugger', image: 'busybox:1' }] } };
    const contentType = 'application/strategic-merge-patch+json';
    await expect(at.client.request('PATCH', path, { contentType, body, timeoutMs: 30_000 })).resolves.toBeDefined();
  });
});
