/**
 * The gate: a webhook configuration for one namespace and release, written before its pods are deleted and taken away
 * after. While it stands, every new pod of the release waits unscheduled. Pure: bodies only.
 */
import { selectorOf } from '../release/airflow/charts.ts';
import { partOfName } from '../release/kubernetes/object-names.ts';
import { gateName, label, type PodObject, type WorkloadObject } from '../release/model/kubernetes.ts';
import { type ProfileName, profileNames } from '../release/model/workload.ts';

export interface GateClientConfig {
  service?: { namespace: string; name: string; path?: string; port?: number };
  url?: string;
  /** PEM in base64. */
  caBundle?: string;
}

export const gateAnnotations = { namespace: 'downdraft.dev/namespace', release: 'downdraft.dev/release' } as const;

/** A namespace has no dot in it, so no two of namespace and release share a name. */
export function gateConfigurationName(namespace: string, release: string): string {
  return `downdraft-drain-${namespace}.${partOfName(release, 63)}`;
}

/**
 * The configuration, with `/drain` as the webhook's path. Takes how the API server reaches us: a service or a url, and its CA.
 * One webhook for each way to label a release, whatever its workloads use today: one that is added by another way during
 * the drain is caught as well.
 */
export function gateConfiguration(namespace: string, release: string, reach: GateClientConfig) {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: {
      name: gateConfigurationName(namespace, release),
      labels: { 'app.kubernetes.io/managed-by': 'downdraft' },
      annotations: { [gateAnnotations.namespace]: namespace, [gateAnnotations.release]: release },
    },
    webhooks: profileNames.map((profile) => webhookFor(profile, namespace, release, reach)),
  };
}

const webhookName = 'drain.downdraft.dev';

function webhookFor(profile: ProfileName, namespace: string, release: string, reach: GateClientConfig) {
  // A pod with the label belongs to the release that the label names, whatever the chart's labels say.
  const unlabelled = profile === 'labelled' ? [] : [{ key: label.release, operator: 'DoesNotExist' }];
  return {
    name: `${profile}.${webhookName}`,
    admissionReviewVersions: ['v1'],
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
    timeoutSeconds: 5,
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' }],
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: [namespace] }],
    },
    objectSelector: {
      matchLabels: selectorOf(profile, release),
      matchExpressions: [{ key: label.role, operator: 'DoesNotExist' }, ...unlabelled],
    },
    clientConfig: withPath(reach),
  };
}

function withPath({ service, url, caBundle }: GateClientConfig): GateClientConfig {
  const ca = caBundle === undefined ? {} : { caBundle };
  if (service) return { service: { ...service, path: '/drain' }, ...ca };
  if (url) return { url: url.endsWith('/drain') ? url : `${url.replace(/\/+$/, '')}/drain`, ...ca };
  throw new Error('the gate needs a service or a url that the API server can reach');
}

/** A bare pod of the release, for when no workload is left to copy. Dressed so that Pod Security "restricted" lets it by. */
export function bareTrialPod(namespace: string, release: string): PodObject {
  const amount = { cpu: '1m', memory: '1Mi' };
  const labels = selectorOf('official', release);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${release.toLowerCase().replace(/[^a-z0-9]+/g, '-')}-${trialName}`, namespace, labels },
    spec: {
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'trial',
          image: 'downdraft.dev/none',
          resources: { requests: amount, limits: amount },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}

/** Not generated: what the API server says of it must be the same each time. */
const trialName = 'downdraft-trial';

/**
 * A pod as the workload itself would make it, less a gate of ours that stands in a held template. So whatever lets the
 * release's own pods by (limits, allow-lists, required labels) lets this one by, and what refuses it refuses them.
 */
export function trialPod({ metadata, spec: { template, volumeClaimTemplates } }: WorkloadObject): PodObject {
  const { schedulingGates = [], ...spec } = structuredClone(template.spec);
  const others = schedulingGates.filter(({ name }) => name !== gateName);
  const { labels = {}, annotations } = template.metadata ?? {};
  // The StatefulSet's controller adds the volumes of its claims.
  const claims = ((volumeClaimTemplates ?? []) as { metadata?: { name?: string } }[]).flatMap(
    (claim) => claim.metadata?.name ?? [],
  );
  const volumes = [...(spec.volumes ?? []), ...claims.map((name) => ({ name, emptyDir: {} }))];
  const base = metadata.name.slice(0, 200).replace(/[^a-z0-9]+$/, '');
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${base}-${trialName}`,
      namespace: metadata.namespace ?? 'default',
      labels: { ...labels },
      ...(annotations ? { annotations: { ...annotations } } : {}),
    },
    spec: {
      ...spec,
      ...(volumes.length > 0 ? { volumes } : {}),
      ...(others.length > 0 ? { schedulingGates: others } : {}),
    },
  };
}
