/** downdraft on a control plane as it is installed: its manifests, and the product itself, which runs beside it as in its pod. */
import { readFile } from 'node:fs/promises';
import type { Client } from '../../src/cluster/client/client.ts';
import { type Product, startProduct } from '../bench/product.ts';
import type { ControlPlane } from '../cluster/plane/controlplane.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { accountKinds, ownToken } from './account.ts';
import { applyManifests } from './manifests.ts';

const configurations = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'];
const policies = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];

/** Installs it under its own account and starts it; it is not ready yet. Compiled and logged in the folder. */
export async function installProduct(plane: ControlPlane, client: Client, folder: string): Promise<Product> {
  await applyManifests(client, plane, ['Namespace', 'CustomResourceDefinition', ...accountKinds]);
  const [port] = (await freePorts(1)) as [number];
  const url = `https://127.0.0.1:${port}`;
  await applyManifests(client, plane, [...configurations, ...policies], { url });
  const apiPort = Number(new URL(plane.server).port);
  const account = { apiPort, token: await ownToken(client, 'downdraft'), ca: await readFile(plane.pki.caCert) };
  const env = { DOWNDRAFT_WEBHOOK_URL: url, DOWNDRAFT_CERT_HOSTS: '127.0.0.1' };
  return await startProduct(folder, account, { port, env });
}
