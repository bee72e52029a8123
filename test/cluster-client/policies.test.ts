/**
 * DowngradePolicy on a real API server: what its schema takes and refuses, that Kubernetes itself selects and refuses the
 * same, and that the status which the controller makes is stored as made and shown by kubectl.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { type PolicyReads, type PolicyWrites, reportPolicies } from '../../src/controller/report/policies.ts';
import type { LabelSelector } from '../../src/release/kubernetes/selector.ts';
import { type PolicyObject, readPolicy } from '../../src/release/policy/policy.ts';
import { type SharedPlane, sharedPlane } from '../cluster/plane/shared.ts';
import { run } from '../cluster/run/command.ts';
import { makePolicy, namespaces, readable, unreadable } from '../make/policy.ts';

const path = '/apis/downdraft.dev/v1alpha1/downgradepolicies';
const contentType = 'application/merge-patch+json';
let plane: SharedPlane;
let client: Client;

beforeAll(async () => {
  plane = await sharedPlane();
  client = connect({ kubeconfig: plane.kubeconfig });
  for (const [name, labels] of Object.entries(namespaces))
    await client.request('POST', '/api/v1/namespaces', { body: { metadata: { name, labels } } });
}, 900_000);
afterAll(async () => {
  client?.close();
}, 60_000);

/** What the schema says to a policy: what would be stored, or the refusal. Nothing is stored; unknown fields are refused. */
async function tried(spec: unknown): Promise<PolicyObject> {
  const { apiVersion, kind } = makePolicy();
  const body = { apiVersion, kind, metadata: { name: 'tried' }, spec };
  return await client.request('POST', path, { body, query: { dryRun: 'All', fieldValidation: 'Strict' } });
}

/** What Kubernetes says to the same selector in an object of its own. */
async function inWebhook(namespaceSelector: LabelSelector): Promise<unknown> {
  const rules = [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }];
  const webhook = {
    name: 'a.example.com',
    clientConfig: { url: 'https://a.example.com' },
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    rules,
    namespaceSelector,
  };
  const body = { metadata: { name: 'tried' }, webhooks: [webhook] };
  const configurations = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  return await client.request('POST', configurations, { body, query: { dryRun: 'All' } });
}

/** The names of our namespaces that the API server finds by this selector. */
async function found(selector: LabelSelector | undefined): Promise<string[]> {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  const forms: Record<string, (key: string, values: string) => string> = {
    In: (key, values) => `${key} in (${values})`,
    NotIn: (key, values) => `${key} notin (${values})`,
    Exists: (key) => key,
    DoesNotExist: (key) => `!${key}`,
  };
  const labelSelector = [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values = [] }) => forms[operator]!(key, values.join(','))),
  ].join(',');
  const list = await client.request<{ items: PolicyObject[] }>('GET', '/api/v1/namespaces', {
    query: { labelSelector },
  });
  return list.items.map(({ metadata }) => metadata.name).filter((name) => name in namespaces);
}

describe('a selector', () => {
  it.each(readable)('%s is taken, and selects here what policyFor selects', async (_, namespaceSelector, selected) => {
    const stored = await tried({ mode: 'Hold', namespaceSelector });
    expect(stored.spec).toEqual({ mode: 'Hold', ...(namespaceSelector ? { namespaceSelector } : {}) });
    await inWebhook(namespaceSelector ?? {});
    expect(await found(namespaceSelector)).toEqual(selected);
  });

  it.each(unreadable)('%s is refused, as by Kubernetes itself', async (_, namespaceSelector) => {
    await expect(tried({ mode: 'Hold', namespaceSelector })).rejects.toMatchObject({ status: 422, reason: 'Invalid' });
    await expect(inWebhook(namespaceSelector)).rejects.toSatisfy(({ status }) => status === 422 || status === 400);
  });
});

describe('a policy', () => {
  it.each(['Hold', 'Deny', 'Observe'])('may say %s', async (mode) => {
    expect(readPolicy(await tried({ mode, description: 'why' })).fault).toBeUndefined();
  });

  const refused: [string, unknown, string][] = [
    ['another mode', { mode: 'Ask' }, 'supported values: "Hold", "Deny", "Observe"'],
    ['no mode', { description: 'why' }, 'spec.mode: Required value'],
    ['no spec', undefined, 'spec: Required value'],
    ['what a later version will know', { mode: 'Hold', tape: 'Always' }, 'unknown field "spec.tape"'],
    ['a part of a selector that does not exist', { mode: 'Hold', namespaceSelector: { labels: {} } }, 'unknown field'],
    [
      'In without values',
      { mode: 'Hold', namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
      'In and NotIn need values',
    ],
    ['a key that is none', { mode: 'Hold', namespaceSelector: { matchLabels: { 'a b': 'c' } } }, 'a key is no label'],
  ];
  it.each(refused)('may not say %s', async (_, spec, says) => {
    await expect(tried(spec)).rejects.toThrow(says);
  });
});

describe('the status', () => {
  const create = async (name: string, mode: string, namespaceSelector?: LabelSelector) => {
    const { apiVersion, kind } = makePolicy();
    const spec = { mode, ...(namespaceSelector ? { namespaceSelector } : {}) };
    await client.request('POST', path, { body: { apiVersion, kind, metadata: { name }, spec } });
  };
  const reads: PolicyReads = {
    policies: async () => (await client.request<{ items: PolicyObject[] }>('GET', path)).items,
    namespaces: async () =>
      (await client.request<{ items: PolicyObject[] }>('GET', '/api/v1/namespaces')).items.map(({ metadata }) => ({
        name: metadata.name,
        labels: metadata.labels ?? {},
      })),
  };
  let written: string[] = [];
  const writes: PolicyWrites = {
    patchPolicyStatus: async (name, status) => {
      written.push(name);
      await client.request('PATCH', `${path}/${name}/status`, { body: { status }, contentType });
    },
  };
  const report = async () => {
    written = [];
    await reportPolicies(reads, writes, () => {});
    return written;
  };
  const kubectl = async () => (await run('kubectl', ['get', 'dgp'], { env: plane.env })).stdout.trim().split('\n');

  it('is stored as made, written once, and shown by kubectl', async () => {
    await create('everywhere', 'Observe');
    await create('production', 'Deny', { matchLabels: { env: 'prod' } });
    expect((await report()).sort()).toEqual(['everywhere', 'production']);
    expect(await report()).toEqual([]);
    const all = (await reads.namespaces()).length;
    const lines = (await kubectl()).map((line) => line.split(/\s{2,}/).slice(0, 4));
    expect(lines).toEqual([
      ['NAME', 'MODE', 'NAMESPACES', 'OVERLAPS'],
      ['everywhere', 'Observe', String(all), 'production'],
      ['production', 'Deny', '1', 'everywhere'],
    ]);
    const stored = await client.request<PolicyObject>('GET', `${path}/everywhere`);
    expect(stored.status).toMatchObject({
      observedGeneration: 1,
      overlaps: [{ policy: 'production', mode: 'Deny', count: 1, namespaces: ['air'] }],
      conditions: [
        { type: 'Ready', status: 'True', reason: 'InForce' },
        { type: 'Overlapping', status: 'True', reason: 'Overruled' },
      ],
    });
  });

  it('is withdrawn when the overlap is gone, and a change of the spec is seen', async () => {
    await client.request('PATCH', `${path}/production`, { body: { spec: { mode: 'Observe' } }, contentType });
    expect((await report()).sort()).toEqual(['everywhere', 'production']);
    await client.request('DELETE', `${path}/production`);
    expect(await report()).toEqual(['everywhere']);
    const { status } = await client.request<PolicyObject>('GET', `${path}/everywhere`);
    expect(status).toMatchObject({ overlaps: [], overlapping: '' });
  });

  it('is no way to change the spec, nor the spec to change the status', async () => {
    const { spec, status } = await client.request<PolicyObject>('GET', `${path}/everywhere`);
    const body = { spec: { mode: 'Deny' }, status: { namespaces: 999 } };
    const one = await client.request<PolicyObject>('PATCH', `${path}/everywhere/status`, { body, contentType });
    expect(one).toMatchObject({ spec, status: { namespaces: 999 } });
    expect(await report()).toEqual(['everywhere']);
    const two = await client.request<PolicyObject>('PATCH', `${path}/everywhere`, { body, contentType });
    expect(two).toMatchObject({ spec: { mode: 'Deny' }, status: { namespaces: status?.namespaces } });
  });
});
