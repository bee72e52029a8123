/**
 * The node of all stories of a run: started before the first, ended after the last. It lives in vitest's own process; the
 * processes of the tests get what they use of it as plain data.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { startNode } from '../cluster/node/node.ts';
import type { SharedNode } from './node.ts';

export default async function startSharedNode(project: TestProject): Promise<() => Promise<void>> {
  const images = ['postgres', 'airflow-3.2.1', 'airflow-3.1.8', 'downdraft'] as const;
  const cluster = await startNode({ purpose: 'stories', images: [...images], onProgress: console.log });
  const server = await onRequest(cluster.restartApiServer);
  const { id, dir, kubeconfig, env, images: named, enter } = cluster;
  const restart = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  project.provide('node', { id, dir, kubeconfig, env, images: named, enter, restart } satisfies SharedNode);
  return async () => {
    server.close();
    await cluster.stop();
  };
}

/** Who started a program can start it anew: a test asks here. */
async function onRequest(act: () => Promise<void>): Promise<Server> {
  const server = createServer((_, response) => {
    act().then(
      () => response.writeHead(204).end(),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
