/**
 * A PostgreSQL whose whole data folder can be kept as one file and started from again, so that a database which an
 * Airflow took minutes to make is made once.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { run } from '../cluster/run/command.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { embedded, password, user } from '../database/embedded.ts';
import type { Flavour } from '../database/mysql.ts';

/** The databases of Airflow that the matrix knows. */
export type ServerKind = 'postgresql' | Flavour;

export interface Server {
  kind: ServerKind;
  /** What an Airflow needs beside the usual to run on it. */
  env: NodeJS.ProcessEnv;
  url(database: string): string;
  query<R extends Record<string, unknown>>(database: string, sql: string, parameters?: unknown[]): Promise<R[]>;
  create(database: string): Promise<void>;
  /** A new database with all that is in another. */
  copy(from: string, to: string): Promise<void>;
  /** Also while somebody uses it; gone is fine. */
  drop(database: string): Promise<void>;
  /** Ends the server in order and keeps its data as one file, made whole by a rename. */
  keep(file: string): Promise<void>;
  /** Deletes its data; ends it before if it runs. */
  remove(): Promise<void>;
}

/** Starts a server, on the data kept in `file` where there is that file. Throws with the server's last lines. */
export async function startServer(file?: string): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-matrix-pg-'));
  // The server runs as another user and must reach its data through this folder.
  await chmod(folder, 0o755);
  const kept = file !== undefined && existsSync(file);
  if (kept) await run('tar', ['-xzf', file, '-C', folder], { env: process.env });
  const [port] = await freePorts(1);
  const lines: string[] = [];
  const server = embedded(folder, port!, lines);
  let running = false;
  const stop = async () => {
    if (running) await server.stop();
    running = false;
  };
  const remove = async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    if (!kept) await server.initialise();
    await server.start();
    running = true;
  } catch (error) {
    await remove();
    throw new Error(`PostgreSQL does not start: ${lines.slice(-10).join('').trim()}`, { cause: error });
  }
  const url = (database: string) => `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`;
  const query = async <R extends Record<string, unknown>>(
    database: string,
    sql: string,
    parameters: unknown[] = [],
  ) => {
    const client = new pg.Client({ connectionString: url(database), connectionTimeoutMillis: 10_000 });
    await client.connect();
    try {
      return (await client.query<R>(sql, parameters)).rows;
    } finally {
      await client.end();
    }
  };
  const keep = async (to: string) => {
    await stop();
    await mkdir(dirname(to), { recursive: true });
    const draft = `${to}.${process.pid}`;
    await run('tar', ['-czf', draft, '-C', folder, 'data'], { env: process.env });
    await rename(draft, to);
  };
  return { kind: 'postgresql', env: {}, url, query, ...databases(query), keep, remove };
}

function databases(query: Server['query']): Pick<Server, 'create' | 'copy' | 'drop'> {
  const told = async (sql: string) => void (await query('postgres', sql));
  return {
    create: async (database) => await told(`CREATE DATABASE ${database}`),
    copy: async (from, to) => await told(`CREATE DATABASE ${to} TEMPLATE ${from}`),
    drop: async (database) => await told(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
  };
}
