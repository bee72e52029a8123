/** The mirror on a real API server with our CRDs: what reviews look at is there, in time, and no more of it than needed. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { forgetImage, learnImage } from '../../src/cluster/learned-images.ts';
import { type Mirror, startMirror } from '../../src/cluster/mirror/mirror.ts';
import { type ControlPlane, startControlPlane } from '../cluster/plane/controlplane.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { makeImage } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

let plane: ControlPlane;
let client: Client;
let mirror: Mirror;
const ending = new AbortController();
const asked: string[] = [];
const apps = '/apis/apps/v1/namespaces/air';
const mergePatch = 'application/merge-patch+json';

beforeAll(async () => {
  plane = await startControlPlane({ purpose: 'mirror' });
  client = connect({ kubeconfig: plane.kubeconfig, onRequest: (method, path) => asked.push(`${method} ${path}`) });
  for (const name of ['downgrades', 'downgradepolicies'])
    for (const document of parseAllDocuments(readFileSync(`manifests/crds/${name}.yaml`, 'utf8'))) {
      const body = document.toJS();
      await client.request('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body });
    }
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'air' } });
  mirror = startMirror(client, 'air', ending.signal, () => undefined, 1_000);
  expect(mirror.missing()).toContain('/apis/apps/v1/deployments?tier=airflow');
  await told('everything', () => mirror.missing() === undefined);
}, 900_000);

afterAll(async () => {
  ending.abort();
  client?.close();
  await plane?.stop();
}, 60_000);

const create = async (path: string, body: unknown) => await client.request('POST', path, { body });
const told = (what: string, seen: () => boolean) => waitFor(what, 20_000, async () => seen(), 20);
const patch = async (path: string, body: unknown) =>
  await client.request('PATCH', path, { body, contentType: mergePatch });

/** Without what only the API server may set. */
function asNew(object: ReturnType<typeof makeDeployment>) {
  const { status: _, ...rest } = object;
  const { uid: __, resourceVersion: ___, generation: ____, ...metadata } = object.metadata;
  return { ...rest, metadata };
}

describe('the mirror', () => {
  it('tells the workloads of a release, and only what a review needs of them', async () => {
    const scheduler = asNew(makeDeployment({ annotations: { note: 'x'.repeat(1000) } }));
    scheduler.spec.template.metadata!.annotations = { 'checksum/metadata-secret': 'abc', other: 'xxx' };
    await create(`${apps}/deployments`, scheduler);
    await create(`${apps}/statefulsets`, asNew(makeStatefulSet()));
    await create(`${apps}/deployments`, asNew(makeDeployment({ name: 'af-redis', component: 'redis' })));
    await told('both', () => mirror.workloadsOf('air', 'af').length === 2);
    const stored = mirror.workload('Deployment', 'air', 'af-scheduler')!;
    expect(stored.spec.template.spec.containers.map((c) => [c.name, c.image])).toEqual([
      ['scheduler', 'apache/airflow:3.2.1'],
    ]);
    expect(stored.spec.template.spec.containers[0]!.env?.map((e) => e.name)).toContain(
      'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN',
    );
    expect(JSON.stringify(stored)).not.toContain('xxx');
    expect(stored.spec.template.metadata?.annotations).toEqual({ 'checksum/metadata-secret': 'abc' });
    expect(mirror.workload('Deployment', 'air', 'af-redis')).toBeUndefined();
    expect(mirror.releases()).toEqual([{ namespace: 'air', name: 'af' }]);
  });

  it('is asked without a request to the API server', () => {
    const before = asked.length;
    for (let i = 0; i < 100; i++) mirror.workloadsOf('air', 'af');
    expect(asked.length).toBe(before);
  });

  it('follows a change of the image', async () => {
    const containers = [{ name: 'scheduler', image: 'apache/airflow:3.1.8' }];
    const path = `${apps}/deployments/af-scheduler`;
    const body = { spec: { template: { spec: { containers } } } };
    await client.request('PATCH', path, { body, contentType: 'application/strategic-merge-patch+json' });
    await told('the new image', () =>
      JSON.stringify(mirror.workload('Deployment', 'air', 'af-scheduler')).includes('airflow:3.1.8'),
    );
  });

  it('keeps a workload that loses one of two labels by which it is told', async () => {
    const path = `${apps}/deployments/af-scheduler`;
    await patch(path, { metadata: { labels: { 'downdraft.dev/release': 'own' } } });
    await told('the release it names itself', () => mirror.workloadsOf('air', 'own').length === 1);
    await patch(path, { metadata: { labels: { tier: null } } });
    await patch(path, { metadata: { annotations: { 'downdraft.dev/airflow-version': '3.1.8' } } });
    await told('the annotation', () =>
      JSON.stringify(mirror.workload('Deployment', 'air', 'af-scheduler') ?? '').includes('airflow-version'),
    );
    expect(mirror.workloadsOf('air', 'af').map((w) => w.metadata.name)).toEqual(['af-triggerer']);
  });

  it('forgets what is deleted', async () => {
    await client.request('DELETE', `${apps}/deployments/af-scheduler`, { body: {} });
    await told('it is gone', () => mirror.workload('Deployment', 'air', 'af-scheduler') === undefined);
    expect(mirror.releases()).toEqual([{ namespace: 'air', name: 'af' }]);
  });

  it('tells learned images, and their end', async () => {
    const of = { namespace: 'air', release: 'af' };
    await learnImage(client, 'air', { ...of, usedAt: '2026-11-21T12:00:00Z', knowledge: makeImage('3.1.8') });
    await told('the image', () => mirror.learned(of)[0]?.coreHead === '509b94a1042d');
    for (const other of [
      { ...of, release: 'ag' },
      { ...of, namespace: 'prod' },
    ])
      expect(mirror.learned(other)).toEqual([]);
    await forgetImage(client, 'air', { ...of, release: 'ag' }, 'apache/airflow:3.1.8');
    expect(mirror.learned(of)).toHaveLength(1);
    await forgetImage(client, 'air', of, 'apache/airflow:3.1.8');
    await told('nothing', () => mirror.learned(of).length === 0);
    await forgetImage(client, 'air', of, 'never/learned:1');
  });

  it('tells policies, labels of namespaces and runs', async () => {
    const changes: string[] = [];
    mirror.onChange((what, object) => changes.push(`${what} ${object.metadata.name}`), ending.signal);
    const api = { apiVersion: 'downdraft.dev/v1alpha1' };
    await create('/apis/downdraft.dev/v1alpha1/downgradepolicies', {
      ...api,
      kind: 'DowngradePolicy',
      metadata: { name: 'careful' },
      spec: { mode: 'Deny' },
    });
    await patch('/api/v1/namespaces/air', { metadata: { labels: { team: 'data' } } });
    await create('/apis/downdraft.dev/v1alpha1/namespaces/air/downgrades', {
      ...api,
      kind: 'Downgrade',
      metadata: { name: 'af-1' },
      spec: { release: 'af', to: 'apache/airflow:3.1.8' },
    });
    await told('all three', () => mirror.policies().length === 1 && mirror.downgradesIn('air').length === 1);
    await told('the label', () => mirror.labelsOf('air')?.team === 'data');
    expect(mirror.labelsOf('nowhere')).toBeUndefined();
    expect(changes).toContain('policy careful');
    expect(changes).toContain('namespace air');
  });

  it('says when what it tells is old: the API server is gone for longer than a watch takes to begin anew', async () => {
    expect(mirror.stale()).toBeUndefined();
    await plane.stop();
    await waitFor('it says so', 60_000, async () => mirror.stale() !== undefined, 200);
    expect(mirror.stale()).toContain("can't be watched for 1 s or more");
    expect(mirror.missing()).toBeUndefined();
  }, 90_000);
});
