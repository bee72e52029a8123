/**
 * One short visit to a database, read-only.
 *
 * Every question is a transaction of its own in one round trip: BEGIN READ ONLY, limits by SET LOCAL, the question,
 * COMMIT. So nothing is asked of the startup packet (PgBouncer refuses `options` and statement_timeout there), a pooler
 * in transaction mode may change servers in between, and no server connection is left inside a transaction.
 */
import { type Client, DatabaseError, escapeLiteral, type QueryResult } from 'pg';
import { connect, DatabaseUnreadable, type Deadline, guard, leftMs, sentence } from './connect.ts';
import { failureOf } from './failure.ts';
import { notPostgres } from './framing.ts';
import type { ConnectionSettings } from './url.ts';

export interface Limits {
  /** For everything: names, hosts, login, questions. */
  timeoutMs: number;
}

/** Asks one or more statements (no parameters); resolves with the rows of each. */
export type Ask = (sql: string) => Promise<Record<string, unknown>[][]>;

/**
 * Connects, runs `read`, closes. Throws DatabaseUnreadable for what the world did (network, login, rights, time), and
 * everything else, a syntax error for one, as it is.
 */
export async function visit<T>(
  settings: ConnectionSettings,
  { timeoutMs }: Limits,
  read: (ask: Ask) => Promise<T>,
): Promise<T> {
  const deadline = { endsAt: performance.now() + timeoutMs, timeoutMs };
  const { client, socket, attempt } = await connect(settings, deadline);
  const limit = guard(socket, leftMs(deadline));
  try {
    return await read((sql) => ask(client, settings, deadline, sql));
  } catch (error) {
    const failure = limit.exceeded ?? failureOf(error, settings);
    throw failure ? new DatabaseUnreadable(sentence(attempt, failure)) : error;
  } finally {
    await client.end();
    limit.stop();
  }
}

async function ask(client: Client, settings: ConnectionSettings, deadline: Deadline, sql: string) {
  const opening = `begin read only; ${localSettings(settings, leftMs(deadline))}`;
  try {
    const results = (await client.query(`${opening}; ${sql}; commit`)) as unknown as QueryResult[];
    if (!Array.isArray(results) || results.length < 4) throw new Error(notPostgres);
    return results.slice(2, -1).map(({ rows }) => rows as Record<string, unknown>[]);
  } catch (error) {
    // A pooler would have to throw its server connection away for a transaction that nobody ended.
    if (error instanceof DatabaseError && error.severity !== 'FATAL') await client.query('rollback');
    throw error;
  }
}

/** Server-side limits too, for the case that we vanish; and what the URL's `options` ask for. */
function localSettings({ searchPath, role }: ConnectionSettings, limitMs: number): string {
  const values = {
    // A little sooner than the socket is destroyed, so that the server still says what it was.
    statement_timeout: String(Math.ceil(limitMs * 0.9)),
    idle_in_transaction_session_timeout: String(limitMs),
    ...(role !== undefined && { role }),
    ...(searchPath !== undefined && { search_path: searchPath }),
  };
  const calls = Object.entries(values).map(([name, value]) => `set_config('${name}', ${escapeLiteral(value)}, true)`);
  return `select ${calls.join(', ')}`;
}
