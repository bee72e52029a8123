import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { buildServer, listenEverywhere } from '../../src/admission/server.ts';
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

it('a kernel without IPv6 is listened on all the same, and what else goes wrong is told', async () => {
  const app = buildServer(makePorts(), { logger: undefined });
  const listen: typeof app.listen = app.server.listen.bind(app.server) as never;
  // Node's own words for a kernel that was started with ipv6.disable=1.
  app.server.listen = ((options: { host: string }, ...more: unknown[]) => {
    if (options.host !== '::') return (listen as (...all: unknown[]) => unknown)(options, ...more);
    const error = Object.assign(new Error('listen EAFNOSUPPORT: address family not supported'), {
      code: 'EAFNOSUPPORT',
    });
    setImmediate(() => app.server.emit('error', error));
    return app.server;
  }) as never;
  await listenEverywhere(app, 0);
  const { port, family } = app.server.address() as AddressInfo;
  expect(family).toBe('IPv4');
  const other = buildServer(makePorts(), { logger: undefined });
  await expect(listenEverywhere(other, port)).rejects.toThrow('EADDRINUSE');
  await app.close();
});
