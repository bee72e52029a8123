/**
 * The world that is loaded: 1,000 releases of 6 workloads, each with a database at 3.2.1, answered from memory.
 * Everything that a review of them needs of the cluster comes from `benchPorts`.
 */
import type { Ports } from '../../src/admission/ports.ts';
import { makeShelf } from '../../src/cluster/mirror/workload-store.ts';
import { activeRun, lastReturned } from '../../src/release/kubernetes/downgrade.ts';
import { digestOf } from '../../src/release/kubernetes/pods.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { modeFor } from '../../src/release/policy/policy.ts';
import { readOnce } from '../../src/wiring/read-once.ts';
import { makePolicy } from '../make/policy.ts';
import { makeDatabase, makeImage } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

export const releaseCount = 1000;

/** Image that runs before the reviewed change. */
const currentImage = 'apache/airflow:3.2.0';

/** Images that the reviewed change asks for: one fits the database, one is too old for it. */
export const desiredImage = { allow: 'apache/airflow:3.2.1', hold: 'apache/airflow:3.1.8' } as const;

export const components = {
  'api-server': 'Deployment',
  scheduler: 'Deployment',
  'dag-processor': 'Deployment',
  webserver: 'Deployment',
  worker: 'StatefulSet',
  triggerer: 'StatefulSet',
} as const;

/** Where release number `at` is, and what it is called. */
export function placeOf(at: number): { namespace: string; release: string } {
  const number = String(at).padStart(4, '0');
  return { namespace: `team-${number}`, release: `airflow-${number}` };
}

/** A workload of release number `at`, as the API server has it stored. */
export function storedWorkload(at: number, component: keyof typeof components): WorkloadObject {
  const shape = {
    ...placeOf(at),
    component,
    image: currentImage,
    uid: `5f0c7a0e-3f7e-4f0a-9d53-${String(at).padStart(12, '0')}`,
  };
  return components[component] === 'Deployment' ? makeDeployment(shape) : makeStatefulSet(shape);
}

/** Ports on that world: the workloads stand on the product's own shelf. `database` answers in place of memory, when given. */
export function benchPorts(database?: Ports['database']): Ports {
  const shelf = makeShelf();
  for (let at = 0; at < releaseCount; at++)
    for (const component of Object.keys(components) as (keyof typeof components)[])
      shelf.put(storedWorkload(at, component), 'ADDED', 'tier=airflow');
  const learned = (['3.2.1', '3.1.8'] as const).map((v) => makeImage(v));
  const policies = [
    makePolicy({ name: 'production', mode: 'Deny', selector: { matchLabels: { stage: 'production' } } }),
  ];
  return {
    storedWorkload: (kind, namespace, name) => shelf.get(kind, namespace, name),
    releaseWorkloads: (namespace, release) => shelf.of(namespace, release),
    database: database ?? (async () => makeDatabase()),
    run: (_, release) => activeRun([], release),
    returned: (_, release) => lastReturned([], release),
    learnedImages: () => learned,
    registry: async () => undefined,
    digest: async (image) => ({ digest: digestOf(learned.find((one) => one.image === image)?.imageID) ?? '' }),
    ranBefore: async () => [],
    policy: () => modeFor(policies, { stage: 'test' }, readOnce),
    missingRights: async () => [],
    ownAccount: async () => 'system:serviceaccount:downdraft:downdraft',
    notReady: () => undefined,
    now: () => new Date(),
    settings: { repositories: ['apache/airflow'], budgetMs: 3000, callersKnown: false },
  };
}
