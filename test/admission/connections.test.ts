import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import tls from 'node:tls';
import { generate } from 'selfsigned';
import { expect, it } from 'vitest';
import { keepUnused, limitConnections } from '../../src/admission/intake/connections.ts';
import { buildServer } from '../../src/admission/server.ts';
import { makePorts } from '../make/ports.ts';

it('over the limit a connection that waits for its answer is kept, the oldest of the others goes', async () => {
  const waiting: http.ServerResponse[] = [];
  const server = http.createServer((_, answer) => void waiting.push(answer));
  limitConnections(server, 3);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    return socket;
  };
  const asking = await open();
  asking.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  while (waiting.length === 0) await new Promise(setImmediate);
  const idle = [await open(), await open()];
  const gone = Promise.race([asking, ...idle].map((socket) => once(socket, 'close').then(() => socket)));
  await open();
  expect(await gone).toBe(idle[0]);
  waiting[0]!.end('answered');
  expect(String((await once(asking, 'data'))[0])).toMatch(/answered/);
  server.closeAllConnections();
  server.close();
});

it.each(['http', 'https'])(
  'a connection on which nothing has come yet is kept, since API servers open some beforehand; a request that has begun is not waited for: %s',
  async (scheme) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'x' }], { keyType: 'ec' });
    const times = { headersTimeout: 300, requestTimeout: 600, connectionsCheckingInterval: 50 };
    const answer: http.RequestListener = (_, response) => void response.end('answered');
    const server =
      scheme === 'http' ? http.createServer(times, answer) : https.createServer({ ...times, cert, key }, answer);
    // As fastify's own.
    server.on('clientError', (_, socket) => socket.end('HTTP/1.1 408 Request Timeout\r\n\r\n'));
    keepUnused(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const open = async (): Promise<Socket> => {
      const socket =
        scheme === 'http'
          ? connect(port, '127.0.0.1')
          : tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(
        socket.on('error', () => {}),
        scheme === 'http' ? 'connect' : 'secureConnect',
      );
      return socket;
    };
    const unused = await open();
    // Opened later and late: by then the first one was looked at, twice for the time of a whole request.
    for (let round = 0; round < 3; round++) {
      const begun = await open();
      begun.write('GET / HT');
      expect(String((await once(begun, 'data'))[0])).toContain('408');
    }
    unused.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(String((await once(unused, 'data'))[0])).toMatch(/200 OK[\s\S]*answered/);
    // From here on a late request is one, also on this connection.
    unused.write('GET / HT');
    expect(String((await once(unused, 'data'))[0])).toContain('408');
    server.closeAllConnections();
    server.close();
  },
);

it('the server of the webhooks keeps such connections', async () => {
  const app = buildServer(makePorts(), { logger: undefined });
  const done: string[] = [];
  const socket = { bytesRead: 0, destroyed: false, writable: true, setTimeout: () => done.push('kept') };
  const ending = { write: () => done.push('answered'), destroy: () => done.push('ended') };
  for (const bytesRead of [0, 7])
    app.server.emit('clientError', Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), {
      ...socket,
      ...ending,
      bytesRead,
    } as never);
  expect(done).toEqual(['kept', 'answered', 'ended']);
  await app.close();
});

it.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
  'the caller knows which cipher is cheap where it runs: %s first',
  async (first) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'x' }], { keyType: 'ec' });
    const app = buildServer(makePorts({}), { logger: undefined, tls: { cert, key } });
    await app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = app.server.address() as AddressInfo;
    const ciphers = [first, ...tls.DEFAULT_CIPHERS.split(':').filter((one) => one !== first)].join(':');
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ciphers });
    await once(socket, 'secureConnect');
    expect([socket.getProtocol(), socket.getCipher().standardName]).toEqual(['TLSv1.3', first]);
    socket.destroy();
    await app.close();
  },
);
