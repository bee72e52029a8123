/** With the CA of the API servers' client certificates: reviews are taken from them alone, and the rest of the port is as ever. */
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issue } from '../../certs/authority.ts';
import { type AdmissionServer, buildServer, webhooks } from '../../src/admission/server.ts';
import { makePorts } from '../make/ports.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';

interface Pair {
  cert: string;
  key: string;
}

const review = JSON.stringify(makeReview({ object: makeDeployment(), oldObject: makeDeployment() }));
const clients: Record<string, Pair | undefined> = {};
let app: AdmissionServer;
let renewed: Pair;
let authority: Pair;

async function certificate(commonName: string, ca?: Pair, purpose: object = { clientAuth: true }): Promise<Pair> {
  const extensions = ca
    ? [{ name: 'extKeyUsage', ...purpose }]
    : [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, critical: true },
      ];
  const shape = { keyType: 'ec', algorithm: 'sha256', ...(ca ? { ca } : {}), extensions } as const;
  const made = await generate([{ name: 'commonName', value: commonName }], shape as never);
  return { cert: made.cert, key: made.private };
}

beforeAll(async () => {
  authority = await certificate('api-servers');
  const other = await certificate('api-servers');
  clients['the API server'] = await certificate('kube-apiserver', authority);
  clients.nobody = undefined;
  clients['another name of that CA'] = await certificate('jane', authority);
  clients['the same name of another CA'] = await certificate('kube-apiserver', other);
  clients['the same name, signed for servers'] = await certificate('kube-apiserver', authority, { serverAuth: true });
  const names = { serviceName: 'downdraft', namespace: 'downdraft', now: new Date() };
  const { leaf } = await issue(names);
  renewed = (await issue(names)).leaf;
  const callers = { ca: authority.cert, names: ['kube-apiserver'] };
  app = buildServer(makePorts({ stored: makeDeployment() }), { logger: undefined, tls: leaf, callers });
  await app.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(() => app?.close());

const target = () => ({
  host: '127.0.0.1',
  port: (app.server.address() as AddressInfo).port,
  rejectUnauthorized: false,
});

async function ask(client: Pair | undefined, path: string, method = 'POST') {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; text: string }>();
  const headers = { 'content-type': 'application/json' };
  const sent = https.request({ ...target(), ...client, path, method, headers, agent: false }, (response) => {
    let text = '';
    response.on('data', (part) => (text += part)).once('end', () => resolve({ status: response.statusCode, text }));
  });
  sent.once('error', reject).end(method === 'POST' ? review : undefined);
  return await promise;
}

const strangers = [
  'nobody',
  'another name of that CA',
  'the same name of another CA',
  'the same name, signed for servers',
];

describe('a review', () => {
  it('is taken from the API server', async () => {
    for (const path of Object.keys(webhooks))
      expect(await ask(clients['the API server'], path)).toMatchObject({ status: 200 });
  });

  it.each(strangers)('is not taken from %s, on any path', async (who) => {
    for (const path of Object.keys(webhooks)) {
      const { status, text } = await ask(clients[who], path);
      expect(status).toBe(401);
      expect(text).toContain('client certificate');
    }
  });

  it('is refused before its body is there', async () => {
    const socket = connect(target());
    socket.write(
      'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 7000000\r\n\r\n',
    );
    let answer = '';
    socket.on('data', (part) => (answer += part)).on('error', () => undefined);
    await expect.poll(() => answer).toContain('401 Unauthorized');
    socket.destroy();
  });

  it('is not taken on a session that was begun without a certificate', async () => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const first = connect({ ...target(), maxVersion: 'TLSv1.3' });
    first.once('session', resolve).write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    const session = await promise;
    first.destroy();
    const again: TLSSocket = connect({ ...target(), session });
    let answer = '';
    again.on('data', (part) => (answer += part)).on('error', () => undefined);
    again.write(
      `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${review.length}\r\n\r\n${review}`,
    );
    await expect.poll(() => answer).toContain('401 Unauthorized');
    again.destroy();
  });
});

it.each(['/healthz', '/readyz', '/metrics'])(
  '%s needs no certificate: kubelets and Prometheus have none',
  async (path) => {
    expect(await ask(undefined, path, 'GET')).toMatchObject({ status: 200 });
  },
);

it('a renewed serving certificate changes nothing of it', async () => {
  const { setSecureContext } = app.server as unknown as { setSecureContext(context: object): void };
  setSecureContext.call(app.server, { ...renewed, ca: authority.cert });
  expect(await ask(clients['the API server'], '/mutate')).toMatchObject({ status: 200 });
  for (const who of strangers) expect(await ask(clients[who], '/mutate')).toMatchObject({ status: 401 });
});
