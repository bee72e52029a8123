/**
 * Who waits for downdraft: nobody but a change of an Airflow image. Counted by the API server itself, which adds up every
 * call to a webhook, with the real configurations of manifests/webhooks.yaml.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apps, core, mergePatch } from '../../src/cluster/client/paths.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { type Place, startPlace } from '../loop/place.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

let place: Place;
const namespace = 'calls';
const writes = 1000;

beforeAll(async () => {
  place = await startPlace('tools: calls');
  const metadata = { name: namespace, labels: { 'downdraft.dev/airflow': 'true' } };
  await place.client.request('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata } });
}, 180_000);

afterAll(async () => await place?.stop(), 60_000);

/** Calls to each of our webhooks so far, by the API server's own count. */
async function calls(): Promise<Record<string, number>> {
  const text = await place.client.text('/metrics');
  const counted = text.matchAll(/^apiserver_admission_webhook_request_total\{(.*?)\} (\S+)$/gm);
  const found: Record<string, number> = {};
  for (const [, labels = '', count] of counted) {
    const name = /name="([^"]*downdraft\.dev)"/.exec(labels)?.[1];
    if (name) found[name] = (found[name] ?? 0) + Number(count);
  }
  return found;
}

/** Does it for 0 … count - 1, eight at a time. */
async function eightAtATime(count: number, act: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < count; index = next++) await act(index);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}

const create = (path: string, body: object) => place.client.request('POST', path, { body });
const patch = (path: string, body: object) => place.client.request('PATCH', path, { body, contentType: mergePatch });

/** As a person writes it: without what only the API server sets. No replicas: the pods are not what is counted here. */
function asWritten({ metadata, spec, kind }: WorkloadObject, labels: Record<string, string>) {
  const { uid: _, resourceVersion: __, generation: ___, labels: ____, ...rest } = metadata;
  const service = kind === 'StatefulSet' ? { serviceName: metadata.name } : {};
  return { apiVersion: 'apps/v1', kind, metadata: { ...rest, labels }, spec: { ...spec, ...service, replicas: 0 } };
}

describe('1,000 writes of what is not Airflow', () => {
  const named = (index: number) => ({ name: `other-${index}`, namespace });
  const container = { name: 'main', image: 'nginx:1' };
  const labels = { app: 'shop', tier: 'backend', component: 'scheduler' };
  const kinds: [string, (index: number) => Promise<unknown>][] = [
    [
      'ConfigMaps',
      (index) => create(core(namespace, 'configmaps'), { metadata: named(index), data: { a: String(index) } }),
    ],
    [
      'Pods',
      (index) =>
        create(core(namespace, 'pods'), {
          metadata: { ...named(index), labels },
          // No node is called so: it is stored, and that is all.
          spec: { containers: [container], nodeSelector: { nowhere: 'true' }, serviceAccountName: 'default' },
        }),
    ],
    [
      'Deployments, created and then given another image',
      async (index) => {
        const template = { metadata: { labels }, spec: { containers: [container] } };
        const spec = { replicas: 0, selector: { matchLabels: labels }, template };
        await create(apps(namespace, 'deployments'), { metadata: { ...named(index), labels }, spec });
        const images = { spec: { template: { spec: { containers: [{ ...container, image: 'nginx:2' }] } } } };
        await patch(apps(namespace, 'deployments', `other-${index}`), images);
      },
    ],
  ];

  it.each(kinds)(
    '%s: no call',
    async (_, act) => {
      const before = await calls();
      await eightAtATime(Math.ceil(writes / kinds.length), act);
      expect(await calls()).toEqual(before);
    },
    60_000,
  );
});

describe('1,000 updates of Airflow workloads that change no image', () => {
  // One for each lane: eight writers of one object would mostly wait for each other.
  const objects = ['a', 'b', 'c', 'd'].flatMap((release) => {
    const shape = { namespace, release, image: 'apache/airflow:3.2.1' };
    const scheduler = makeDeployment({ ...shape, component: 'scheduler', name: `${release}-scheduler` });
    return [scheduler, makeStatefulSet({ ...shape, component: 'triggerer', name: `${release}-triggerer` })];
  });
  const paths = objects.map(({ kind, metadata }) => apps(namespace, `${kind!.toLowerCase()}s`, metadata.name));
  const at = (index: number) => paths[index % paths.length]!;

  it('are set up', async () => {
    for (const object of objects)
      await create(apps(namespace, `${object.kind!.toLowerCase()}s`), asWritten(object, object.metadata.labels!));
  });

  const kinds: [string, (index: number) => Promise<unknown>][] = [
    ['labels', (index) => patch(at(index), { metadata: { labels: { count: String(index) } } })],
    ['annotations', (index) => patch(at(index), { metadata: { annotations: { count: String(index) } } })],
    [
      'replicas',
      (index) => patch(at(index), { spec: { replicas: 0 }, metadata: { annotations: { scaled: String(index) } } }),
    ],
    [
      'scale',
      (index) => patch(`${at(index)}/scale`, { spec: { replicas: 0 }, metadata: { annotations: { a: `${index}` } } }),
    ],
    ['status', (index) => patch(`${at(index)}/status`, { status: { observedGeneration: index } })],
    [
      'restart',
      (index) =>
        patch(at(index), {
          spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': String(index) } } } },
        }),
    ],
  ];

  it.each(kinds)(
    '%s: no call',
    async (_, act) => {
      const before = await calls();
      await eightAtATime(Math.ceil(writes / kinds.length), act);
      expect(await calls()).toEqual(before);
    },
    60_000,
  );

  it('and one that changes the image is one call, so the count counts', async () => {
    const before = await calls();
    const image = 'apache/airflow:3.1.8';
    const images = (list: { name: string }[] = []) => list.map(({ name }) => ({ name, image }));
    const { containers, initContainers } = objects[0]!.spec.template.spec;
    const pod = { containers: images(containers), initContainers: images(initContainers) };
    await place.client.request('PATCH', paths[0]!, {
      body: { spec: { template: { spec: pod } } },
      contentType: 'application/strategic-merge-patch+json',
    });
    const name = 'workloads.downdraft.dev';
    expect((await calls())[name] ?? 0).toBeGreaterThan(before[name] ?? 0);
  });
});
