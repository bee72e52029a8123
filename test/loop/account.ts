/** downdraft's own service account, with the rights that the manifests give it: the controller of these tests is no admin. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '../../src/cluster/client/client.ts';
import { core } from '../../src/cluster/client/paths.ts';
import type { Config } from '../../src/config.ts';
import type { ControlPlane } from '../cluster/plane/controlplane.ts';

/** The kinds of the manifests by which the account gets its rights. */
export const accountKinds = ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];

/** A token of that account, which must be there. */
export async function ownToken(admin: Client, namespace: string): Promise<string> {
  const path = core(namespace, 'serviceaccounts', 'downdraft', 'token');
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 4 * 3600 } };
  return (await admin.request<{ status: { token: string } }>('POST', path, { body })).status.token;
}

/** Writes a kubeconfig of that account; answers its path. */
export async function ownKubeconfig(admin: Client, plane: ControlPlane, { namespace }: Config): Promise<string> {
  const token = await ownToken(admin, namespace);
  const authority = (await readFile(plane.pki.caCert)).toString('base64');
  const [name, context] = ['downdraft', { cluster: 'downdraft', user: 'downdraft' }];
  const file = join(plane.dir, 'kubeconfig-own');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: plane.server, 'certificate-authority-data': authority } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context }],
    'current-context': name,
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}
