/**
 * Charts as data: how each one labels its workloads, names its containers and dresses its Jobs.
 *
 *   official   apache/airflow's chart, 1.11 to 1.22, and Astronomer's fork of it: labels tier, release, component
 *   community  airflow-helm/charts, 8.x: labels app, release, component; its db-migrations Deployment migrates up for ever
 *   labelled   anything else that carries the label downdraft.dev/release, on the workload and on its pods
 *
 * A component that a chart's table does not list does not use the database.
 */
import { annotation, type ContainerSpec, label, type Metadata, type PodSpec } from '../model/kubernetes.ts';
import type { ProfileName } from '../model/workload.ts';

/** What the gate of a drain says of each pod that it catches, also of one that another rule refuses after it. */
export function gateWarning(release: string): string {
  return `downdraft holds the pods of release ${release} while its database is downgraded`;
}

interface Component {
  /** Names of the main container, in order of preference. */
  containers: string[];
  /** Wave of the drain: a wave begins when the one before is gone. The API goes last, since tasks report to it. */
  wave: number;
  /** Its pods are gated at CREATE while the release is held and the database does not fit their image. */
  job?: 'always' | 'whenOwnedByJob';
}

const official: Record<string, Component> = {
  scheduler: { containers: ['scheduler'], wave: 0 },
  worker: { containers: ['worker', 'base'], wave: 1 },
  triggerer: { containers: ['triggerer'], wave: 1 },
  'dag-processor': { containers: ['dag-processor'], wave: 1 },
  'api-server': { containers: ['api-server'], wave: 2 },
  webserver: { containers: ['webserver'], wave: 2 },
  'airflow-cleanup-pods': { containers: ['airflow-cleanup-pods'], wave: 0, job: 'whenOwnedByJob' },
  'database-cleanup': { containers: ['database-cleanup'], wave: 0, job: 'whenOwnedByJob' },
  'run-airflow-migrations': { containers: ['run-airflow-migrations'], wave: 1, job: 'always' },
  'create-user-job': { containers: ['create-user'], wave: 1, job: 'always' },
};

/** db-migrations is a Deployment by default: it must end before anything else, or it would migrate up again. */
const community: Record<string, Component> = {
  'db-migrations': { containers: ['db-migrations'], wave: 0, job: 'whenOwnedByJob' },
  scheduler: { containers: ['airflow-scheduler'], wave: 0 },
  worker: { containers: ['airflow-worker', 'base'], wave: 1 },
  triggerer: { containers: ['airflow-triggerer'], wave: 1 },
  'sync-users': { containers: ['sync-users'], wave: 0 },
  'sync-connections': { containers: ['sync-connections'], wave: 0 },
  'sync-pools': { containers: ['sync-pools'], wave: 0 },
  'sync-variables': { containers: ['sync-variables'], wave: 0 },
  web: { containers: ['airflow-web'], wave: 2 },
};

/** Main containers of all charts: a pod with two of them has two processes on the database. */
export const mainContainers: ReadonlySet<string> = new Set(
  [official, community].flatMap((chart) => Object.values(chart)).flatMap((c) => c.containers),
);

/** Init containers that only wait for the schema; a runner or probe must not wait for itself. */
export const waitContainers = ['wait-for-airflow-migrations', 'wait-for-db-migrations', 'check-db'];

export interface Recognized {
  profile: ProfileName;
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
  if (names.length === 0) return undefined;
  const { tier, app, release, component = '' } = metadata.labels ?? {};
  const own = metadata.labels?.[label.release];
  if (own) return labelled(own, metadata, names);
  if (!release) return undefined;
  const seen = { release, component, names, metadata };
  // Both labels may be there: what the one chart does not know the other may.
  const charted = tier === 'airflow' ? listed('official', official, seen) : undefined;
  return charted ?? (app === 'airflow' ? listed('community', community, seen) : undefined);
}

/** Whether an object's own labels are among those by which workloads are watched. */
export function isWatched(labels: Readonly<Record<string, string>> | undefined): boolean {
  return labels?.tier === 'airflow' || labels?.app === 'airflow' || labels?.[label.release] !== undefined;
}

interface Seen {
  release: string;
  component: string;
  names: string[];
  metadata: Partial<Metadata>;
}

function listed(
  profile: ProfileName,
  components: Record<string, Component>,
  { release, component, names, metadata }: Seen,
): Recognized | undefined {
  const known = Object.hasOwn(components, component) ? components[component] : undefined;
  if (!known) return undefined;
  const container = known.containers.find((c) => names.includes(c)) ?? names[0]!;
  const job = known.job === 'always' || (known.job === 'whenOwnedByJob' && isOwnedByJob(metadata));
  return { profile, release, component, container, wave: known.wave, job };
}

/** Whoever sets the label says that the workload uses the database. */
function labelled(release: string, metadata: Partial<Metadata>, names: string[]): Recognized {
  const labels = metadata.labels ?? {};
  const component = labels.component ?? labels['app.kubernetes.io/component'] ?? '';
  const named = metadata.annotations?.[annotation.container];
  const container = names.find((n) => n === named) ?? names.find((n) => mainContainers.has(n)) ?? names[0]!;
  return { profile: 'labelled', release, component, container, wave: waveOf(component), job: isOwnedByJob(metadata) };
}

function isOwnedByJob({ ownerReferences = [] }: Partial<Metadata>): boolean {
  return ownerReferences.some((o) => o.kind === 'Job');
}

/** The wave in which pods of this component are drained. */
export function waveOf(component: string): number {
  const known = [official, community].find((components) => Object.hasOwn(components, component));
  return known?.[component]?.wave ?? 1;
}

/** Labels by which all pods of a release are selected, and by which NetworkPolicies know them. */
export function selectorOf(profile: ProfileName, release: string): Record<string, string> {
  if (profile === 'labelled') return { [label.release]: release };
  return profile === 'community' ? { app: 'airflow', release } : { tier: 'airflow', release };
}

/** The containers that open the database: the main one first, then further main ones, then those that wait for it. */
export function databaseContainers(spec: PodSpec, container: string): ContainerSpec[] {
  const [main, others]: [ContainerSpec[], ContainerSpec[]] = [[], []];
  for (const one of spec.containers ?? [])
    if (one.name === container) main.push(one);
    else if (mainContainers.has(one.name)) others.push(one);
  const waiting = (spec.initContainers ?? []).filter((c) => waitContainers.includes(c.name));
  return main.concat(others, waiting);
}
