/**
 * The runner's program as src/inside/downdraft/runner.py does it, but with only the version tables for a schema: files in,
 * files out, and each revision really reversed by an UPDATE in PostgreSQL, in a transaction of its own.
 */
import type pg from 'pg';
import { readDatabase } from '../../src/database/read.ts';
import type { ChainLink, Inspection } from '../../src/release/model/runner.ts';
import { settingsAt } from '../database/settings.ts';
import { copyDatabase, open, takeCopyBack } from './copies.ts';
import { between, scriptsOf, type Version } from './images.ts';

export interface RunnerPlace {
  url: string;
  version: Version;
  /** Files of the runner's folder, by name. */
  folder: Map<string, string>;
  /** Fires when the pod ends. */
  signal: AbortSignal;
  /** Called before each revision is downgraded, with performance.now(). */
  onRevision(at: number): void;
  /** Resolves when somebody has read the folder from now on, or the pod ends. */
  nextLook(): Promise<void>;
}

interface Order {
  kind: string;
  class?: string;
  versionTable?: string;
  toRevision?: string;
  /** Of the copy. */
  name?: string;
  run?: string;
  aside?: string;
}

interface Orders {
  token: number;
  run: string;
  identity: Inspection['database']['identity'];
  steps: Order[];
}

/** "downdraf", as in src/inside/downdraft/orders/guard.py. */
const lockKey = '7237970109966541158';
/** Of a step's 22 revisions these are slow: the runner stays there until the controller has looked. */
const slow = [0, 8, 16];

/**
 * Inspects, then obeys what is written into the folder. `notice` must be called after each such write; it resolves once a
 * file tells that it was seen. (The real one sees it 0.1 s later, and the controller writes it again meanwhile.)
 */
export function runRunner(place: RunnerPlace): { notice(): Promise<void> } {
  const { folder, signal } = place;
  let done = '';
  let obeying = false;
  let turns = Promise.resolve();
  for (const file of ['inspect.json', 'orders.json', 'progress.json', 'result.json', 'stop', 'look'])
    folder.delete(file);
  folder.set('pid', '7');
  const fail = (error: unknown) => {
    // A pod that ends cuts its program short anywhere.
    if (!signal.aborted) folder.set('inspect.json', JSON.stringify({ error: String(error) }));
  };
  const turn = async () => {
    if (signal.aborted || obeying) return;
    if (folder.has('stop')) return void folder.delete('pid');
    const look = folder.get('look');
    if (!folder.has('inspect.json') || folder.delete('look'))
      folder.set('inspect.json', JSON.stringify({ ...(await inspect(place)), ...(look ? { look } : {}) }));
    const orders = newOrders(folder, done);
    if (!orders) return;
    done = signatureOf(orders);
    folder.set('token', String(orders.token));
    obeying = true;
    await begin(orders);
  };
  const begin = (orders: Orders) =>
    new Promise<void>((begun) => {
      void obey(orders, place, begun)
        .catch(fail)
        .finally(() => {
          obeying = false;
          begun();
          return notice();
        });
    });
  const notice = () => {
    turns = turns.then(turn).catch(fail);
    return turns;
  };
  void notice();
  return { notice };
}

function signatureOf({ token, run }: Orders): string {
  return `${token}/${run}`;
}

/** What is ordered, unless it is what was obeyed last or comes from a controller that another has followed. */
function newOrders(folder: RunnerPlace['folder'], done: string): Orders | undefined {
  const orders = JSON.parse(folder.get('orders.json') ?? 'null') as Orders | null;
  if (!orders || signatureOf(orders) === done || orders.token < Number(folder.get('token') ?? 0)) return undefined;
  return orders;
}

async function inspect({ url, version }: RunnerPlace): Promise<Inspection> {
  const database = await readDatabase(settingsAt(url), { timeoutMs: 10_000 });
  if (database.state !== 'read') throw new Error(database.why);
  const { state: _, ...read } = database;
  const scripts = scriptsOf(version);
  return {
    at: new Date().toISOString(),
    airflowVersion: version,
    core: scripts.core,
    managers: scripts.managers.map((m) => ({ ...m, command: 'fab-db', canDowngrade: true })),
    database: { ...read, backend: 'postgresql' },
    unconvertible: [],
    copy: { possible: true, why: [], notes: [], bytes: 8_000_000 },
    rows: [{ table: 'task_instance', column: 'next_kwargs', count: 0, examples: [] }],
  };
}

async function obey(orders: Orders, place: RunnerPlace, begun: () => void): Promise<void> {
  const { folder, url, signal } = place;
  const signature = { token: orders.token, run: orders.run };
  folder.delete('progress.json');
  folder.delete('result.json');
  let result: object = { ok: true, facts: orders.steps.map(() => null) };
  try {
    const [first] = orders.steps;
    if (first?.kind === 'copy') await copyDatabase(url, first);
    else if (first?.kind === 'takeBack') await takeCopyBack(url, first);
    else await reverse(orders, place, begun);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    result = { ok: false, error: { kind: 'StepFailed', message } };
  }
  const { database } = await inspect(place);
  // The file system goes with the pod.
  if (!signal.aborted)
    folder.set('result.json', JSON.stringify({ ...signature, ...result, versionTables: database.versionTables }));
}

async function reverse(orders: Orders, place: RunnerPlace, begun: () => void): Promise<void> {
  const lock = await open(place.url);
  const work = await open(place.url);
  try {
    await lock.query(`begin; set local lock_timeout = '5s'; select pg_advisory_xact_lock(${lockKey})`);
    for (const [index, { kind }] of orders.steps.entries()) {
      if (place.folder.has('stop')) throw new Error('asked to stop; the steps from here on were not begun');
      // There is neither a row to convert nor anything to repair where version tables are all there is.
      if (kind === 'core' || kind === 'manager') await reverseSchema(orders, index, work, place, begun);
    }
  } finally {
    await Promise.all([lock.end(), work.end()]);
  }
}

async function reverseSchema(
  orders: Orders,
  index: number,
  work: pg.Client,
  place: RunnerPlace,
  begun: () => void,
): Promise<void> {
  const step = orders.steps[index]!;
  const table = step.kind === 'core' ? 'alembic_version' : step.versionTable!;
  const { rows } = await work.query(
    `select version_num, current_database() as database, (select oid::text from pg_database where datname = current_database()) as oid from ${table}`,
  );
  if (rows[0].database !== orders.identity.database || rows[0].oid !== orders.identity.oid)
    throw new Error('another database than was planned for');
  const revisions = between(chainFor(step, place.version), rows[0].version_num, step.toRevision ?? '');
  for (const [done, { revision, down }] of revisions.entries()) {
    if (place.signal.aborted) throw new Error('the pod has ended');
    const { token, run, steps } = orders;
    const told = { token, run, step: index, steps: steps.length, kind: step.kind, done, of: revisions.length };
    place.folder.set('progress.json', JSON.stringify({ ...told, revision, message: `undo ${revision}` }));
    place.onRevision(performance.now());
    begun();
    if (slow.includes(done)) await place.nextLook();
    const undo = `with undone as (update ${table} set version_num = $1 where version_num = $2 returning $2::text)
      insert into undone select * from undone`;
    const changed = await work.query(undo, [down, revision]);
    if (changed.rowCount !== 1) throw new Error(`${table} was not at ${revision}`);
  }
}

function chainFor(step: Orders['steps'][number], version: Version): ChainLink[] {
  const { core, managers } = scriptsOf(version);
  const manager = managers.find((m) => m.class === step.class);
  if (step.kind === 'manager' && !manager) throw new Error(`this image has no manager ${step.class}`);
  return manager?.chain ?? core.chain;
}
