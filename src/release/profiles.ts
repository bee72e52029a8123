/**
 * Charts as data: how each one labels its workloads, names its containers and dresses its Jobs.
 *
 * The official chart's names hold from 1.11 to 1.22 and for Astronomer's fork. A component that is not listed does not
 * use the database. Other charts, and annotated plain manifests, are not built yet.
 */
import type { Metadata, PodSpec } from './objects.ts';

export const annotation = {
  hold: 'downdraft.dev/hold',
  version: 'downdraft.dev/airflow-version',
} as const;

export const label = {
  /** On the runner and the probe, so that the gate does not catch them. */
  role: 'downdraft.dev/role',
  /** On every gated pod, so that they can be watched. */
  gated: 'downdraft.dev/gated',
} as const;

/** Our scheduling gate's name. */
export const gateName = 'downdraft.dev/hold';

interface Component {
  /** Names of the main container, in order of preference. */
  containers: string[];
  /** Wave of the drain: a wave begins when the one before is gone. The API goes last, since tasks report to it. */
  wave: number;
}

const components: Record<string, Component> = {
  scheduler: { containers: ['scheduler'], wave: 0 },
  worker: { containers: ['worker', 'base'], wave: 1 },
  triggerer: { containers: ['triggerer'], wave: 1 },
  'dag-processor': { containers: ['dag-processor'], wave: 1 },
  'api-server': { containers: ['api-server'], wave: 2 },
  webserver: { containers: ['webserver'], wave: 2 },
  'airflow-cleanup-pods': { containers: ['airflow-cleanup-pods'], wave: 0 },
  'database-cleanup': { containers: ['database-cleanup'], wave: 0 },
};

/** Jobs whose pods are gated at CREATE while the database does not fit their image: component → main container. */
const jobs: Record<string, string> = {
  'run-airflow-migrations': 'run-airflow-migrations',
  'create-user-job': 'create-user',
};

/** Init containers that only wait for the schema; a runner or probe must not wait for itself. */
export const waitContainers = ['wait-for-airflow-migrations', 'wait-for-db-migrations', 'check-db'];

export interface Recognized {
  profile: 'official';
  release: string;
  component: string;
  /** Name of the main container. */
  container: string;
  wave: number;
  job: boolean;
}

/**
 * Says which release and component an object belongs to, or undefined when it is not ours to judge:
 * another application, or a component without the database (flower, statsd, redis, pgbouncer).
 * Takes the labels and annotations of the object and the pod spec that it makes.
 */
export function recognize(metadata: Partial<Metadata>, spec: PodSpec | undefined): Recognized | undefined {
  const names = (spec?.containers ?? []).map((c) => c.name);
  const { tier, release, component = '' } = metadata.labels ?? {};
  if (tier !== 'airflow' || !release) return undefined;
  const official = { profile: 'official', release, component } as const;
  const job = Object.hasOwn(jobs, component) ? jobs[component] : undefined;
  if (job) return { ...official, container: names.includes(job) ? job : (names[0] ?? job), wave: 1, job: true };
  const known = Object.hasOwn(components, component) ? components[component] : undefined;
  if (!known) return undefined;
  const container = known.containers.find((c) => names.includes(c)) ?? names[0];
  return container ? { ...official, container, wave: known.wave, job: false } : undefined;
}

/** The wave in which pods of this component are drained. */
export function waveOf(component: string): number {
  return (Object.hasOwn(components, component) ? components[component]?.wave : undefined) ?? 1;
}
