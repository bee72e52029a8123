/**
 * The gate: a webhook configuration for one namespace and release, written before its pods are deleted and taken away
 * after. While it stands, every new pod of the release waits unscheduled. Pure: bodies only.
 */
import { partOfName } from '../release/objectnames.ts';
import { label, type ProfileName, selectorOf } from '../release/profiles.ts';

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

/** The configuration, with `/drain` as the webhook's path. Takes how the API server reaches us: a service or a url, and its CA. */
export function gateConfiguration(
  namespace: string,
  release: string,
  reach: GateClientConfig,
  profile: ProfileName = 'official',
) {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: {
      name: gateConfigurationName(namespace, release),
      labels: { 'app.kubernetes.io/managed-by': 'downdraft' },
      annotations: { [gateAnnotations.namespace]: namespace, [gateAnnotations.release]: release },
    },
    webhooks: [
      {
        name: 'drain.downdraft.dev',
        admissionReviewVersions: ['v1'],
        failurePolicy: 'Fail',
        matchPolicy: 'Equivalent',
        sideEffects: 'None',
        timeoutSeconds: 5,
        rules: [
          { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' },
        ],
        namespaceSelector: {
          matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: [namespace] }],
        },
        objectSelector: {
          matchLabels: selectorOf(profile, release),
          matchExpressions: [{ key: label.role, operator: 'DoesNotExist' }],
        },
        clientConfig: withPath(reach),
      },
    ],
  };
}

function withPath({ service, url, caBundle }: GateClientConfig): GateClientConfig {
  const ca = caBundle === undefined ? {} : { caBundle };
  if (service) return { service: { ...service, path: '/drain' }, ...ca };
  if (url) return { url: url.endsWith('/drain') ? url : `${url.replace(/\/+$/, '')}/drain`, ...ca };
  throw new Error('the gate needs a service or a url that the API server can reach');
}

/** A pod that is never stored: does it come back gated? Dressed so that Pod Security "restricted" and quotas let it by. */
export function gateTrialPod(namespace: string, release: string, profile: ProfileName = 'official') {
  const amount = { cpu: '1m', memory: '1Mi' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'downdraft-gate-trial-', namespace, labels: selectorOf(profile, release) },
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
