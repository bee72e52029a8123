import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { buildServer } from '../../src/admission/server.ts';
import { makePorts } from '../make/ports.ts';

it('a replica stops although a connection is open on which nothing was ever asked', async () => {
  const app = buildServer(makePorts(), { logger: undefined });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const idle = connect(port, '127.0.0.1');
  await once(idle, 'connect');
  const ended = once(idle, 'close');
  idle.on('error', () => {}).resume();
  await app.close();
  await ended;
  expect(app.server.listening).toBe(false);
}, 15_000);
