/** downdraft's own manifests, on a control plane without nodes. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import type { Client } from '../../src/cluster/client/client.ts';
import { notFound } from '../../src/cluster/client/errors.ts';
import type { ControlPlane } from '../cluster/plane/controlplane.ts';
import { waitFor } from '../cluster/run/wait.ts';

/** An address, and the CA of who answers there; without one, who answers writes it himself. */
export interface Reach {
  url: string;
  caBundle?: string;
}

const run = promisify(execFile);

interface Manifest {
  kind: string;
  metadata: { name: string };
  webhooks?: { clientConfig: { service?: { path: string }; url?: string; caBundle?: string } }[];
}

/** Of downdraft's own manifests these kinds; `reach`: how the API server reaches the webhooks, instead of by a Service. */
export async function applyManifests(
  client: Client,
  plane: Pick<ControlPlane, 'env'>,
  kinds: string[],
  reach?: Reach,
): Promise<void> {
  const { stdout } = await run('kubectl', ['kustomize', 'manifests'], { env: plane.env, timeout: 60_000 });
  const items = parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest)
    .filter(({ kind }) => kinds.includes(kind));
  for (const { clientConfig } of items.flatMap(({ webhooks = [] }) => webhooks)) {
    clientConfig.url = reach!.url + clientConfig.service!.path;
    if (reach!.caBundle !== undefined) clientConfig.caBundle = reach!.caBundle;
    delete clientConfig.service;
  }
  const applying = run('kubectl', ['apply', '-f', '-'], { env: plane.env, timeout: 60_000 });
  applying.child.stdin?.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await applying;
  if (!kinds.includes('CustomResourceDefinition')) return;
  for (const name of ['downgrades', 'downgradepolicies'])
    await waitFor(`${name} to be served`, 30_000, async () => {
      const path = `/apis/downdraft.dev/v1alpha1/${name}`;
      return await client.request('GET', path).catch((error) => {
        if (notFound(error)) return undefined;
        throw error;
      });
    });
}
