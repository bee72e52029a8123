/** What is written twice is compared: manifests with the server, the configuration, the code's own constants. */
import { beforeAll, describe, expect, it } from 'vitest';
import { webhooks } from '../../src/admission/server.ts';
import { readConfig } from '../../src/config.ts';
import { recognize } from '../../src/release/airflow/charts.ts';
import { downgradeApi } from '../../src/release/kubernetes/downgrade.ts';
import { connectionFingerprint } from '../../src/release/kubernetes/workloads.ts';
import { annotation, label } from '../../src/release/model/kubernetes.ts';
import { defaultRules } from '../../src/release/model/policy.ts';
import { placeFields } from '../../src/release/policy/places.ts';
import type { PolicyObject } from '../../src/release/policy/policy.ts';
import { type Manifest, pick, renderManifests } from './render.ts';

/** Components whose pods run a Job, by chart. */
const jobComponents = [
  ['official', 'run-airflow-migrations'],
  ['official', 'create-user-job'],
  ['official', 'airflow-cleanup-pods'],
  ['official', 'database-cleanup'],
  ['community', 'db-migrations'],
] as const;

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

  it('have no side effects and end in time', () => {
    for (const webhook of configurations.flatMap((c) => c.webhooks)) {
      expect(webhook).toMatchObject({
        sideEffects: 'None',
        matchPolicy: 'Equivalent',
        admissionReviewVersions: ['v1'],
      });
      expect(webhook.timeoutSeconds * 1000).toBeGreaterThan(config.budgetMs + 1000);
    }
  });

  it('keep away from kube-system and from ourselves; the early word also from namespaces without Airflow', () => {
    const away = { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', config.namespace] };
    const withAirflow = { key: label.airflow, operator: 'In', values: ['true'] };
    for (const { name, namespaceSelector } of configurations.flatMap((c) => c.webhooks))
      expect(namespaceSelector, name).toEqual({
        matchExpressions: name === 'record.downdraft.dev' ? [away, withAirflow] : [away],
      });
  });

  it.each([
    ['workloads.downdraft.dev', 'Fail', 'the guard: without it an older image meets the newer database'],
    ['held.downdraft.dev', 'Fail', 'asked only about what says that it is held: an object let through would start'],
    ['jobs.downdraft.dev', 'Ignore', "a convenience for the tools: Airflow's own check lets such a Job fail"],
    ['ephemeral.downdraft.dev', 'Ignore', 'whoever debugs a broken cluster must not wait for us'],
    ['record.downdraft.dev', 'Ignore', 'an early word: what it misses meets the guard'],
  ])('%s: %s, since it is %s', (name, policy) => {
    expect(pickWebhook(name).failurePolicy).toBe(policy);
  });

  it('are those five, each with the kinds and operations that its path answers', () => {
    const told = configurations.flatMap((c) => c.webhooks.map((w: Manifest) => [c.kind, w.name, ...rulesOf(w)]));
    expect(told).toEqual([
      [mutating, 'workloads.downdraft.dev', 'CREATE UPDATE apps/v1 deployments statefulsets'],
      [mutating, 'jobs.downdraft.dev', 'CREATE /v1 pods'],
      [validating, 'held.downdraft.dev', 'CREATE UPDATE apps/v1 deployments statefulsets'],
      [validating, 'ephemeral.downdraft.dev', 'UPDATE /v1 pods/ephemeralcontainers'],
      [validating, 'record.downdraft.dev', 'CREATE /v1 secrets configmaps'],
    ]);
  });

  it('ask again when another webhook has changed the object after us', () => {
    const { webhooks } = configurations.find((c) => c.kind === mutating)!;
    for (const { reinvocationPolicy } of webhooks) expect(reinvocationPolicy).toBe('IfNeeded');
  });

  it('show the early word nothing but records that are about to change something', () => {
    expect(pickWebhook('record.downdraft.dev').objectSelector).toEqual({
      matchLabels: { owner: 'helm' },
      matchExpressions: [{ key: 'status', operator: 'In', values: ['pending-upgrade', 'pending-rollback'] }],
    });
  });

  it('look for the annotation that the code writes', () => {
    const expressions = configurations.flatMap((c) => c.webhooks).flatMap((w) => w.matchConditions ?? []);
    const holding = expressions.filter((e) => e.expression.includes('metadata.annotations'));
    expect(holding).toHaveLength(2);
    for (const { expression } of holding)
      expect(expression).toContain(`'${annotation.hold}' in o.metadata.annotations`);
  });

  it('look for the labels by which the code knows a workload', () => {
    for (const name of ['workloads.downdraft.dev', 'jobs.downdraft.dev', 'ephemeral.downdraft.dev'])
      expect(conditionsOf(name), name).toMatch(new RegExp(`'${label.release}' in (m|object\\.metadata)\\.labels`));
    expect(conditionsOf('jobs.downdraft.dev')).toContain(`!('${label.role}' in object.metadata.labels)`);
  });

  it.each(jobComponents)('see the pods of the Job %s, as the code does', (chart, component) => {
    const labels = { component, release: 'af', ...(chart === 'official' ? { tier: 'airflow' } : { app: 'airflow' }) };
    const ownerReferences = [{ kind: 'Job', name: 'x', uid: 'x' }];
    expect(recognize({ labels, ownerReferences }, { containers: [{ name: 'x' }] })?.job).toBe(true);
    expect(conditionsOf('jobs.downdraft.dev')).toContain(`'${component}'`);
  });

  it.each([
    'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN',
    'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET',
    'AIRFLOW__CORE__SQL_ALCHEMY_CONN_CMD',
    'AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA',
    'DATABASE_HOST',
    'AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE',
    'AIRFLOW__CORE__EXECUTOR',
    'MY_DATABASE_HOST',
  ])('take the variable %s for a part of the connection where the code does', (name) => {
    const expressions = [
      ...conditionsOf('workloads.downdraft.dev').matchAll(/filter\(e, e\.name\.matches\('([^']*)'\)/g),
    ];
    const changed = connectionFingerprint({ name: 'x', env: [{ name }] }) !== connectionFingerprint(undefined);
    expect(expressions).toHaveLength(2);
    for (const [, expression] of expressions) expect(new RegExp(expression!).test(name)).toBe(changed);
  });
});

const mutating = 'MutatingWebhookConfiguration';
const validating = 'ValidatingWebhookConfiguration';

function pickWebhook(name: string): Manifest {
  return configurations.flatMap((c) => c.webhooks).find((w) => w.name === name);
}

function rulesOf({ rules }: Manifest): string[] {
  return rules.map(({ operations, apiGroups, apiVersions, resources, scope }: Manifest) => {
    expect(scope).toBe('Namespaced');
    return [...operations, `${apiGroups}/${apiVersions}`, ...resources].join(' ');
  });
}

function conditionsOf(name: string): string {
  return pickWebhook(name)
    .matchConditions.map((c: Manifest) => c.expression)
    .join('\n');
}

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

describe('the DowngradePolicy definition', () => {
  const spec = () => {
    const { versions } = pick(all, 'CustomResourceDefinition', 'downgradepolicies.downdraft.dev').spec;
    return versions[0].schema.openAPIV3Schema.properties.spec.properties;
  };

  it('has the fields of the code, and none is filled in: what a policy does not say, it has no say in', () => {
    const said: Record<keyof PolicyObject['spec'], true> = {
      mode: true,
      namespaceSelector: true,
      description: true,
      approval: true,
      backup: true,
      onFailure: true,
      runner: true,
    };
    expect(Object.keys(spec()).sort()).toEqual(Object.keys(said).sort());
    const fields = [...Object.keys(defaultRules.backup), ...Object.keys(placeFields)];
    expect(Object.keys(spec().backup.properties).sort()).toEqual(fields.sort());
    for (const [place, inside] of Object.entries(placeFields)) {
      const { properties, required } = spec().backup.properties[place];
      const names = Object.keys(inside);
      expect([Object.keys(properties).sort(), required]).toEqual([names.toSorted(), names.slice(0, 1)]);
    }
    expect(JSON.stringify(spec())).not.toContain('"default"');
  });

  it('tells the defaults of the code', () => {
    const { approval, backup, onFailure } = spec();
    expect(approval.description).toContain(`${defaultRules.approval} (the default)`);
    expect(backup.properties.ways.description).toContain(`[${defaultRules.backup.ways.join(', ')}] when missing`);
    expect(backup.properties.keepHours.description).toContain(`${defaultRules.backup.keepHours} when missing`);
    expect(backup.properties.required.description).toContain('True (the default)');
    expect(onFailure.description).toContain(`${defaultRules.onFailure} (the default)`);
  });
});

describe('kubectl explain', () => {
  /** Every field below, by its path; lists and maps have theirs in what they hold. */
  const fieldsOf = (schema: Manifest, path: string): [string, Manifest][] => [
    [path, schema],
    ...Object.entries<Manifest>(schema.properties ?? {}).flatMap(([name, inside]) =>
      fieldsOf(inside, `${path}.${name}`),
    ),
    ...Object.entries<Manifest>(schema.items?.properties ?? {}).flatMap(([name, inside]) =>
      fieldsOf(inside, `${path}[].${name}`),
    ),
  ];
  const fields = () =>
    ['downgrades', 'downgradepolicies'].flatMap((plural) => {
      const { versions } = pick(all, 'CustomResourceDefinition', `${plural}.downdraft.dev`).spec;
      return versions.flatMap((version: Manifest) => fieldsOf(version.schema.openAPIV3Schema, plural));
    });
  const words: [string, RegExp][] = [
    ['seconds', /Seconds$/],
    ['minutes', /Minutes$/],
    ['hours', /Hours$/],
    ['bytes', /\.bytes$/],
  ];

  it('has a sentence for every field, that is more than its name', () => {
    const poor = fields().filter(([, { description = '' }]) => !/^\S+ \S+ .*\.$/s.test(description.trim()));
    expect(poor.map(([path]) => path)).toEqual([]);
  });

  it('names the unit of every number that has one', () => {
    const silent = words.flatMap(([unit, ending]) =>
      fields().filter(([path, { description }]) => ending.test(path) && !description.toLowerCase().includes(unit)),
    );
    expect(silent.map(([path]) => path)).toEqual([]);
    expect(fields().filter(([path]) => words.some(([, ending]) => ending.test(path))).length).toBeGreaterThan(4);
  });

  it('says of every field that people set what it may be, when it is missing, or an example', () => {
    const helped = /for example|missing|the default|[A-Z]\w+: |True: /i;
    const open = fields().filter(([path, { type }]) => /\.spec\./.test(path) && type !== 'object');
    const bare = open.filter(([, { description }]) => !helped.test(description));
    expect(bare.map(([path]) => path)).toEqual([]);
  });
});

describe('whose word counts', () => {
  const policy = () => pick(all, 'ValidatingAdmissionPolicy', 'downdraft-consent').spec;

  it('is asked of the Downgrades themselves, when they are made or changed: neither of their status nor at their end', () => {
    const { matchConstraints, matchConditions, failurePolicy, paramKind } = policy();
    const { group, version, plural } = downgradeApi;
    const rule = { apiGroups: [group], apiVersions: [version], operations: ['CREATE', 'UPDATE'], resources: [plural] };
    expect(matchConstraints).toEqual({ matchPolicy: 'Equivalent', resourceRules: [{ ...rule, scope: 'Namespaced' }] });
    expect([matchConditions, paramKind, failurePolicy]).toEqual([undefined, undefined, 'Fail']);
  });

  it('is bound everywhere, and refuses', () => {
    const { spec } = pick(all, 'ValidatingAdmissionPolicyBinding', 'downdraft-consent');
    expect(spec).toEqual({ policyName: 'downdraft-consent', validationActions: ['Deny'] });
  });

  it('guards every field of a Downgrade that may change', () => {
    const { versions } = pick(all, 'CustomResourceDefinition', `${downgradeApi.plural}.${downgradeApi.group}`).spec;
    const fields = versions[0].schema.openAPIV3Schema.properties.spec.properties;
    const fixed = (field: string) =>
      (fields[field]['x-kubernetes-validations'] ?? []).some((v: Manifest) => v.rule === 'self == oldSelf');
    const guards = policy()
      .variables.map((v: Manifest) => v.expression)
      .join('\n');
    const changeable = Object.keys(fields).filter((field) => !fixed(field));
    expect(changeable.sort()).toEqual(['abort', 'acceptRows', 'approved', 'approvedUntil', 'backup']);
    for (const field of changeable) expect(guards).toContain(`variables.before.?${field}`);
  });

  it('says what right is missing, also when the sentence for it could not be made', () => {
    for (const { reason, message, messageExpression } of policy().validations) {
      expect(reason).toBe('Forbidden');
      expect(messageExpression).toContain('request.userInfo.username');
      expect(message).toMatch(/needs the (right|verb)/);
    }
  });
});
