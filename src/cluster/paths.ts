/** Where things are in the API. */

export const core = (namespace: string, resource: string) => `/api/v1/namespaces/${namespace}/${resource}`;
export const apps = (namespace: string, resource: string) => `/apis/apps/v1/namespaces/${namespace}/${resource}`;
export const batch = (namespace: string, resource: string) => `/apis/batch/v1/namespaces/${namespace}/${resource}`;
export const downgradesOf = (namespace: string) => `/apis/downdraft.dev/v1alpha1/namespaces/${namespace}/downgrades`;
export const configurations = (kind: ConfigurationKind) =>
  `/apis/admissionregistration.k8s.io/v1/${kind === 'MutatingWebhookConfiguration' ? 'mutating' : 'validating'}webhookconfigurations`;

export type ConfigurationKind = 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';

/** Who wrote a field, as the API server notes it. On every write. */
export const byUs = { fieldManager: 'downdraft' };

export const mergePatch = 'application/merge-patch+json';
export const jsonPatch = 'application/json-patch+json';

/** Path of a Deployment or StatefulSet; throws for any other kind. */
export function workloadPath(kind: string | undefined, namespace: string, name: string): string {
  if (kind === 'Deployment') return apps(namespace, `deployments/${name}`);
  if (kind === 'StatefulSet') return apps(namespace, `statefulsets/${name}`);
  throw new Error(`${kind ?? 'an object without kind'} ${namespace}/${name} is no workload that downdraft writes to`);
}
