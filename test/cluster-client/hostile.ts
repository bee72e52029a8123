/** Namespaces whose rules refuse pods that are not as the rules want them, and what a trial says in each. */
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeDeployment } from '../make/workload.ts';

export interface HostileNamespace {
  name: string;
  /** Of the namespace itself. */
  labels?: Record<string, string>;
  /** Made in it; a quota's status is written by hand, since its controller may take long. */
  objects?: Record<string, unknown>[];
  /** What each of the release's workloads looks like. */
  workload: WorkloadObject;
  /** What the API server says of a new pod; undefined: it takes it. */
  refused?: RegExp;
  /** The refusal is one that the drain itself ends. */
  noRoom?: boolean;
}

const amounts = (cpu: string, memory: string) => ({ cpu, memory });
const limitRange = (range: Record<string, unknown>) => ({
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'range' },
  spec: { limits: [{ type: 'Container', ...range }] },
});
const quota = (hard: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'quota' },
  spec: { hard },
});

/** With what is merged into each of its containers, and into its pods. */
function workload(container: Record<string, unknown> = {}, pod: Record<string, unknown> = {}): WorkloadObject {
  const object = makeDeployment({ component: 'worker' });
  const { spec } = object.spec.template;
  delete spec.serviceAccountName;
  for (const one of [...spec.containers, ...(spec.initContainers ?? [])]) Object.assign(one, container);
  Object.assign(spec, pod);
  return object;
}

const modest = { resources: { requests: amounts('20m', '32Mi'), limits: amounts('50m', '64Mi') } };
const strict = workload(
  { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
  { securityContext: { runAsNonRoot: true, runAsUser: 50000, seccompProfile: { type: 'RuntimeDefault' } } },
);
const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };

/** Images from one registry alone, in the namespaces with the label `images: corp`. */
export const allowList = [
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'images-only-from-corp' },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        namespaceSelector: { matchLabels: { images: 'corp' } },
        resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
      },
      validations: [
        {
          expression: "object.spec.containers.all(c, c.image.startsWith('registry.corp/'))",
          message: 'images only from registry.corp',
        },
      ],
    },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'images-only-from-corp' },
    spec: { policyName: 'images-only-from-corp', validationActions: ['Deny'] },
  },
];

export const hostileNamespaces: HostileNamespace[] = [
  { name: 'limit-min', objects: [limitRange({ min: amounts('10m', '16Mi') })], workload: workload(modest) },
  {
    name: 'limit-min-unmet',
    objects: [limitRange({ min: amounts('100m', '1Gi') })],
    workload: workload(modest),
    refused: /minimum memory usage per Container is 1Gi/,
  },
  { name: 'limit-max', objects: [limitRange({ max: amounts('100m', '128Mi') })], workload: workload(modest) },
  {
    name: 'limit-max-unmet',
    objects: [limitRange({ max: amounts('10m', '8Mi') })],
    workload: workload(modest),
    refused: /maximum memory usage per Container is 8Mi/,
  },
  {
    name: 'quota-none',
    objects: [quota({ pods: '0' })],
    workload: workload(),
    refused: /exceeded quota: quota, requested: pods=1, used: pods=0, limited: pods=0/,
    noRoom: true,
  },
  { name: 'quota-one', objects: [quota({ pods: '1' })], workload: workload() },
  {
    name: 'quota-unset',
    objects: [quota({ 'limits.memory': '1Gi' })],
    workload: workload(),
    refused: /failed quota: quota: must specify limits.memory/,
  },
  { name: 'strict-met', labels: restricted, workload: strict },
  { name: 'strict-unmet', labels: restricted, workload: workload(), refused: /violates PodSecurity "restricted/ },
  { name: 'images-met', labels: { images: 'corp' }, workload: workload({ image: 'registry.corp/airflow:3.2.1' }) },
  {
    name: 'images-unmet',
    labels: { images: 'corp' },
    workload: workload(),
    refused: /images only from registry\.corp/,
  },
  {
    name: 'no-account',
    workload: workload({}, { serviceAccountName: 'nobody' }),
    refused: /serviceaccount "nobody" not found/,
  },
];
