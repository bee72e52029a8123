/**
 * The world that is loaded: 1,000 releases of 6 workloads, each with a database at 3.2.1, answered from memory.
 * Everything that a review of them needs of the cluster comes from `benchPorts`.
 */
import type { Ports } from '../../src/admission/ports.ts';
import type { WorkloadObject } from '../../src/release/objects.ts';
import { makeDatabase, makeImage } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

export const releaseCount = 1000;

/** Image that runs before the reviewed change. */
export const currentImage = 'apache/airflow:3.2.0';

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

/**
 * Ports on that world. `database` answers in place of memory, when it is given. Only what the judging reads is kept of a
 * workload.
 */
export function benchPorts(database?: Ports['database']): Ports {
  const stored = new Map<string, WorkloadObject>();
  for (let at = 0; at < releaseCount; at++)
    for (const component of Object.keys(components) as (keyof typeof components)[]) {
      const workload = slim(storedWorkload(at, component));
      stored.set(keyOf(workload.kind ?? '', workload.metadata.namespace ?? '', workload.metadata.name), workload);
    }
  const learned = Object.fromEntries((['3.2.1', '3.1.8'] as const).map((v) => [`apache/airflow:${v}`, makeImage(v)]));
  return {
    storedWorkload: async (kind, namespace, name) => stored.get(keyOf(kind, namespace, name)),
    releaseWorkloads: async () => [],
    database: database ?? (async () => makeDatabase()),
    run: async () => undefined,
    learnedImages: async () => learned,
    registry: async () => undefined,
    policy: async () => ({ mode: 'Hold', by: [] }),
    missingRights: async () => [],
    notReady: () => undefined,
    now: () => new Date(),
    settings: { repositories: ['apache/airflow'], budgetMs: 3000 },
  };
}

function keyOf(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

function slim({ kind, metadata, spec }: WorkloadObject): WorkloadObject {
  const { name, namespace, labels } = metadata;
  const { containers } = spec.template.spec;
  return {
    kind,
    metadata: { name, namespace, labels },
    spec: { template: { spec: { containers: containers.slice(0, 1) } } },
  } as WorkloadObject;
}
