/** What is written twice is compared: manifests with the server, the configuration, the code's own constants. */
import { beforeAll, describe, expect, it } from 'vitest';
import { webhooks } from '../../src/admission/server.ts';
import { readConfig } from '../../src/config.ts';
import { annotation } from '../../src/release/profiles.ts';
import { downgradeApi } from '../../src/release/record.ts';
import { type Manifest, pick, renderManifests } from './render.ts';

let all: Manifest[];
let configurations: Manifest[];
const config = readConfig({ env: {}, podNamespace: () => undefined, hostname: () => 'x' });

beforeAll(async () => {
  all = await renderManifests();
  configurations = all.filter((m) => m.webhooks);
});

describe('webhook configurations', () => {
  it('name only paths that the server answers, at our Service', () => {
    const { spec } = pick(all, 'Service', config.service);
    for (const { name, clientConfig } of configurations.flatMap((c) => c.webhooks)) {
      expect(Object.keys(webhooks), name).toContain(clientConfig.service.path);
      expect(clientConfig.service).toMatchObject({ name: config.service, namespace: config.namespace });
      expect(spec.ports.map((p: Manifest) => p.port)).toContain(clientConfig.service.port);
    }
  });

  it('leave the caBundle to the controller', () => {
    for (const { clientConfig } of configurations.flatMap((c) => c.webhooks))
      expect(clientConfig.caBundle).toBeUndefined();
  });

  it('have no side effects, keep away from kube-system and from ourselves, and end in time', () => {
    for (const webhook of configurations.flatMap((c) => c.webhooks)) {
      expect(webhook).toMatchObject({
        sideEffects: 'None',
        matchPolicy: 'Equivalent',
        admissionReviewVersions: ['v1'],
      });
      expect(webhook.namespaceSelector.matchExpressions).toEqual([
        { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', config.namespace] },
      ]);
      expect(webhook.timeoutSeconds * 1000).toBeGreaterThan(config.budgetMs + 1000);
    }
  });

  it('fail closed for workloads and open for Jobs', () => {
    const policies = configurations.flatMap((c) => c.webhooks).map((w) => [w.name, w.failurePolicy, w.rules]);
    const updates = { operations: ['UPDATE'], apiGroups: ['apps'], resources: ['deployments', 'statefulsets'] };
    const pods = { operations: ['CREATE'], apiGroups: [''], resources: ['pods'] };
    const more = { apiVersions: ['v1'], scope: 'Namespaced' };
    expect(policies).toEqual([
      ['workloads.downdraft.dev', 'Fail', [{ ...updates, ...more }]],
      ['jobs.downdraft.dev', 'Ignore', [{ ...pods, ...more }]],
      ['held.downdraft.dev', 'Fail', [{ ...updates, ...more }]],
    ]);
  });

  it('look for the annotation that the code writes', () => {
    const expressions = configurations.flatMap((c) => c.webhooks).flatMap((w) => w.matchConditions ?? []);
    const holding = expressions.filter((e) => e.expression.includes('metadata.annotations'));
    expect(holding).toHaveLength(2);
    for (const { expression } of holding)
      expect(expression).toContain(`'${annotation.hold}' in o.metadata.annotations`);
  });
});

describe('the Deployment', () => {
  const container = () => pick(all, 'Deployment').spec.template.spec.containers[0];

  it('is asked at the port that it listens on', () => {
    expect(container().ports).toEqual([{ name: 'webhook', containerPort: config.port }]);
    expect(pick(all, 'Service').spec.ports[0].targetPort).toBe('webhook');
    expect(pick(all, 'NetworkPolicy').spec.ingress).toEqual([{ ports: [{ port: config.port, protocol: 'TCP' }] }]);
  });

  it('is selected by its Service, its disruption budget and its network policy', () => {
    const { labels } = pick(all, 'Deployment').spec.template.metadata;
    expect(labels).toMatchObject(pick(all, 'Service').spec.selector);
    expect(labels).toMatchObject(pick(all, 'PodDisruptionBudget').spec.selector.matchLabels);
    expect(labels).toMatchObject(pick(all, 'NetworkPolicy').spec.podSelector.matchLabels);
  });

  it('is probed over HTTPS where the server answers', () => {
    const { startupProbe, readinessProbe, livenessProbe } = container();
    for (const { httpGet } of [startupProbe, readinessProbe, livenessProbe])
      expect(httpGet).toMatchObject({ scheme: 'HTTPS', port: 'webhook' });
    expect([startupProbe, readinessProbe, livenessProbe].map((p) => p.httpGet.path)).toEqual([
      '/readyz',
      '/readyz',
      '/healthz',
    ]);
  });

  it('meets Pod Security "restricted" and gets no variables from Services', () => {
    const { spec } = pick(all, 'Deployment').spec.template;
    expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(spec.enableServiceLinks).toBe(false);
    expect(container().securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pick(all, 'Namespace').metadata.labels['pod-security.kubernetes.io/enforce']).toBe('restricted');
  });

  it('has two replicas, one of which may always go', () => {
    expect(pick(all, 'Deployment').spec.replicas).toBe(2);
    expect(pick(all, 'PodDisruptionBudget').spec.minAvailable).toBe(1);
  });
});

describe('the Downgrade definition', () => {
  it('is what the code reads and writes', () => {
    const { spec } = pick(all, 'CustomResourceDefinition', `${downgradeApi.plural}.${downgradeApi.group}`);
    expect(spec).toMatchObject({ group: downgradeApi.group, scope: 'Namespaced' });
    expect(spec.names).toMatchObject({ kind: downgradeApi.kind, plural: downgradeApi.plural, shortNames: ['dg'] });
    expect(spec.versions.map((v: Manifest) => v.name)).toEqual([downgradeApi.version]);
  });
});
