/**
 * A migration that runs is never ended: PostgreSQL would roll it back, on MySQL and MariaDB half a script would stay. Only
 * what is done and then over counts: a Job's or a bare pod's container, init containers of any pod, and what an image's
 * entry point does before the container serves.
 */
import { coreTable } from '../airflow/revisions.ts';
import { type ContainerSpec, type ContainerStatus, nameOf, type PodObject } from '../model/kubernetes.ts';
import type { Release } from '../model/release.ts';
import type { Pod } from '../model/workload.ts';

/** After so long a person is asked: an index on a large table takes hours, a Job that hangs takes for ever. */
const patienceMinutes = 15;

/** Why the drain waits for migrations; undefined when none runs. */
export function migrationIn(
  release: Release,
): { reason: 'MigrationRunning' | 'LongMigration'; message: string } | undefined {
  const { pods, now } = release;
  const running = pods.flatMap((pod) => {
    const container = migratingContainer(pod, isMigrated(release, pod));
    return container === undefined ? [] : [{ pod, container }];
  });
  if (running.length === 0) return undefined;
  const who = running.map(({ pod, container }) => `${podOfOwner(pod)} (container ${container})`).join(', ');
  const long = running.some(({ pod, container }) => minutesOf(pod, container, now) > patienceMinutes);
  const since = long ? `, and has for more than ${patienceMinutes} minutes` : '';
  return {
    reason: long ? 'LongMigration' : 'MigrationRunning',
    message: `${who} is migrating the database up${since}; it is never ended by the drain: wait for it, or delete it yourself`,
  };
}

/**
 * Whether the database is where the pod's image needs it: an entry point migrates nothing then, whether or not its pod ever
 * gets Ready. That it does not may be why somebody goes back.
 */
function isMigrated({ database, images }: Release, { image }: Pod): boolean {
  const known = images[image];
  if (database.state !== 'read' || known === undefined || known.source === 'unknown') return false;
  const [head, ...others] = database.versionTables[coreTable] ?? [];
  return head !== undefined && others.length === 0 && head === known.coreHead;
}

/** The container that migrates right now; undefined when none does. `migrated`: an entry point has nothing to do. */
export function migratingContainer(
  { role, gated, ended, terminating, owner, component, object }: Pod,
  migrated = false,
): string | undefined {
  const byEntryPoint = (container: ContainerSpec) => !migrated && entryPointActs(container);
  if (role !== 'airflow' || gated || ended || terminating) return undefined;
  const { spec, status } = object;
  const first = (spec.initContainers ?? []).find(
    (c) => (migrates(c) || byEntryPoint(c)) && isRunning(c, status?.initContainerStatuses, false),
  );
  if (first) return first.name;
  const starting = spec.containers.find((c) => byEntryPoint(c) && isStarting(c, object));
  if (starting) return starting.name;
  // A Deployment that migrates in its own command, before it serves or for ever (the community chart's), is Airflow itself.
  if (owner && owner.kind !== 'Job') return undefined;
  const isMigration = component.endsWith('-migrations');
  const up = status?.phase === 'Running';
  // No probe tells of a Job's pod when it is past its entry point.
  const does = (c: ContainerSpec) => isMigration || migrates(c) || (owner !== undefined && byEntryPoint(c));
  return spec.containers.find((c) => does(c) && isRunning(c, status?.containerStatuses, up))?.name;
}

/** Whether a pod that does not run yet would take the database to where its image is: a Job's, or one that nothing owns. */
export function wouldMigrate({ role, owner, component, object: { spec } }: Pod): boolean {
  if (role !== 'airflow' || (owner && owner.kind !== 'Job')) return false;
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  return component.endsWith('-migrations') || all.some((c) => migrates(c) || entryPointActs(c));
}

/** What tells it to, by the names of 2.7 on and of before. */
export const entryPointMigrates: readonly string[] = ['_AIRFLOW_DB_MIGRATE', '_AIRFLOW_DB_UPGRADE'];

const migration = /\bairflow[\s\\]+(db[\s\\]+(migrate|upgrade|init)|upgradedb|initdb)\b/;

function migrates({ command, args }: ContainerSpec): boolean {
  const words = [command, args].flat().filter((word) => typeof word === 'string');
  return migration.test(words.join(' '));
}

/** Whether Airflow's own entry point migrates first. It does so for any value; one that is not in the pod may be any. */
function entryPointActs({ command, env = [] }: ContainerSpec): boolean {
  const words = Array.isArray(command) ? command.map(String) : [];
  if (words.length > 0 && !words.some((word) => word.includes('entrypoint'))) return false;
  return env.some(({ name, value, valueFrom }) => entryPointMigrates.includes(name) && (value || valueFrom));
}

/** Between its start and the moment when it is Ready: an entry point hands over to Airflow, and who serves is past it. */
function isStarting({ name }: ContainerSpec, { status }: PodObject): boolean {
  const own = status?.containerStatuses?.find((s) => s.name === name);
  const isReady = own?.ready ?? status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
  return !isReady && (own ? own.state?.running !== undefined : status?.phase === 'Running');
}

/** Where kubelet has said nothing of a container, the pod's phase counts. */
function isRunning({ name }: ContainerSpec, statuses: ContainerStatus[] | undefined, phase: boolean): boolean {
  const status = statuses?.find((s) => s.name === name);
  return status ? status.state?.running !== undefined : phase;
}

function minutesOf({ object }: Pod, container: string, now: Date): number {
  const { initContainerStatuses = [], containerStatuses = [] } = object.status ?? {};
  const status = [...initContainerStatuses, ...containerStatuses].find((s) => s.name === container);
  const since = Date.parse(status?.state?.running?.startedAt ?? object.metadata.creationTimestamp ?? '');
  return Number.isNaN(since) ? 0 : (now.getTime() - since) / 60_000;
}

/** A pod, and what it is of. */
export function podOfOwner({ name, owner }: Pod): string {
  return owner ? `pod/${name} of ${nameOf(owner)}` : `pod/${name}`;
}
