/** A name is never a path: what no object can be called is asked of nobody. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { errorOf, withoutItsText } from '../../src/cluster/client/errors.ts';
import * as paths from '../../src/cluster/client/paths.ts';
import { clusterReads, getConfigMap, getSecret, getWorkload, pullSecretsOf } from '../../src/cluster/reads.ts';
import { makeDeployment } from '../make/workload.ts';

const { NoSuchName } = paths;
let server: Server;
let folder: string;
let client: Client;
const asked: string[] = [];
let answer = '{}';

beforeAll(async () => {
  server = createServer(({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    response.end(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  folder = await mkdtemp(join(tmpdir(), 'downdraft-paths-'));
  const kubeconfig = join(folder, 'config');
  const { port } = server.address() as AddressInfo;
  const cluster = { server: `http://127.0.0.1:${port}/behind/`, 'insecure-skip-tls-verify': true };
  const contexts = [{ name: 'x', context: { cluster: 'c', user: 'u' } }];
  const users = [{ name: 'u', user: {} }];
  await writeFile(kubeconfig, JSON.stringify({ clusters: [{ name: 'c', cluster }], users, contexts }));
  client = connect({ kubeconfig, context: 'x' });
});

afterAll(async () => {
  client?.close();
  server?.close();
  await rm(folder, { recursive: true, force: true });
});

const hostile = [
  '',
  '.',
  '..',
  '../x',
  'x/../../y',
  'x/y',
  '/',
  'x/',
  '%2e%2e',
  '..%2fx',
  'x%2fy',
  'x?y',
  'x#y',
  'x\\y',
  '..\\x',
  'x\ny',
  'x\0',
  ' x',
  'X',
  'x_y',
  'x:y',
  '-x',
  'x-',
  'x..y',
  '.x',
  'ä',
  '․․',
  'a'.repeat(254),
  '/api/v1/nodes',
]; // prettier-ignore

/** Every function that makes a path of a name, with the name in each place where one goes. */
const makers: [string, (name: never) => string][] = [
  ['a namespace', (name) => paths.core(name, 'pods')],
  ['a pod', (name) => paths.core('air', 'pods', name)],
  ['a resource', (name) => paths.core('air', name)],
  ['a subresource', (name) => paths.core('air', 'pods', 'x', name)],
  ['a workload', (name) => paths.workloadPath('Deployment', 'air', name)],
  ["a workload's namespace", (name) => paths.workloadPath('StatefulSet', name, 'x')],
  ['a Job', (name) => paths.batch('air', 'jobs', name)],
  ['a Downgrade', (name) => paths.downgradesOf('air', name, 'status')],
  ["a Downgrade's namespace", (name) => paths.downgradesOf(name)],
  ['a gate', (name) => paths.configurations('MutatingWebhookConfiguration', name)],
  ['a Lease', (name) => paths.leasesOf('air', name)],
  ["events' namespace", (name) => paths.eventsOf(name)],
  ['a namespace itself', (name) => paths.namespaceOf(name)],
  ['a policy', (name) => paths.policyOf(name, 'status')],
  ['a group', (name) => paths.groupPath(name || '/', 'v1')],
];

describe('a name in a path', () => {
  it.each(makers)('%s: what no object can be called is refused', (_, make) => {
    // An empty or missing subresource is none.
    for (const name of [...hostile, undefined, null, 3, {}, ['x']])
      if (make !== makers[3]![1] || name) expect(() => make(name as never), String(name)).toThrow(NoSuchName);
  });

  it.each(makers)('%s: whatever is taken stays one segment', (_, make) => {
    const depth = make('x' as never).split('/').length;
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.%/-]{1,20}$/)), (name) => {
        try {
          const path = make(name as never);
          expect(path.split('/').length).toBeLessThanOrEqual(depth);
          expect(new URL(`http://x${path}`).pathname).toBe(path);
        } catch (error) {
          expect(error).toBeInstanceOf(NoSuchName);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('says what it was, and of a long one the beginning', () => {
    expect(() => paths.core('air', 'pods', '../x')).toThrow(
      '"../x" is no name of a Kubernetes object, so nothing was asked',
    );
    expect(() => paths.core('air', 'pods', 'A'.repeat(5000))).toThrow(/^.{0,160}$/);
  });

  it('may be as long as names are', () => {
    expect(paths.core('a'.repeat(63), 'pods', 'a'.repeat(253))).toHaveLength(
      '/api/v1/namespaces//pods/'.length + 63 + 253,
    );
    expect(() => paths.core('a'.repeat(64), 'pods')).toThrow(NoSuchName);
  });
});

describe('a path that would not be asked as it stands', () => {
  it.each([
    '/api/v1/namespaces/air/pods/../secrets/x',
    '/api/v1/../../x',
    '/api/./v1',
    '/api/v1/%2e%2e/x',
    '/api/v1/x%2fy',
    '/api/v1/x?watch=true',
    '/api/v1/x#y',
    '/api/v1/\\x',
    '/api/v1/x\ny',
    '/api//v1',
    '.evil.example/api',
    '@evil/api',
  ])('%j goes to nobody', async (path) => {
    asked.length = 0;
    await expect(client.request('GET', path)).rejects.toThrow('is no path of the API');
    await expect(client.text(path)).rejects.toThrow('is no path of the API');
    await expect(client.stream(path)).rejects.toThrow('is no path of the API');
    await expect(client.socket(path, {})).rejects.toThrow('is no path of the API');
    expect(asked).toEqual([]);
  }); // prettier-ignore

  it('keeps the path of a server that is behind one', async () => {
    asked.length = 0;
    await client.request('GET', '/api/v1/namespaces/air/pods/x');
    expect(asked).toEqual(['GET /behind/api/v1/namespaces/air/pods/x']);
  });
});

describe('a name that a review, a chart or a person wrote', () => {
  it.each(hostile)('%j is of no object: none is asked for', async (name) => {
    asked.length = 0;
    expect(await getSecret(client, 'air', name)).toBeUndefined();
    expect(await getConfigMap(client, 'air', name)).toBeUndefined();
    expect(await getWorkload(client, 'Deployment', 'air', name)).toBeUndefined();
    const workload = makeDeployment();
    Object.assign(workload.spec.template.spec, { serviceAccountName: name, imagePullSecrets: [{ name }] });
    expect(await pullSecretsOf(client, workload)).toEqual([]);
    const reads = clusterReads({ client, namespace: 'downdraft' });
    expect([await reads.job('air', name), await reads.claimModes('air', [name])]).toEqual([undefined, {}]);
    expect(asked).toEqual([]);
  });

  it('is answered with one object, and more than one can be is not read', async () => {
    answer = `{"items":"${'x'.repeat(5 * 1024 * 1024)}"}`;
    await expect(getWorkload(client, 'Deployment', 'air', 'x')).rejects.toThrow('the answer is longer than');
    answer = '{}';
  });
});

describe('an answer of the API server that is no yes', () => {
  it('is told to strangers by its status alone', () => {
    const said = 'secrets "x" is forbidden: User "system:serviceaccount:downdraft:downdraft" cannot get resource';
    const error = errorOf(
      'GET /api/v1/namespaces/air/secrets/x',
      403,
      JSON.stringify({ kind: 'Status', reason: 'Forbidden', message: said }),
    );
    expect(withoutItsText(error).message).toBe(
      'the API server answered 403 Forbidden to GET /api/v1/namespaces/air/secrets/x',
    );
    expect(withoutItsText(new Error('no answer within 3 s')).message).toBe('no answer within 3 s');
  });
});
