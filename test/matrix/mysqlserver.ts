/** A MySQL or MariaDB as the matrix uses a server: started from kept data, asked in the same SQL as PostgreSQL. */
import { existsSync } from 'node:fs';
import type { Progress } from '../cluster/run/cache.ts';
import { type Flavour, startMysql } from '../database/mysql.ts';
import type { Server } from './server.ts';

/**
 * MariaDB does not know the statement with which the scheduler of Airflow 3 looks for assets that no Dag names any more
 * (WITH … DELETE … RETURNING): every minute it ends the scheduler. So that is put off; all else runs.
 */
const mariadbEnv = { AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL: '86400' };

/** Starts a server, on the data kept in `file` where there is that file. Throws with the server's last lines. */
export async function startMysqlServer(flavour: Flavour, file?: string, say?: Progress): Promise<Server> {
  const kept = file !== undefined && existsSync(file);
  const server = await startMysql(flavour, say, kept ? file : undefined);
  const query: Server['query'] = async <R>(database: string, sql: string, parameters: unknown[] = []) => {
    // In UTC, as Airflow writes; with "names" in double quotes, as PostgreSQL takes them.
    const session = `SET SESSION time_zone = '+00:00', sql_mode = concat(@@sql_mode, ',ANSI_QUOTES');`;
    const rows = await server.query(database, `${session}\n${withParameters(sql, parameters)}`);
    return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, text]) => [name, typed(text)])) as R);
  };
  return {
    kind: flavour,
    env: flavour === 'mariadb' ? mariadbEnv : {},
    url: (database) => server.url(database),
    query,
    create: server.createDatabase,
    copy: server.copyDatabase,
    drop: async (database) => void (await query('', `DROP DATABASE IF EXISTS "${database}"`)),
    keep: server.keep,
    remove: server.stop,
  };
}

/** A statement with its values in the places of $1, $2, … Only for text of the tests themselves. */
export function withParameters(sql: string, parameters: unknown[]): string {
  return sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = parameters[Number(number) - 1];
    const text = value instanceof Date ? value.toISOString().slice(0, 23).replace('T', ' ') : String(value);
    return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
  });
}

/** What the client printed as text: a whole number, a moment (in UTC), nothing, or text. */
export function typed(text: string): unknown {
  if (text === 'NULL') return null;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  return /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$/.test(text) ? new Date(`${text.replace(' ', 'T')}Z`) : text;
}
