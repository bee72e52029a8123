/** vitest's globalSetup: the control plane that test files share is started when the first of them asks, and ended at the end. */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { parse } from 'yaml';
import { connect } from '../../../src/cluster/client/client.ts';
import { notFound } from '../../../src/cluster/client/errors.ts';
import { waitFor } from '../run/wait.ts';
import { type ControlPlane, startControlPlane } from './controlplane.ts';

const kinds = ['downgrades', 'downgradepolicies'];

/** Answers how the shared plane is ended. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  let starting: Promise<ControlPlane> | undefined;
  const server = createServer((_, response) => {
    starting ??= startShared();
    starting.then(
      ({ restartApiServer: _, log: __, stop: ___, ...handle }) => response.end(JSON.stringify(handle)),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  provide('sharedPlane', `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return async () => {
    server.close();
    await (await starting?.catch(() => undefined))?.stop();
  };
}

/** A control plane that serves downdraft's kinds. */
async function startShared(): Promise<ControlPlane> {
  const plane = await startControlPlane({ purpose: 'shared by test files' });
  const client = connect({ kubeconfig: plane.kubeconfig });
  try {
    for (const name of kinds) {
      const body = parse(await readFile(`manifests/crds/${name}.yaml`, 'utf8'));
      await client.request('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body });
    }
    for (const name of kinds)
      await waitFor(`${name} to be served`, 30_000, async () => {
        return await client.request<object>('GET', `/apis/downdraft.dev/v1alpha1/${name}`).catch((error) => {
          if (notFound(error)) return undefined;
          throw error;
        });
      });
    return plane;
  } catch (error) {
    await plane.stop();
    throw error;
  } finally {
    client.close();
  }
}
