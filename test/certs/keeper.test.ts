import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { ensureCertificates, keepCertificates, type Ports, type Serving } from '../../certs/keeper.ts';

const names = { serviceName: 'downdraft', namespace: 'guard', hosts: ['127.0.0.1'] };
const day = 24 * 3600 * 1000;

/** One Secret with the API server's optimistic locking, shared by as many replicas as a test likes. */
function makeSecret() {
  let stored: { data: Record<string, string>; resourceVersion: string } | undefined;
  const clock = { now: new Date() };
  const written: string[] = [];
  const ports: Ports = {
    read: async () => structuredClone(stored),
    write: async (data, resourceVersion) => {
      if (stored?.resourceVersion !== resourceVersion) return 'conflict';
      stored = { data, resourceVersion: String(written.push(data['tls.crt']!)) };
      return 'written';
    },
    now: () => clock.now,
  };
  const remove = () => {
    stored = undefined;
  };
  return { ports, clock, written, remove };
}

const ending = new AbortController();
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** The subject that a real TLS client meets, which trusts the caBundle only. */
function handshake(port: number, { caBundle }: Serving): Promise<string> {
  const ca = Buffer.from(caBundle, 'base64').toString();
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca, servername: 'downdraft.guard.svc' }, () => {
      resolve(`${socket.getPeerCertificate().subject.CN} ${socket.getPeerCertificate().serialNumber}`);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

describe('the Secret', () => {
  it('is made when it is missing, and then left alone', async () => {
    const { ports, written } = makeSecret();
    const first = await ensureCertificates(ports, names);
    expect(await ensureCertificates(ports, names)).toEqual(first);
    expect(written).toHaveLength(1);
  });

  it('is one and the same for replicas that start together', async () => {
    const { ports, written } = makeSecret();
    const all = await Promise.all([1, 2, 3].map(() => ensureCertificates(ports, names)));
    expect(new Set(all.map((serving) => serving.cert)).size).toBe(1);
    expect(written).toHaveLength(1);
  });

  it('that changes under every write is an error, not an endless loop', async () => {
    const { ports } = makeSecret();
    ports.write = async () => 'conflict';
    await expect(ensureCertificates(ports, names)).rejects.toThrow('changed by others 5 times');
  });

  it('that cannot be read stops the start', async () => {
    const { ports } = makeSecret();
    ports.read = () => Promise.reject(new Error('forbidden'));
    const options = { ...names, signal: ending.signal, onChange: () => {}, onError: () => {} };
    await expect(keepCertificates(ports, options)).rejects.toThrow('forbidden');
  });
});

describe('a running server', () => {
  it('serves a renewed certificate without a restart, also one that another replica has made', async () => {
    const { ports, clock } = makeSecret();
    clock.now = new Date(Date.now() - 310 * day);
    const stop = new AbortController();
    const { promise: changed, resolve } = Promise.withResolvers<Serving>();
    const server = createServer();
    const first = await keepCertificates(ports, {
      ...names,
      everyMs: 20,
      signal: stop.signal,
      onChange: (serving) => {
        server.setSecureContext(serving);
        resolve(serving);
      },
      onError: () => {},
    });
    server.setSecureContext(first);
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const before = await handshake(port, first);
    expect(before).toContain('downdraft.guard.svc');
    clock.now = new Date();
    const next = await changed;
    stop.abort();
    expect(next.caBundle).toBe(first.caBundle);
    const after = await handshake(port, next);
    expect(after).toContain('downdraft.guard.svc');
    expect(after).not.toBe(before);
  });

  it('goes on after a look that failed', async () => {
    const { ports, remove } = makeSecret();
    const stop = new AbortController();
    const errors: unknown[] = [];
    const { promise: changed, resolve } = Promise.withResolvers<Serving>();
    const read = ports.read;
    const options = {
      ...names,
      everyMs: 10,
      signal: stop.signal,
      onChange: resolve,
      onError: (e: unknown) => errors.push(e),
    };
    const first = await keepCertificates(ports, options);
    ports.read = () => {
      ports.read = read;
      remove();
      return Promise.reject(new Error('no answer'));
    };
    const next = await changed;
    stop.abort();
    expect(errors).toHaveLength(1);
    expect(next.caBundle).not.toBe(first.caBundle);
  });
});
