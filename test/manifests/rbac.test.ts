/** The rights in manifests/rbac.yaml are exactly the calls that are made. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Manifest, pick, renderManifests } from './render.ts';

/** Group/resource, verbs, and who needs them: a function of src/cluster that main passes on. */
const everywhere: [resource: string, verbs: string, names: string, who: string][] = [
  ['apps/deployments', 'get list patch watch', '', 'storedWorkload; workloads; patchWorkload; watch'],
  ['apps/statefulsets', 'get list patch watch', '', 'storedWorkload; workloads; patchWorkload; watch'],
  ['apps/replicasets', 'list', '', 'replicaSetOwners; templatesBefore'],
  ['apps/controllerrevisions', 'list', '', 'templatesBefore'],
  [
    '/pods',
    'create delete get list patch watch',
    '',
    'createPod, gateInForce; deletePod; ungatePod; pods; labelPod; watch',
  ],
  ['/pods/exec', 'create get', '', 'readFile, writeFile, startDetached'],
  ['/pods/log', 'get', '', 'podLog'],
  ['/secrets', 'get', '', "database, sessions: the connection of Airflow's own pods"],
  ['/configmaps', 'get', '', 'database, sessions: the same, where it comes from a ConfigMap'],
  ['/serviceaccounts', 'get', '', 'pullSecretsOf'],
  ['/namespaces', 'list patch watch', '', 'mirror; policyNow; labelNamespace'],
  ['downdraft.dev/downgradepolicies', 'list watch', '', 'mirror; policyNow'],
  ['downdraft.dev/downgradepolicies/status', 'patch', '', 'patchPolicyStatus'],
  ['snapshot.storage.k8s.io/volumesnapshots', 'create get', '', 'createBackup; backupObject'],
  ['postgresql.cnpg.io/backups', 'create get', '', 'createBackup; backupObject'],
  ['/persistentvolumeclaims', 'get', '', 'obstacles; claimModes'],
  ['postgresql.cnpg.io/clusters', 'get', '', 'obstacles'],
  ['batch/jobs', 'delete get', '', 'deleteJob; job'],
  ['events.k8s.io/events', 'create', '', 'event'],
  ['/events', 'list', '', 'podWarning'],
  [
    'downdraft.dev/downgrades',
    'create delete get list watch',
    '',
    'createDowngrade; deleteDowngrade; run; downgrades; watch',
  ],
  ['downdraft.dev/downgrades/status', 'patch', '', 'patchDowngradeStatus'],
  [
    'admissionregistration.k8s.io/mutatingwebhookconfigurations',
    'create delete get',
    '',
    'createGate; deleteGate; gateExists',
  ],
  ['admissionregistration.k8s.io/mutatingwebhookconfigurations', 'get patch', 'downdraft', 'patchCaBundle'],
  ['admissionregistration.k8s.io/validatingwebhookconfigurations', 'get patch', 'downdraft', 'patchCaBundle'],
  ['authorization.k8s.io/selfsubjectaccessreviews', 'create', '', 'mayI'],
  ['authentication.k8s.io/selfsubjectreviews', 'create', '', 'ownAccount'],
];

const ownNamespace: typeof everywhere = [
  ['coordination.k8s.io/leases', 'create', '', 'elect'],
  ['coordination.k8s.io/leases', 'get update', 'downdraft', 'elect'],
  ['/secrets', 'create', '', 'keepCertificates'],
  ['/secrets', 'get update', 'downdraft-certs', 'keepCertificates'],
  ['/configmaps', 'create', '', 'learnImage'],
  ['/configmaps', 'get list patch watch', 'downdraft-images', 'learnedImages; learnImage; mirror'],
];

let all: Manifest[];

beforeAll(async () => {
  all = await renderManifests();
});

describe('rights', () => {
  it.each([
    ['ClusterRole', everywhere],
    ['Role', ownNamespace],
  ])('of the %s', (kind, table) => {
    const wanted = table.map(([resource, verbs, names]) => `${resource} ${verbs} ${names}`.trim());
    expect(rightsOf(pick(all, kind)).sort()).toEqual(wanted.sort());
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
