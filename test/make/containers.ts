/**
 * What runs in the containers of a world in memory: Airflow of some version on its database, the probe, the runner. Each
 * is reduced to what can be seen of it from outside: a pod's status, a log, a few files, the rows of the version tables.
 */
import { createHash, createHmac } from 'node:crypto';
import { parseImage } from '../../src/release/airflow/images.ts';
import { mainContainerOf } from '../../src/release/kubernetes/main-container.ts';
import type { DatabaseRead } from '../../src/release/model/database.ts';
import type { PodObject, PodSpec } from '../../src/release/model/kubernetes.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import type { DumpPlace } from '../../src/release/model/policy.ts';
import type { AskedTrigger, Inspection, WaitingTrigger } from '../../src/release/model/runner.ts';
import { type Digests, digested } from '../../src/release/model/runner.ts';
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
    // The same content has the same digest in every registry and mirror.
    const content = `${repository.split('/').at(-1)} ${version}`;
    const own = digest ?? `sha256:${createHash('sha256').update(content).digest('hex')}`;
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
  const name = mainContainerOf({ metadata, spec });
  const container = spec.containers.find((c) => c.name === name)!;
  const from = container.env?.find((e) => e.name === 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN');
  return from?.valueFrom?.secretKeyRef?.name ?? container.envFrom?.[0]?.secretRef?.name ?? '';
}

export function mainImage(pod: PodObject): string {
  const name = mainContainerOf(pod);
  return pod.spec.containers.find((c) => c.name === name)!.image!;
}

/** What the probe prints. */
export function probeLog(version: Version): string {
  const { coreHead, managers } = makeImage(version);
  return `DOWNDRAFT-PROBE ${JSON.stringify({ airflowVersion: version, coreHeads: [coreHead], managers })}`;
}

/** What the pod prints that asks about triggers: all but those whose class is missing are taken up. */
export function takeUpLog({ spec }: PodObject, missing: ReadonlySet<string>): string {
  const asked = spec.containers[0]!.env?.find((e) => e.name === 'DOWNDRAFT_TRIGGERS')?.value ?? '[]';
  const triggers = (JSON.parse(asked) as AskedTrigger[]).map((one) =>
    missing.has(one.class) ? { ...one, lacks: 'no such module' } : one,
  );
  return `DOWNDRAFT-TRIGGERS ${JSON.stringify({ triggers })}`;
}

/** What the program answers that tells keyed digests: of what these settings are, and the others as everywhere. */
export function digestsOf(settings: Partial<Digests> | string, key: string): { told: Digests } | { fault: string } {
  if (typeof settings === 'string') return { fault: settings };
  const keyed = (name: (typeof digested)[number]) => {
    const value = settings[name] === undefined ? `as everywhere: ${name}` : settings[name];
    return value === null ? null : createHmac('sha256', key).update(`${name}\0${value}`).digest('hex');
  };
  return { told: Object.fromEntries(digested.map((name) => [name, keyed(name)])) as Digests };
}

export interface RunnerWorld {
  now: Date;
  backend: string;
  unreadableRows: number;
  undecipherable: number;
  triggers: WaitingTrigger[];
  copies: Record<string, Record<string, string[]>>;
  copyImpossible: string | undefined;
  copyFails: string | undefined;
  dumps: Record<string, Record<string, string[]>>;
  dumpImpossible: string | undefined;
  stepFails: string | undefined;
  countFails: string | undefined;
  rows: Record<string, number>;
  lostRows: Record<string, number>;
}

interface Order {
  kind: string;
  name?: string;
  aside?: string;
  toRevision?: string;
  counts?: Record<string, number>;
  accept?: boolean;
}

interface Orders {
  token: number;
  run: string;
  identity: object;
  steps: Order[];
}

interface Fault {
  kind: string;
  message: string;
}

/** One step of the runner's program in its folder: looks, then does one thing of what is ordered. */
export function work(
  folder: Map<string, string>,
  version: Version,
  database: DatabaseRead,
  world: RunnerWorld,
  volume?: DumpPlace,
): void {
  answerLook(folder, () => inspection(version, database, world, volume));
  const orders = openOrders(folder);
  if (!orders) return;
  const tell = (file: string, said: object) =>
    folder.set(file, JSON.stringify({ token: orders.token, run: orders.run, ...said }));
  const fail = (error: Fault) => tell('result.json', { ok: false, error, versionTables: database.versionTables });
  const fault = refusalOf(orders, database, volume) ?? takeFailure(orders, world);
  if (fault) return void fail(fault);
  for (const [step, order] of orders.steps.entries()) {
    if (order.kind === 'dropCopy') dropCopyOnce(folder, orders.run, order, world);
    const told = { step, steps: orders.steps.length, kind: order.kind, done: 1, of: 2, revision: '', message: 'at it' };
    const differing = differenceOf(order, world);
    if (differing) return void fail({ kind: 'RowsDiffer', message: differing });
    if (advance(order, version, database, world)) return void tell('progress.json', told);
  }
  tell('result.json', {
    ok: true,
    versionTables: database.versionTables,
    facts: orders.steps.map((order) => factsOf(order, world)),
  });
}

/** Tells what it sees at the start, and whenever somebody asks for it. */
function answerLook(folder: Map<string, string>, inspect: () => Inspection): void {
  const look = folder.get('look');
  if (!folder.has('inspect.json') || folder.delete('look'))
    folder.set('inspect.json', JSON.stringify({ ...inspect(), ...(look ? { look } : {}) }));
}

/** What is ordered and has no result yet. */
function openOrders(folder: Map<string, string>): Orders | undefined {
  const orders = JSON.parse(folder.get('orders.json') ?? 'null') as Orders | null;
  if (!orders || JSON.parse(folder.get('result.json') ?? '{}').run === orders.run) return undefined;
  return orders;
}

/** Why the runner begins nothing of this. */
function refusalOf({ identity, steps }: Orders, database: DatabaseRead, volume?: DumpPlace): Fault | undefined {
  const { kind } = steps[0]!;
  if (kind !== 'takeBack' && JSON.stringify(identity) !== JSON.stringify(database.identity))
    return { kind: 'OtherDatabase', message: 'not the planned one' };
  if (['dump', 'restore'].includes(kind) && !volume) return { kind: 'NoDump', message: 'no folder for dumps' };
  return undefined;
}

/** The failure that a test has in store for such orders: it happens once. A word before a colon is its kind. */
function takeFailure({ steps }: Orders, world: RunnerWorld): Fault | undefined {
  const { kind } = steps[0]!;
  const counts = kind === 'count';
  const copies = ['copy', 'dump'].includes(kind);
  const message = copies ? world.copyFails : counts ? world.countFails : world.stepFails;
  if (!message) return undefined;
  if (counts) world.countFails = undefined;
  else world.copyFails = world.stepFails = undefined;
  const [, said] = /^(\w+): /.exec(message) ?? [];
  return { kind: said ?? (counts ? 'CountFailed' : 'StepFailed'), message };
}

function dropCopyOnce(folder: Map<string, string>, run: string, { name = '' }: Order, { copies }: RunnerWorld): void {
  if (folder.get('dropped') === run) return;
  folder.set('dropped', run);
  delete copies[name];
}

/** What a step tells of the rows. */
function factsOf({ kind }: Order, { rows, lostRows }: RunnerWorld): Record<string, unknown> | null {
  if (kind === 'copy' || kind === 'count') return { counts: rows };
  if (kind === 'verify') return { tables: Object.keys(rows).length, rows: 4, gone: {}, told: Object.keys(lostRows) };
  return null;
}

/** Which rows a step that verifies finds otherwise than they were counted, unless that is accepted. */
function differenceOf({ kind, accept, counts = {} }: Order, { rows, lostRows }: RunnerWorld): string | undefined {
  if (kind !== 'verify' || accept) return undefined;
  const now = { ...rows, ...lostRows };
  const table = Object.keys(counts).find((name) => counts[name] !== now[name]);
  return table && `${table} had ${counts[table]} rows and has ${now[table]}`;
}

/** Does one thing of a step; false when nothing of it is left to do. */
function advance(order: Order, version: Version, database: DatabaseRead, world: RunnerWorld): boolean {
  return advanceBackup(order, database, world) || advanceTables(order, version, database, world);
}

/** A copy or a dump is made, or takes the place of what is there. */
function advanceBackup({ kind, name = '', aside = '' }: Order, database: DatabaseRead, world: RunnerWorld): boolean {
  const tables = database.versionTables;
  if (kind === 'copy' && !world.copies[name]) world.copies[name] = structuredClone(tables);
  else if (kind === 'dump' && !world.dumps[name]) world.dumps[name] = structuredClone(tables);
  else if (kind === 'restore' && JSON.stringify(tables) !== JSON.stringify(world.dumps[name]))
    database.versionTables = structuredClone(world.dumps[name]!);
  else if (kind === 'takeBack' && world.copies[name]) {
    world.copies[aside] = tables;
    database.versionTables = world.copies[name];
    database.identity = { ...database.identity, oid: `${Number(database.identity.oid) + 1}` };
    delete world.copies[name];
  } else return false;
  return true;
}

/** The rows and the version tables become those of another version. */
function advanceTables(
  { kind, toRevision = '' }: Order,
  version: Version,
  database: DatabaseRead,
  world: RunnerWorld,
): boolean {
  const tables = database.versionTables;
  if (kind === 'migrate' && isMisfit(version, database)) migrateUp(version, database);
  else if (kind === 'convert' && world.unreadableRows > 0) world.unreadableRows = 0;
  else if (kind === 'core' && tables.alembic_version![0] !== toRevision)
    tables.alembic_version = [line[line.indexOf(tables.alembic_version![0] as never) + 1]!];
  else if (kind === 'manager' && tables.alembic_version_fab![0] !== toRevision)
    tables.alembic_version_fab = [toRevision];
  else return false;
  return true;
}

function inspection(
  version: Version,
  database: DatabaseRead,
  { now, backend, unreadableRows, undecipherable, triggers, copyImpossible, dumpImpossible }: RunnerWorld,
  volume: DumpPlace | undefined,
): Inspection {
  const links = (revisions: readonly string[]) =>
    revisions.map((revision, at) => ({ revision, down: revisions[at + 1] ?? null }));
  const { state: _, ...read } = structuredClone(database);
  return {
    at: now.toISOString(),
    kinds: ['copy', 'count', 'verify'],
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
    copy: { possible: !copyImpossible, why: copyImpossible ? [copyImpossible] : [], notes: [], bytes: 1_000_000 },
    dump: volume
      ? {
          possible: !dumpImpossible,
          why: dumpImpossible ? [dumpImpossible] : [],
          notes: [],
          program: 'pg_dump 15.14',
          needBytes: 1_000_000,
          freeBytes: 9_000_000,
        }
      : null,
    unconvertible: undecipherable
      ? [{ table: 'trigger', column: 'kwargs', count: undecipherable, ids: '7', why: 'no key opens them' }]
      : [],
    triggers: structuredClone(triggers),
    rows: [
      {
        table: 'trigger',
        column: 'kwargs',
        count: unreadableRows,
        examples: unreadableRows ? [7] : [],
      },
    ],
  };
}

export function roleOf(pod: PodObject): string | undefined {
  return pod.metadata.labels?.[label.role];
}
