/**
 * Dropping a copy that downdraft made, from outside, by the login that Airflow itself uses.
 *
 * Which database is ours is told as the runner tells it (src/inside/downdraft/backup/marks.py): by its comment, JSON that names the run
 * and the database's own oid; a copy that was only begun also by the connection limit that CREATE DATABASE gave it.
 * Nothing else is ever dropped, nor the database in use, and no session is ended for it.
 */
import { crc32 } from 'node:zlib';
import { type Client, DatabaseError, escapeIdentifier, escapeLiteral } from 'pg';
import { connect, DatabaseUnreadable, type Deadline, guard, leftMs, type OpenConnection, sentence } from './connect.ts';
import { failureOf } from './failure.ts';
import type { ConnectionSettings } from './url.ts';
import { type Ask, visit } from './visit.ts';

export interface CopyToDrop {
  /** Of its database. */
  name: string;
  /** The uid of the run that made it. */
  run: string;
  /** The server that it was made on, as pg_control_system() names it; '' where that is not known. */
  cluster: string;
}

/** What became of it; `kept` says why, and what to do. */
export type Dropped = { dropped: true } | { gone: true } | { kept: string };

interface InUse {
  database: string;
  oid: string;
  cluster: string;
}

interface Row {
  oid: string;
  comment: string | null;
  connections: number;
}

type Query = (sql: string) => Promise<Record<string, unknown>[]>;

/** A database can't be dropped from within; these two are on every server. */
const maintenance = ['postgres', 'template1'];

/** For a look at a database, in milliseconds; the rest of the time is for the drop itself. */
const lookMs = 10_000;

const lockTimeoutMs = 10_000;

/** The runner's LOCK_KEY (src/inside/downdraft/orders/guard.py), upper half. */
const runnerLock = 0x646f776e;

const identityColumns = `current_database()::text as database,
  (select oid::text from pg_database where datname = current_database()) as oid,
  has_function_privilege('pg_control_system()', 'execute') as told`;

/**
 * Drops the database `name` if it is this run's. Twice is fine. What the world does against it (network, rights,
 * sessions) is an answer, `kept`, without any secret; only a fault of our own is thrown.
 */
export async function dropCopy(
  settings: ConnectionSettings,
  { timeoutMs, ...copy }: CopyToDrop & { timeoutMs: number },
): Promise<Dropped> {
  const deadline = { endsAt: performance.now() + timeoutMs, timeoutMs };
  try {
    const inUse = await visit(settings, { timeoutMs: Math.min(lookMs, timeoutMs) }, readInUse);
    if (copy.cluster && inUse.cluster && copy.cluster !== inUse.cluster)
      return { kept: `the release uses another server by now; drop ${copy.name} by hand on the one it used before` };
    if (copy.name === inUse.database || copy.name === settings.database) return usedNow(copy);
    return await fromMaintenance(settings, inUse, deadline, (query) => drop(query, copy, inUse, deadline));
  } catch (error) {
    if (error instanceof DatabaseUnreadable) return { kept: error.message };
    throw error;
  }
}

async function readInUse(ask: Ask): Promise<InUse> {
  return readIdentity(async (sql) => (await ask(sql))[0] ?? []);
}

async function readIdentity(query: Query): Promise<InUse> {
  const [row] = await query(`select ${identityColumns}`);
  const [control] = row!.told ? await query('select system_identifier::text as cluster from pg_control_system()') : [];
  return { database: String(row!.database), oid: String(row!.oid), cluster: String(control?.cluster ?? '') };
}

/** Runs `act` on the first maintenance database that lets us in and is on the same server, directly. */
async function fromMaintenance(
  settings: ConnectionSettings,
  inUse: InUse,
  deadline: Deadline,
  act: (query: Query) => Promise<Dropped>,
): Promise<Dropped> {
  const said: string[] = [];
  for (const database of maintenance.filter((name) => name !== inUse.database)) {
    const there = { ...settings, database, primaryOnly: true };
    try {
      return await at(there, deadline, async (query, client) => (await notThere(query, client, inUse)) ?? act(query));
    } catch (error) {
      if (!(error instanceof DatabaseUnreadable)) throw error;
      said.push(`${database}: ${error.message}`);
    }
  }
  throw new DatabaseUnreadable(said.join('; '));
}

/** Why this connection will not do. A session's lock and settings would stay in a pooler, for others to stumble over. */
async function notThere(query: Query, client: Client, inUse: InUse): Promise<Dropped | undefined> {
  const [answering] = await query('select pg_backend_pid() as pid');
  if (answering?.pid !== (client as Client & { processID?: number }).processID)
    return { kept: 'the connection goes through a pooler (as PgBouncer), and dropping a database needs a direct one' };
  const { cluster } = await readIdentity(query);
  const same = `select from pg_database where oid = ${escapeLiteral(inUse.oid)} and datname = ${escapeLiteral(inUse.database)}`;
  if (cluster === inUse.cluster && (await query(same)).length === 1) return undefined;
  throw new DatabaseUnreadable("leads to another server than the release's own database");
}

/** One connection that may write. Throws DatabaseUnreadable for what the world does. */
async function at<T>(
  settings: ConnectionSettings,
  deadline: Deadline,
  act: (query: Query, client: Client) => Promise<T>,
): Promise<T> {
  const timeoutMs = Math.min(lookMs, leftMs(deadline));
  const opened = await connect(settings, { endsAt: performance.now() + timeoutMs, timeoutMs });
  const limit = guard(opened.socket, leftMs(deadline));
  try {
    const query: Query = async (sql) => (await opened.client.query(sql)).rows;
    if (settings.role !== undefined) await query(`set role ${escapeIdentifier(settings.role)}`);
    return await act(query, opened.client);
  } catch (error) {
    throw limit.exceeded
      ? new DatabaseUnreadable(sentence(opened.attempt, limit.exceeded))
      : inWords(error, opened, settings);
  } finally {
    await opened.client.end();
    limit.stop();
  }
}

function inWords(error: unknown, { attempt }: OpenConnection, settings: ConnectionSettings): unknown {
  const failure = failureOf(error, settings);
  return failure ? new DatabaseUnreadable(sentence(attempt, failure)) : error;
}

async function drop(query: Query, copy: CopyToDrop, inUse: InUse, deadline: Deadline): Promise<Dropped> {
  const { name } = copy;
  // A runner that was cut off may still be at its CREATE DATABASE, which nobody sees before it is done.
  const [lock] = await query(`select pg_try_advisory_lock(${runnerLock}, ${crc32(inUse.database) | 0}) as taken`);
  if (!lock?.taken) return { kept: `a downdraft runner still copies or renames ${inUse.database}` };
  const row = await rowOf(query, name);
  if (!row) return { gone: true };
  if (row.oid === inUse.oid) return usedNow(copy);
  const begun = row.comment === null && row.connections === birthmark(name);
  if (!begun && !isOf(copy, row))
    return { kept: `the comment on database ${name} does not say that this run made it; it was not touched` };
  const who = await sessionsOn(query, name);
  if (who.length > 0) return { kept: `still on ${name}: ${who.join('; ')}; it is dropped once they have ended` };
  return dropOurs(query, copy, begun ? row : undefined, deadline);
}

/** A drop that is cut short takes the connection limit away, so the comment comes first. */
async function dropOurs(
  query: Query,
  { name, run }: CopyToDrop,
  begun: Row | undefined,
  deadline: Deadline,
): Promise<Dropped> {
  const limits = { lock_timeout: lockTimeoutMs, statement_timeout: Math.ceil(leftMs(deadline) * 0.9) };
  for (const [setting, ms] of Object.entries(limits)) await query(`set ${setting} = ${ms}`);
  try {
    if (begun) await query(`comment on database ${escapeIdentifier(name)} is ${escapeLiteral(markOf(run, begun))}`);
    await query(`drop database if exists ${escapeIdentifier(name)}`);
    return { dropped: true };
  } catch (error) {
    if (error instanceof DatabaseError && refusals.includes(error.code ?? ''))
      return { kept: [error.message, error.detail].filter(Boolean).join(': ') };
    throw error;
  }
}

/** Someone is on it after all, or a prepared transaction or replication slot is; somebody locks it; it was made a template. */
const refusals = ['55006', '55P03', '42809'];

function usedNow({ name }: CopyToDrop): Dropped {
  return { kept: `${name} is the database that the release uses now; it was not touched` };
}

async function rowOf(query: Query, name: string): Promise<Row | undefined> {
  const [row] = await query(
    `select oid::text as oid, shobj_description(oid, 'pg_database') as comment, datconnlimit as connections
    from pg_database where datname = ${escapeLiteral(name)}`,
  );
  return row as unknown as Row | undefined;
}

function isOf({ run }: CopyToDrop, { comment, oid }: Row): boolean {
  try {
    const mark: unknown = JSON.parse(comment ?? '');
    return (
      typeof mark === 'object' &&
      mark !== null &&
      'downdraft' in mark &&
      mark.downdraft === run &&
      'oid' in mark &&
      mark.oid === oid
    );
  } catch {
    return false;
  }
}

function markOf(run: string, { oid }: Row): string {
  return JSON.stringify({ downdraft: run, oid });
}

/** As `birthmark` in src/inside/downdraft/backup/marks.py. */
function birthmark(name: string): number {
  return 2 ** 30 + (crc32(`downdraft ${name}`) % 2 ** 30);
}

/** Clients, by what an ordinary role sees of them. The server itself makes its own workers give way. */
async function sessionsOn(query: Query, name: string): Promise<string[]> {
  const rows = await query(
    `select concat_ws(', ', 'pid ' || pid, usename, coalesce(nullif(application_name, ''), 'no name'),
      'at ' || host(client_addr)) as who
    from pg_stat_activity where datname = ${escapeLiteral(name)} and usesysid is not null
    union all
    select 'prepared transaction ' || gid || ', ' || owner from pg_prepared_xacts where database = ${escapeLiteral(name)}`,
  );
  return rows.map(({ who }) => String(who));
}
