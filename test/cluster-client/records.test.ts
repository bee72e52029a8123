/** What is written down: Downgrades, learned images, events; and Secrets, rights, Jobs. On a real control plane. */
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { conflict, notFound } from '../../src/cluster/client/errors.ts';
import { clusterReads, getConfigMap, getSecret } from '../../src/cluster/reads.ts';
import { mayI } from '../../src/cluster/rights.ts';
import { clusterWrites } from '../../src/cluster/writes.ts';
import type { Learned } from '../../src/release/model/image.ts';
import { type SharedPlane, sharedPlane } from '../cluster/plane/shared.ts';
import { startFront } from './front.ts';

let plane: SharedPlane;
let client: Client;
let reads: ReturnType<typeof clusterReads>;
let writes: ReturnType<typeof clusterWrites>;

beforeAll(async () => {
  plane = await sharedPlane();
  client = connect({ kubeconfig: plane.kubeconfig });
  reads = clusterReads({ client, namespace: 'default' });
  writes = clusterWrites({
    client,
    namespace: 'default',
    gateReach: () => ({ url: 'https://127.0.0.1:1' }),
    instance: 'downdraft-0',
  });
}, 900_000);
afterAll(async () => {
  client?.close();
}, 60_000);

describe('downgrades', () => {
  it('are made once, and their status is merged, but not by one who read it before the last write', async () => {
    const kinded = { apiVersion: 'downdraft.dev/v1alpha1', kind: 'Downgrade' };
    const object = {
      ...kinded,
      metadata: { name: 'af-1', namespace: 'default' },
      spec: { release: 'af', to: 'apache/airflow:3.1.8' },
    };
    await writes.createDowngrade(object);
    await writes.createDowngrade(object);
    const [made] = await reads.downgrades('default');
    const record = { token: 1, plan: { steps: [1] } };
    const resourceVersion = await writes.patchDowngradeStatus('default', 'af-1', { record }, made!.metadata);
    const read = resourceVersion === undefined ? {} : { resourceVersion };
    await writes.patchDowngradeStatus('default', 'af-1', { record: { token: 2, failure: null } }, read);
    const found = await reads.downgrades('default');
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject(object);
    expect(found[0]?.status).toEqual({ record: { token: 2, plan: { steps: [1] } } });
    const late = writes.patchDowngradeStatus('default', 'af-1', { record: { token: 1 } }, read);
    await expect(late).rejects.toSatisfy(conflict);
    expect((await reads.downgrades('default'))[0]?.status).toEqual(found[0]?.status);
    await expect(writes.deleteDowngrade('default', 'af-1', { uid: made!.metadata.uid!, ...read })).rejects.toSatisfy(
      conflict,
    );
    const { uid = '', resourceVersion: last = '' } = found[0]!.metadata;
    await expect(writes.deleteDowngrade('default', 'af-1', { uid: 'other', resourceVersion: last })).rejects.toSatisfy(
      conflict,
    );
    await writes.deleteDowngrade('default', 'af-1', { uid, resourceVersion: last });
    await writes.deleteDowngrade('default', 'af-1', { uid, resourceVersion: last });
    expect(await reads.downgrades('default')).toEqual([]);
    await expect(writes.patchDowngradeStatus('default', 'none', {}, {})).rejects.toSatisfy(notFound);
  });
});

describe('learned images', () => {
  it('are kept side by side, whoever writes at the same time', async () => {
    const of = { namespace: 'air', release: 'af' };
    expect(await reads.learnedImages(of)).toEqual([]);
    const all = Array.from({ length: 8 }, (_, i): Learned => {
      const image = `reg.example/a/b:${i}@sha256:x`;
      return { ...of, usedAt: `2026-11-21T12:00:0${i}Z`, knowledge: { image, source: 'probe', version: `3.1.${i}` } };
    });
    await Promise.all(all.map(async (one) => await writes.learnImage(one)));
    const learned = async () => (await reads.learnedImages(of)).sort((a, b) => a.usedAt.localeCompare(b.usedAt));
    expect(await learned()).toEqual(all);
    expect(await reads.learnedImages({ ...of, namespace: 'prod' })).toEqual([]);
    const broken = { data: { a: '{', b: '"text"', c: '{"image":1}' } };
    await client.request('PATCH', '/api/v1/namespaces/default/configmaps/downdraft-images', {
      body: broken,
      contentType: 'application/merge-patch+json',
    });
    expect(await learned()).toEqual(all);
    // What nobody can read takes room from nobody: the next write takes it away.
    await writes.learnImage(all[0]!);
    const { data } = await client.request<{ data: object }>(
      'GET',
      '/api/v1/namespaces/default/configmaps/downdraft-images',
    );
    expect(Object.keys(data)).toHaveLength(8);
  });
});

describe('events', () => {
  it('stand beside the object, cut to what the API takes', async () => {
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'default', name: 'af-scheduler', uid: 'u' };
    await writes.event({ object, type: 'Warning', reason: 'Held', message: 'größer '.repeat(400) });
    const { items } = await client.request<{ items: Record<string, unknown>[] }>(
      'GET',
      '/apis/events.k8s.io/v1/namespaces/default/events',
      {
        query: { fieldSelector: 'reason=Held' },
      },
    );
    expect(items[0]).toMatchObject({
      type: 'Warning',
      action: 'Held',
      reportingController: 'downdraft.dev/controller',
      regarding: object,
    });
    expect(items[0]?.note).toMatch(/^größer .*…$/);
  });
});

describe('Secrets and ConfigMaps', () => {
  it('are read decoded; a missing one is undefined', async () => {
    const stringData = { connection: 'postgresql://ä:p@h/db' };
    await client.request('POST', '/api/v1/namespaces/default/secrets', {
      body: { metadata: { name: 's' }, stringData },
    });
    await client.request('POST', '/api/v1/namespaces/default/configmaps', {
      body: { metadata: { name: 'm' }, data: { a: 'b' } },
    });
    expect(await getSecret(client, 'default', 's')).toEqual(stringData);
    expect(await getConfigMap(client, 'default', 'm')).toEqual({ a: 'b' });
    expect(await getSecret(client, 'default', 'none')).toBeUndefined();
    expect(await getConfigMap(client, 'default', 'none')).toBeUndefined();
  });
});

describe('rights', () => {
  it('that are missing are named', async () => {
    const path = '/api/v1/namespaces/default/serviceaccounts';
    await client.request('POST', path, { body: { metadata: { name: 'weak' } } });
    const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }];
    const role = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    await client.request('POST', `${role}/roles`, { body: { metadata: { name: 'weak' }, rules } });
    const subjects = [{ kind: 'ServiceAccount', name: 'weak', namespace: 'default' }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'weak' };
    await client.request('POST', `${role}/rolebindings`, { body: { metadata: { name: 'weak' }, subjects, roleRef } });
    const weak = await asServiceAccount(path);
    const may = { verb: 'get', group: '', resource: 'pods', namespace: 'default' };
    const mayNot = [
      { ...may, namespace: 'kube-system' },
      { ...may, verb: 'create', subresource: 'exec' },
    ];
    await vi.waitFor(async () => expect(await mayI(weak, [may, ...mayNot])).toEqual(mayNot), { timeout: 5000 });
    expect(await mayI(client, [may, ...mayNot])).toEqual([]);
    await expect(clusterReads({ client: weak, namespace: 'default' }).workloads('default')).rejects.toMatchObject({
      status: 403,
      reason: 'Forbidden',
    });
    weak.close();
  });
});

/** A client with a token of the account `weak`, by a kubeconfig of its own. */
async function asServiceAccount(path: string): Promise<Client> {
  const body = { spec: { expirationSeconds: 600 } };
  const { status } = await client.request<{ status: { token: string } }>('POST', `${path}/weak/token`, { body });
  const kubeconfig = `${plane.dir}/weak.kubeconfig`;
  const config = {
    clusters: [{ name: 'c', cluster: { server: plane.server, 'certificate-authority': plane.pki.caCert } }],
    users: [{ name: 'u', user: { token: status.token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  };
  await writeFile(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  return connect({ kubeconfig, context: 'x' });
}

describe('Jobs', () => {
  it('are deleted with their pods', { timeout: 30_000 }, async () => {
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }] } };
    const body = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'cleanup' }, spec: { template } };
    await client.request('POST', '/apis/batch/v1/namespaces/default/jobs', { body });
    await vi.waitFor(async () => expect(await reads.pods('default')).toHaveLength(1), { timeout: 10_000 });
    const { uid } = (await reads.job('default', 'cleanup'))!.metadata;
    await writes.deleteJob('default', 'cleanup', '11111111-1111-1111-1111-111111111111');
    expect((await reads.job('default', 'cleanup'))?.metadata.deletionTimestamp).toBeUndefined();
    await writes.deleteJob('default', 'cleanup', uid!);
    await writes.deleteJob('default', 'cleanup', uid!);
    await vi.waitFor(async () => expect(await reads.pods('default')).toEqual([]), { timeout: 15_000 });
  });
});

describe('a busy API server', () => {
  /** A front that answers 429 so many times; the real one never does when asked to. */
  async function busy(times: number) {
    const asked: string[] = [];
    const front = await startFront((request, response) => {
      asked.push(request.method ?? '');
      const wait = asked.length <= times;
      response.writeHead(wait ? 429 : 200, wait ? { 'Retry-After': '0' } : {}).end(wait ? 'too many' : '{"ok":true}');
    });
    return { asked, front, through: front.client };
  }

  it('is asked again for a read, a bounded number of times, and never for a write', async () => {
    const patient = await busy(2);
    expect(await patient.through.request('GET', '/x')).toEqual({ ok: true });
    expect(patient.asked).toHaveLength(3);
    const never = await busy(100);
    await expect(never.through.request('GET', '/x')).rejects.toMatchObject({ status: 429 });
    expect(never.asked).toHaveLength(4);
    await expect(never.through.request('POST', '/x', { body: {} })).rejects.toMatchObject({
      status: 429,
      retryAfterSeconds: 0,
    });
    expect(never.asked).toHaveLength(5);
    for (const { front } of [patient, never]) await front[Symbol.asyncDispose]();
  });
});
