import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { limitConnections } from '../../src/admission/connections.ts';

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
