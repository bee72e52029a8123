/** An API server that shows webhooks a certificate. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pki } from './pki.ts';

/** By which an API server shows a certificate to every webhook; the README shows the same. */
export async function admissionConfiguration(dir: string, { adminCert, adminKey }: Pki): Promise<string> {
  const [kubeConfigFile, file] = [join(dir, 'webhooks-kubeconfig'), join(dir, 'admission-configuration')];
  const user = { 'client-certificate': adminCert, 'client-key': adminKey };
  await writeFile(kubeConfigFile, JSON.stringify({ apiVersion: 'v1', kind: 'Config', users: [{ name: '*', user }] }));
  const configuration = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'WebhookAdmissionConfiguration',
    kubeConfigFile,
  };
  const plugins = ['MutatingAdmissionWebhook', 'ValidatingAdmissionWebhook'].map((name) => ({ name, configuration }));
  await writeFile(
    file,
    JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration', plugins }),
  );
  return file;
}
