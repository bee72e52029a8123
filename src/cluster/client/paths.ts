/**
 * Where things are in the API: every path is made here, of single names. Names come from strangers (an ownerReference, a
 * Downgrade's spec, a review), and what is no Kubernetes name never becomes a part of a path.
 */

export type ConfigurationKind = 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';

/** A name that no object of the API can have. Nothing was asked of the API server. */
export class NoSuchName extends Error {
  override name = 'NoSuchName';
}

/** What kinds call names, and the API its resources and groups: lower case, in parts between dots. */
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const longestName = 253;
const longestNamespace = 63;

/** Whether an object of the kinds that downdraft reads and writes can have this name. */
export function isObjectName(text: unknown): text is string {
  return typeof text === 'string' && text.length <= longestName && subdomain.test(text);
}

function segment(text: unknown): string {
  if (!isObjectName(text))
    throw new NoSuchName(`${shown(text)} is no name of a Kubernetes object, so nothing was asked`);
  return encodeURIComponent(text);
}

function ofNamespace(text: unknown): string {
  if (!isObjectName(text) || text.length > longestNamespace || text.includes('.'))
    throw new NoSuchName(`${shown(text)} is no name of a namespace, so nothing was asked`);
  return encodeURIComponent(text);
}

function shown(text: unknown): string {
  if (typeof text !== 'string') return `a name that is ${text === null ? 'null' : `of type ${typeof text}`}`;
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

interface Where {
  /** Missing: of the whole cluster. */
  namespace?: string | undefined;
  resource: string;
  /** Missing: the collection. */
  name?: string | undefined;
  subresource?: string | undefined;
}

/** Of a kind in this group; '' is the core group, whose only version is v1. Throws NoSuchName. */
export function pathIn(group: string, version: string, where: Where): string {
  const { resource, subresource } = where;
  const within = 'namespace' in where ? ['namespaces', ofNamespace(where.namespace)] : [];
  // A name that is given but undefined must not become the path of the whole collection.
  const named = 'name' in where ? [segment(where.name)] : [];
  const parts = [...within, segment(resource), ...named, ...(subresource ? [segment(subresource)] : [])];
  return [groupPath(group, version), ...parts].join('/');
}

/** Of a group's own list of what it offers. */
export function groupPath(group: string, version: string): string {
  return group === '' ? `/api/${segment(version)}` : `/apis/${segment(group)}/${segment(version)}`;
}

type Named = [name?: string, subresource?: string];

function inNamespace(group: string, version: string) {
  return (namespace: string, resource: string, ...named: Named): string =>
    pathIn(group, version, { namespace, resource, ...nameIn(named) });
}

/** An argument that was passed counts, also when it is undefined. */
function nameIn(named: Named): Pick<Where, 'name' | 'subresource'> {
  return named.length === 0 ? {} : { name: named[0], subresource: named[1] };
}

export const core = inNamespace('', 'v1');
export const apps = inNamespace('apps', 'v1');
export const batch = inNamespace('batch', 'v1');
const ours = { group: 'downdraft.dev', version: 'v1alpha1' } as const;
const oursIn = inNamespace(ours.group, ours.version);
export const downgradesOf = (namespace: string, ...named: Named) => oursIn(namespace, 'downgrades', ...named);

export const leasesOf = (namespace: string, ...named: Named) =>
  inNamespace('coordination.k8s.io', 'v1')(namespace, 'leases', ...named);

export const eventsOf = (namespace: string) => inNamespace('events.k8s.io', 'v1')(namespace, 'events');

export const configurations = (kind: ConfigurationKind, ...named: Named) =>
  pathIn('admissionregistration.k8s.io', 'v1', {
    resource: `${kind === 'MutatingWebhookConfiguration' ? 'mutating' : 'validating'}webhookconfigurations`,
    ...nameIn(named),
  });

export const namespaceOf = (name: string) => pathIn('', 'v1', { resource: 'namespaces', name });

export const policyOf = (name: string, subresource?: string) =>
  pathIn(ours.group, ours.version, { resource: 'downgradepolicies', name, subresource });

/** Of what is watched or asked in the whole cluster. */
export const everywhere = {
  pods: pathIn('', 'v1', { resource: 'pods' }),
  namespaces: pathIn('', 'v1', { resource: 'namespaces' }),
  deployments: pathIn('apps', 'v1', { resource: 'deployments' }),
  statefulsets: pathIn('apps', 'v1', { resource: 'statefulsets' }),
  downgrades: pathIn(ours.group, ours.version, { resource: 'downgrades' }),
  policies: pathIn(ours.group, ours.version, { resource: 'downgradepolicies' }),
  selfReviews: pathIn('authentication.k8s.io', 'v1', { resource: 'selfsubjectreviews' }),
  accessReviews: pathIn('authorization.k8s.io', 'v1', { resource: 'selfsubjectaccessreviews' }),
} as const;

/** Who wrote a field, as the API server notes it. On every write. */
export const byUs = { fieldManager: 'downdraft' };

export const mergePatch = 'application/merge-patch+json';
export const jsonPatch = 'application/json-patch+json';

/** Path of a Deployment or StatefulSet; throws for any other kind. */
export function workloadPath(kind: string | undefined, namespace: string, name: string): string {
  if (kind === 'Deployment') return apps(namespace, 'deployments', name);
  if (kind === 'StatefulSet') return apps(namespace, 'statefulsets', name);
  throw new Error(`${kind ?? 'an object without kind'} ${namespace}/${name} is no workload that downdraft writes to`);
}
