/** The rights in manifests/rbac.yaml are exactly the calls that are made. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import { clusterRights, rightsOf as missingRightsOf, neededIn, ownRights } from '../../src/cluster/rights.ts';
import type { Views } from '../../src/wiring/admission.ts';
import { controllerReads, controllerWrites } from '../../src/wiring/controller.ts';
import { type Manifest, pick, renderManifests } from './render.ts';

let all: Manifest[];

beforeAll(async () => {
  all = await renderManifests();
});

describe('S0-22, S1-24: rights', () => {
  it.each([
    ['ClusterRole', clusterRights],
    ['Role', ownRights],
  ] as const)('of the %s', (kind, table) => {
    const wanted = table.map(({ of, verbs, names = '' }) => `${of} ${verbs} ${names}`.trim());
    expect(rightsOf(pick(all, kind)).sort()).toEqual(wanted.sort());
  });

  it('have a row for every write there is, and for every look at the cluster', () => {
    const named = new Set([...clusterRights, ...ownRights].flatMap(({ who }) => who.split(', ')));
    const client = {} as Client;
    const gateReach = () => ({ url: 'https://x' });
    const writes = controllerWrites({ client, namespace: 'downdraft', gateReach, instance: 'x' });
    const views = { client, mirror: {}, registry: {} } as unknown as Views;
    const reads = controllerReads(views, 'downdraft');
    // From the mirror, from a registry, and from the table itself.
    const elsewhere = ['policy', 'registry', 'digest', 'missingRights'];
    const ports = [...Object.keys(writes), ...Object.keys(reads)].filter((name) => !elsewhere.includes(name));
    expect(ports.filter((name) => !named.has(name))).toEqual([]);
  });

  it('that a downgrade needs are asked for: all of its writes, and no right that is not given', () => {
    const asked = new Set(
      neededIn('air').map(
        ({ group, resource, subresource, verb }) =>
          `${group}/${resource}${subresource ? `/${subresource}` : ''} ${verb}`,
      ),
    );
    expect(asked).toEqual(
      new Set(
        [...asked].filter((right) =>
          rightsOf(pick(all, 'ClusterRole')).some((given) => {
            const [of, ...verbs] = given.split(' ');
            return right.startsWith(`${of} `) && verbs.includes(right.split(' ')[1]!);
          }),
        ),
      ),
    );
    for (const right of [
      'admissionregistration.k8s.io/mutatingwebhookconfigurations create',
      'admissionregistration.k8s.io/mutatingwebhookconfigurations get',
      'admissionregistration.k8s.io/mutatingwebhookconfigurations delete',
      '/pods/exec create',
      '/pods/exec get',
      'events.k8s.io/events create',
      'downdraft.dev/downgrades/status patch',
    ])
      expect(asked).toContain(right);
    // Where they are narrowed a pod is asked for its database; an old record that can't be deleted stays.
    for (const right of ['/secrets get', '/configmaps get', 'downdraft.dev/downgrades delete'])
      expect(asked).not.toContain(right);
    const cluster = neededIn('air').filter(({ namespace }) => namespace === undefined);
    expect(new Set(cluster.map(({ resource }) => resource))).toEqual(new Set(['mutatingwebhookconfigurations']));
  });

  it('are asked for once in a while for a namespace, and what was told of others makes room again', async () => {
    let asked = 0;
    const request = async () => ({ status: { allowed: ++asked % 2 === 0 } });
    const missing = missingRightsOf({ request } as unknown as Client);
    const each = neededIn('air').length;
    expect(await missing('air')).toHaveLength(Math.ceil(each / 2));
    expect(await missing('air')).toContain('get deployments.apps');
    expect(asked).toBe(each);
    for (let at = 0; at < 600; at++) await missing(`other-${at}`);
    expect(asked).toBe(601 * each);
    await missing('other-599');
    expect(asked).toBe(601 * each);
    await missing('air');
    expect(asked).toBe(602 * each);
  });

  it('are bound to our own service account alone', () => {
    for (const kind of ['ClusterRoleBinding', 'RoleBinding'])
      expect(pick(all, kind).subjects).toEqual([{ kind: 'ServiceAccount', name: 'downdraft', namespace: 'downdraft' }]);
    expect(pick(all, 'Deployment').spec.template.spec.serviceAccountName).toBe('downdraft');
  });
});

describe('the role of those who approve', () => {
  const approver = () => pick(all, 'ClusterRole', 'downdraft-approver');

  it('holds both verbs, and no more than approving and aborting take', () => {
    expect(rightsOf(approver())).toEqual(['downdraft.dev/downgrades abort approve get list patch update watch']);
  });

  it('is given to nobody, and is part of no other role', () => {
    const bound = all.filter((m) => m.roleRef?.name === approver().metadata.name);
    expect(bound).toEqual([]);
    const labels = Object.keys(approver().metadata.labels);
    expect(labels.filter((label) => label.includes('aggregate'))).toEqual([]);
  });

  it('is not ours: no account of downdraft may approve or abort', () => {
    for (const role of all.filter((m) => m.rules && m.metadata.name === 'downdraft'))
      for (const { verbs } of role.rules)
        for (const verb of ['approve', 'abort', '*']) expect(verbs).not.toContain(verb);
  });
});

function rightsOf({ rules }: Manifest): string[] {
  return rules.flatMap((rule: Manifest) =>
    rule.apiGroups.flatMap((group: string) =>
      rule.resources.map((resource: string) =>
        `${group}/${resource} ${[...rule.verbs].sort().join(' ')} ${(rule.resourceNames ?? []).join(' ')}`.trim(),
      ),
    ),
  );
}
