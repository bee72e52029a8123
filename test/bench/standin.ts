/**
 * The least of an API server that Pepr's controller starts with: its one store object, which it reads, patches and
 * watches. Pepr asks it for nothing while it answers reviews.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const kind = { apiVersion: 'pepr.dev/v1', kind: 'PeprStore' };

/** Starts it on a free port of 127.0.0.1. */
export async function startStandin(): Promise<{ url: string; stop(): void }> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}

function answer({ url = '' }: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(url, 'http://standin');
  const [, name] = /\/peprstores(?:\/([\w.-]+))?$/.exec(pathname) ?? [];
  const wanted =
    name ?? /^metadata\.name=(.+)$/.exec(searchParams.get('fieldSelector') ?? '')?.[1] ?? 'pepr-bench-store';
  const metadata = { name: wanted, namespace: 'pepr-system', uid: wanted, resourceVersion: '1', labels: {} };
  const store = { ...kind, metadata, data: { __pepr_do_not_delete__: 'k-thx-bye' } };
  response.setHeader('content-type', 'application/json');
  // A watch on which nothing happens.
  if (searchParams.get('watch') === 'true') return void response.writeHead(200).flushHeaders();
  const list = { ...kind, kind: 'PeprStoreList', metadata: { resourceVersion: '1' }, items: [store] };
  response.end(JSON.stringify(name === undefined ? list : store));
}
