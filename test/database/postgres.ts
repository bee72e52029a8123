/** A real PostgreSQL for tests, on a free port, with its data in a temporary folder. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePorts } from '../cluster/run/ports.ts';
import { embedded, password, user } from './embedded.ts';

export interface Postgres {
  /** A connection URL for one of its databases, as superuser or as another role with the same password. */
  url(database: string, user?: string): string;
  createDatabase(name: string): Promise<void>;
  /** Runs one statement in a database, answers its rows. */
  query(database: string, sql: string, parameters?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Ends the server and deletes its data. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a server (about 2 s). As root it runs as the system's user postgres, who is made if missing.
 * Durability is off: the data dies with the test. Throws with the server's own last lines.
 */
export async function startPostgres(): Promise<Postgres> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-postgres-'));
  const [port] = await freePorts(1);
  const lines: string[] = [];
  const server = embedded(folder, port!, lines);
  const url = (database: string, as = user) => `postgresql://${as}:${password}@127.0.0.1:${port}/${database}`;
  const stop = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // The server runs as another user and must reach its data through this folder.
    await chmod(folder, 0o755);
    await server.initialise();
    await server.start();
  } catch (error) {
    await stop();
    throw new Error(`PostgreSQL does not start: ${lines.slice(-10).join('').trim()}`, { cause: error });
  }
  const query: Postgres['query'] = async (database, sql, parameters = []) => {
    const client = new pg.Client({ connectionString: url(database), connectionTimeoutMillis: 10_000 });
    await client.connect();
    try {
      return (await client.query(sql, parameters)).rows;
    } finally {
      await client.end();
    }
  };
  const createDatabase = async (name: string) => {
    await query('postgres', `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  };
  return { url, createDatabase, query, stop };
}
