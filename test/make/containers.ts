/**
 * What runs in the containers of a world in memory: Airflow of some version on its database, the probe, the runner. Each
 * is reduced to what can be seen of it from outside: a pod's status, a log, a few files, the rows of the version tables.
 */
import { createHash } from 'node:crypto';
import { parseImage } from '../../src/release/images.ts';
import type { PodObject, PodSpec } from '../../src/release/objects.ts';
import { label, recognize } from '../../src/release/profiles.ts';
import type { DatabaseRead, Inspection } from '../../src/release/release.ts';
import { headsOf, makeImage, type Version } from './release.ts';

/** Core revisions from the newest to the oldest, with some in between. */
const line = [headsOf['3.2.1'].core, 'middle', headsOf['3.1.8'].core, 'earlier', headsOf['2.11.0'].core] as const;

const providerLine = [headsOf['3.2.1'].fab, headsOf['3.1.8'].fab] as const;

export interface Contents {
  versionIn(image: string): Version;
  /** As kubelet reports it. */
  imageID(image: string): string;
}

/** Which Airflow is in an image: `moved` says it where the tag does not. An image of another version has another digest. */
export function makeContents(moved: Record<string, string>): Contents {
  const byDigest = new Map<string, Version>();
  const versionIn = (image: string) => {
    const { digest, tag } = parseImage(image);
    return digest ? byDigest.get(digest)! : ((moved[image] ?? tag) as Version);
  };
  const imageID = (image: string) => {
    const { repository, registry, digest } = parseImage(image);
    const version = versionIn(image);
    const own = digest ?? `sha256:${createHash('sha256').update(`${repository} ${version}`).digest('hex')}`;
    byDigest.set(own, version);
    return `${registry || 'docker.io'}/${repository}@${own}`;
  };
  return { versionIn, imageID };
}

/** The heads that an image needs and those that are there differ: what runs now would crash, wait or write nonsense. */
export function isMisfit(version: Version, { versionTables }: DatabaseRead): boolean {
  const image = makeImage(version);
  const [provider] = image.managers ?? [];
  const there = (table: string) => versionTables[table]?.[0];
  return (
    there('alembic_version') !== image.coreHead ||
    (provider ? there(provider.versionTable) !== provider.heads[0] : false)
  );
}

/** True when `airflow db migrate` of this image would take the database forward. */
export function isBehind(version: Version, { versionTables }: DatabaseRead): boolean {
  const at = line.indexOf(versionTables.alembic_version?.[0] as never);
  return at > line.indexOf(headsOf[version].core as never);
}

export function migrateUp(version: Version, database: DatabaseRead): void {
  database.versionTables = {
    alembic_version: [headsOf[version].core],
    ...(makeImage(version).managers?.length ? { alembic_version_fab: [headsOf[version].fab] } : {}),
  };
}

/** The name of the Secret with the connection of the container that opens the database. */
export function secretOf(metadata: PodObject['metadata'], spec: PodSpec): string {
  const name = recognize(metadata, spec)?.container;
  const container = spec.containers.find((c) => c.name === name) ?? spec.containers[0]!;
  const from = container.env?.find((e) => e.name === 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN');
  return from?.valueFrom?.secretKeyRef?.name ?? container.envFrom?.[0]?.secretRef?.name ?? '';
}

export function mainImage({ metadata, spec }: PodObject): string {
  const name = recognize(metadata, spec)?.container;
  return (spec.containers.find((c) => c.name === name) ?? spec.containers[0]!).image!;
}

/** What the probe prints. */
export function probeLog(version: Version): string {
  const { coreHead, managers } = makeImage(version);
  return `DOWNDRAFT-PROBE ${JSON.stringify({ airflowVersion: version, coreHeads: [coreHead], managers })}`;
}

export interface RunnerWorld {
  now: Date;
  backend: string;
  unreadableRows: number;
  stepFails: string | undefined;
}

/** One step of the runner's program in its folder: looks, then takes the schema back by one revision. */
export function work(folder: Map<string, string>, version: Version, database: DatabaseRead, world: RunnerWorld): void {
  const look = folder.get('look');
  if (!folder.has('inspect.json') || folder.delete('look'))
    folder.set('inspect.json', JSON.stringify({ ...inspection(version, database, world), ...(look ? { look } : {}) }));
  const orders = folder.has('orders.json') && JSON.parse(folder.get('orders.json')!);
  if (!orders || folder.has('result.json')) return;
  const tell = (file: string, said: object) =>
    folder.set(file, JSON.stringify({ token: orders.token, run: orders.run, ...said }));
  const tables = database.versionTables;
  if (JSON.stringify(orders.identity) !== JSON.stringify(database.identity))
    return void tell('result.json', {
      ok: false,
      error: { kind: 'OtherDatabase', message: 'not the planned one' },
      versionTables: tables,
    });
  if (world.stepFails) {
    tell('result.json', { ok: false, error: { kind: 'StepFailed', message: world.stepFails }, versionTables: tables });
    world.stepFails = undefined;
    return;
  }
  const step = (kind: string) => orders.steps.find((s: { kind: string }) => s.kind === kind);
  const [core, provider] = [step('core'), step('manager')];
  const at = tables.alembic_version![0]!;
  if (core && at !== core.toRevision) {
    tables.alembic_version = [line[line.indexOf(at as never) + 1]!];
    tell('progress.json', { step: 0, steps: 2, kind: 'core', done: 1, of: 2, revision: at, message: 'drop x' });
  } else if (provider && tables.alembic_version_fab![0] !== provider.toRevision)
    tables.alembic_version_fab = [provider.toRevision];
  else tell('result.json', { ok: true, versionTables: tables });
}

function inspection(
  version: Version,
  database: DatabaseRead,
  { now, backend, unreadableRows }: RunnerWorld,
): Inspection {
  const links = (revisions: readonly string[]) =>
    revisions.map((revision, at) => ({ revision, down: revisions[at + 1] ?? null }));
  const { state: _, ...read } = structuredClone(database);
  return {
    at: now.toISOString(),
    airflowVersion: version,
    core: {
      heads: [headsOf[version].core],
      chain: links(line.slice(line.indexOf(headsOf[version].core as never))),
    },
    managers: makeImage(version).managers!.map((m) => ({
      ...m,
      chain: links(providerLine.slice(providerLine.indexOf(m.heads[0] as never))),
      command: 'fab-db' as const,
      canDowngrade: true,
    })),
    database: { ...read, backend },
    rows: [{ table: 'trigger', column: 'kwargs', count: unreadableRows, examples: unreadableRows ? [7] : [] }],
  };
}

export function roleOf(pod: PodObject): string | undefined {
  return pod.metadata.labels?.[label.role];
}
