/**
 * Our own rights, in one table: manifests/rbac.yaml gives exactly these. Those that a downgrade needs are asked of the API
 * server before anything is held, so that nothing is begun that can't be brought to its end.
 */
import type { Client } from './client/client.ts';
import { everywhere } from './client/paths.ts';
import { keptAnswers } from './kept-answers.ts';

interface Row {
  /** group/resource or group/resource/subresource, the core group's being ''. */
  of: string;
  verbs: string;
  /** Names that it is limited to. */
  names?: string;
  /** Who needs it: functions of src/cluster. */
  who: string;
  /** Needed to bring a downgrade to its end: in the release's namespace, or for a kind that is in none. */
  downgrade?: 'namespace' | 'cluster';
}

/** Everywhere. */
export const clusterRights: readonly Row[] = [
  {
    of: 'apps/deployments',
    verbs: 'get list patch watch',
    who: 'storedWorkload, workloads, patchWorkload, restoreTemplate, watch',
    downgrade: 'namespace',
  },
  {
    of: 'apps/statefulsets',
    verbs: 'get list patch watch',
    who: 'storedWorkload, workloads, patchWorkload, restoreTemplate, watch',
    downgrade: 'namespace',
  },
  {
    of: 'apps/replicasets',
    verbs: 'list',
    who: 'replicaSetOwners, rollouts, ranBefore, templatesBefore',
    downgrade: 'namespace',
  },
  {
    of: 'apps/controllerrevisions',
    verbs: 'list',
    who: 'rollouts, ranBefore, templatesBefore',
    downgrade: 'namespace',
  },
  {
    of: '/pods',
    verbs: 'create delete get list patch watch',
    who: 'createPod, tryPods, deletePod, ungatePod, pod, pods, labelPod, watch',
    downgrade: 'namespace',
  },
  // From Kubernetes 1.35 on a WebSocket needs both.
  {
    of: '/pods/exec',
    verbs: 'create get',
    who: 'runnerFiles, askPod, digestSettings, writeFile, startDetached',
    downgrade: 'namespace',
  },
  { of: '/pods/log', verbs: 'get', who: 'podLog', downgrade: 'namespace' },
  // The connection of Airflow's own pods. Where these are given by namespace or not at all, a pod is asked instead.
  { of: '/secrets', verbs: 'get', who: 'database, sessions, dropCopy' },
  { of: '/configmaps', verbs: 'get', who: 'database, sessions, dropCopy' },
  { of: '/serviceaccounts', verbs: 'get', who: 'pullSecretsOf' },
  { of: '/namespaces', verbs: 'list patch watch', who: 'mirror, namespaceLabels, policyNow, labelNamespace' },
  { of: 'downdraft.dev/downgradepolicies', verbs: 'list watch', who: 'mirror, policies, policyNow' },
  { of: 'downdraft.dev/downgradepolicies/status', verbs: 'patch', who: 'patchPolicyStatus' },
  // Only where a policy wants such a backup; what is missing then is told in the plan (src/cluster/external-backups.ts).
  { of: 'snapshot.storage.k8s.io/volumesnapshots', verbs: 'create get', who: 'createBackup, backupObject' },
  { of: 'postgresql.cnpg.io/backups', verbs: 'create get', who: 'createBackup, backupObject' },
  { of: '/persistentvolumeclaims', verbs: 'get', who: 'obstacles, claimModes' },
  { of: 'postgresql.cnpg.io/clusters', verbs: 'get', who: 'obstacles' },
  { of: 'batch/jobs', verbs: 'delete get', who: 'job, deleteJob', downgrade: 'namespace' },
  { of: 'events.k8s.io/events', verbs: 'create', who: 'event', downgrade: 'namespace' },
  { of: '/events', verbs: 'list', who: 'podWarning' },
  {
    of: 'downdraft.dev/downgrades',
    verbs: 'create get list watch',
    who: 'createDowngrade, run, downgrades, watch',
    downgrade: 'namespace',
  },
  // Of old records only: one that may not be deleted stays.
  { of: 'downdraft.dev/downgrades', verbs: 'delete', who: 'deleteDowngrade' },
  { of: 'downdraft.dev/downgrades/status', verbs: 'patch', who: 'patchDowngradeStatus', downgrade: 'namespace' },
  {
    of: 'admissionregistration.k8s.io/mutatingwebhookconfigurations',
    verbs: 'create delete get',
    who: 'createGate, deleteGate, gateExists',
    downgrade: 'cluster',
  },
  {
    of: 'admissionregistration.k8s.io/mutatingwebhookconfigurations',
    verbs: 'get patch',
    names: 'downdraft',
    who: 'patchCaBundle',
  },
  {
    of: 'admissionregistration.k8s.io/validatingwebhookconfigurations',
    verbs: 'get patch',
    names: 'downdraft',
    who: 'patchCaBundle',
  },
  { of: 'authorization.k8s.io/selfsubjectaccessreviews', verbs: 'create', who: 'mayI' },
  { of: 'authentication.k8s.io/selfsubjectreviews', verbs: 'create', who: 'ownAccount' },
];

/** In our own namespace. */
export const ownRights: readonly Row[] = [
  { of: 'coordination.k8s.io/leases', verbs: 'create', who: 'elect' },
  { of: 'coordination.k8s.io/leases', verbs: 'get update', names: 'downdraft', who: 'elect' },
  { of: '/secrets', verbs: 'create', who: 'keepCertificates' },
  { of: '/secrets', verbs: 'get update', names: 'downdraft-certs', who: 'keepCertificates' },
  { of: '/configmaps', verbs: 'create', who: 'learnImage' },
  {
    of: '/configmaps',
    verbs: 'get list patch watch',
    names: 'downdraft-images',
    who: 'learnedImages, learnImage, forgetImage, mirror',
  },
];

/** What a downgrade of a release in this namespace needs. Watches are the mirror's, which says itself when it has none. */
export function neededIn(namespace: string): Right[] {
  return clusterRights.flatMap(({ of, verbs, downgrade }) => {
    if (!downgrade) return [];
    const [group = '', resource = '', subresource] = of.split('/');
    const place = { ...(subresource ? { subresource } : {}), ...(downgrade === 'namespace' ? { namespace } : {}) };
    const asked = verbs.split(' ').filter((verb) => verb !== 'watch');
    return asked.map((verb) => ({ verb, group, resource, ...place }));
  });
}

/** Tells which of them are missing in a namespace, in words as "create pods/exec". Throws when the API server can't be asked. */
export function rightsOf(client: Client): (namespace: string) => Promise<string[]> {
  const kept = keptAnswers<string[]>();
  return (namespace) =>
    kept(namespace, async () => (await mayI(client, neededIn(namespace))).map((right) => inWords(right)));
}

function inWords({ verb, group, resource, subresource }: Right): string {
  return `${verb} ${resource}${subresource ? `/${subresource}` : ''}${group ? `.${group}` : ''}`;
}

export interface Right {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  /** Missing: in the whole cluster. */
  namespace?: string;
}

/** Of these rights, the ones we don't have. Throws ApiError when it can't be told. */
export async function mayI(client: Client, rights: Right[]): Promise<Right[]> {
  const answers = await Promise.all(rights.map((right) => allowed(client, right)));
  return rights.filter((_, at) => !answers[at]);
}

/** The name under which the API server knows us. Throws ApiError when it can't be told. */
export async function whoAmI(client: Client): Promise<string> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const { status } = await client.request<{ status?: { userInfo?: { username?: string } } }>(
    'POST',
    everywhere.selfReviews,
    { body },
  );
  return status?.userInfo?.username ?? '';
}

async function allowed(client: Client, resourceAttributes: Right): Promise<boolean> {
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } };
  const { status } = await client.request<{ status?: { allowed?: boolean } }>('POST', everywhere.accessReviews, {
    body,
  });
  return status?.allowed === true;
}
