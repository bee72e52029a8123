/** What stands where an API server would, and answers as a test wants it to; a client of it. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../../src/cluster/client/client.ts';

export interface Front extends AsyncDisposable {
  client: Client;
}

/** Starts it on a free port of 127.0.0.1. */
export async function startFront(answer: RequestListener): Promise<Front> {
  const server = createServer(answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const cluster = {
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    // The client library takes plain HTTP only with this.
    'insecure-skip-tls-verify': true,
  };
  const config = {
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  };
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-front-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify({ ...config, 'current-context': 'x' }));
  const client = connect({ kubeconfig });
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true });
    },
  };
}
