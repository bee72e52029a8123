/** Kubernetes' own history of pod templates, made by the real controllers and read as the controller reads it. */
import { expect, vi } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import type { Reads } from '../../src/controller/ports.ts';
import type { PodSpec, WorkloadObject } from '../../src/release/model/kubernetes.ts';

const [old, newer] = ['apache/airflow:3.2.1', 'apache/airflow:3.3.0'];

/** Beside the Deployment af-scheduler a StatefulSet is made; both are changed once, and all four templates must be told. */
export async function expectHistory(
  client: Client,
  reads: Pick<Reads, 'rollouts' | 'templatesBefore'>,
  ns: string,
  { labels, spec }: { labels: Record<string, string>; spec: PodSpec },
): Promise<void> {
  const workloads = `/apis/apps/v1/namespaces/${ns}`;
  const template = { metadata: { labels }, spec };
  const stateful = { replicas: 0, serviceName: 'af', selector: { matchLabels: labels }, template };
  await client.request('POST', `${workloads}/statefulsets`, {
    body: { metadata: { name: 'af-triggerer' }, spec: stateful },
  });
  const told = async (...wanted: [workload: string, revision: number, image: string][]) =>
    await vi.waitFor(
      async () => {
        const history = await reads.rollouts(ns);
        const words = history.map(({ workload, revision, images }) => [workload, revision, ...images]);
        expect(words.sort()).toEqual(wanted.sort());
        for (const { createdAt } of history) expect(Date.now() - Date.parse(createdAt)).toBeLessThan(60_000);
      },
      { timeout: 10_000 },
    );
  await told(['deployment/af-scheduler', 1, old], ['statefulset/af-triggerer', 1, old]);
  for (const kind of ['deployments/af-scheduler', 'statefulsets/af-triggerer'])
    await client.request('PATCH', `${workloads}/${kind}`, {
      body: [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: newer }],
      contentType: 'application/json-patch+json',
    });
  const both = (workload: string): [string, number, string][] => [
    [workload, 1, old],
    [workload, 2, newer],
  ];
  await told(...both('deployment/af-scheduler'), ...both('statefulset/af-triggerer'));

  await expectTemplateBefore(client, reads, ns);
}

/** Held with a template that it had before, a Deployment gives that old ReplicaSet the highest number, though it is paused. */
async function expectTemplateBefore(
  client: Client,
  reads: Pick<Reads, 'rollouts' | 'templatesBefore'>,
  ns: string,
): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${ns}/deployments/af-scheduler`;
  const change = async (image: string, paused: boolean) =>
    await client.request<WorkloadObject>('PATCH', path, {
      body: [
        { op: 'add', path: '/spec/paused', value: paused },
        { op: 'replace', path: '/spec/template/spec/containers/0/image', value: image },
      ],
      contentType: 'application/json-patch+json',
    });
  const numbered = async (image: string, number: number) =>
    await vi.waitFor(
      async () =>
        expect(await reads.rollouts(ns)).toContainEqual(expect.objectContaining({ revision: number, images: [image] })),
      { timeout: 10_000 },
    );
  await change(old, false);
  await numbered(old, 3);
  // The ReplicaSet has its number before the Deployment says which was the highest.
  await vi.waitFor(
    async () => {
      const { metadata } = await client.request<WorkloadObject>('GET', path);
      expect(metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
    },
    { timeout: 10_000 },
  );
  const held = await change(newer, true);
  await numbered(newer, 4);
  const before = await reads.templatesBefore(ns, [{ ...held, kind: 'Deployment' }], []);
  expect(before['deployment/af-scheduler']?.spec.containers.map(({ image }) => image)).toEqual([old]);
}
