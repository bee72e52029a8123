/** A real MySQL 9.7 or MariaDB 10.11 for tests, on a free port, Debian's; its data dies with it. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Progress } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';
import { deleteClusterFolder, makeClusterFolder, startDaemon } from '../cluster/run/folder.ts';
import { clearLeftovers } from '../cluster/run/leftovers.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { programIn, unpacked, type Wanted } from './unpacked.ts';

export type Flavour = 'mysql' | 'mariadb';

export interface Mysql {
  /** A connection URL as Airflow takes it, as `airflow`, who may all, or as another user with the same password. */
  url(database: string, user?: string, driver?: 'mysqldb' | 'pymysql'): string;
  createDatabase(name: string): Promise<void>;
  /** A new database with all that is in another. */
  copyDatabase(from: string, to: string): Promise<void>;
  /** Runs statements in a database, answers the rows of the one that has some, as text. */
  query(database: string, sql: string): Promise<Record<string, string>[]>;
  /** A session that stays open after its statements, with what they have locked; answers how to end it. */
  hold(database: string, sql: string, user?: string): Promise<() => Promise<void>>;
  /** Ends the server in order and keeps its data as one file, made whole by a rename; to be stopped afterwards. */
  keep(file: string): Promise<void>;
  /** Ends the server and deletes its data. May be called twice. */
  stop(): Promise<void>;
}

const password = 'correct-horse';

const programs: Record<Flavour, Wanted & { server: string; client: string }> = {
  // Only sid has MySQL itself.
  mysql: {
    suite: 'sid',
    packages: ['mysql-server-core', 'mysql-client-core'],
    server: 'usr/sbin/mysqld',
    client: 'usr/bin/mysql',
  },
  mariadb: {
    suite: 'bookworm',
    packages: ['mariadb-server-core', 'mariadb-client-core'],
    server: 'usr/sbin/mariadbd',
    client: 'usr/bin/mariadb',
  },
};

/** Why there is no such server here, in one line; undefined when there is one. Fetches it on first use (10 s). */
export async function mysqlAbsence(flavour: Flavour, onProgress?: Progress): Promise<string | undefined> {
  if (process.platform !== 'linux') return `${flavour} is Debian's, which needs Linux`;
  return await unpacked(programs[flavour], onProgress).then(
    () => undefined,
    (error: Error) => `${flavour} can't be had: ${error.message.split('\n').slice(0, 2).join(' ')}`,
  );
}

/**
 * Starts a server (3 s), on the data kept in `file` where one is named. What a killed test left behind is ended first.
 * Throws with the server's last lines.
 */
export async function startMysql(flavour: Flavour, onProgress?: Progress, file?: string): Promise<Mysql> {
  const root = await unpacked(programs[flavour], onProgress);
  await clearLeftovers();
  const { dir } = await makeClusterFolder(`a test's ${flavour}`, false);
  const [port] = await freePorts(1);
  await writeUsers(dir);
  if (file === undefined) await initialise(flavour, root, dir);
  else await run('tar', ['-xzf', file, '-C', dir], { env: process.env });
  const server = await startDaemon(dir, flavour, [...serverCommand(flavour, root, dir), ...serving(dir, port!)]);
  const clientOf = (user: string) => [
    ...programIn(root, programs[flavour].client),
    ...['--no-defaults', '--protocol=tcp', '-h127.0.0.1', `-P${port}`, `-u${user}`, `-p${password}`],
  ];
  const client = clientOf('airflow');
  const query: Mysql['query'] = async (database, sql) => {
    const { stdout } = await run(client[0]!, [...client.slice(1), '--batch', database], { env: {}, input: sql });
    return rowsOf(stdout);
  };
  const held = new Set<() => Promise<void>>();
  const stop = async () => {
    for (const end of held) await end();
    await server.end();
    await deleteClusterFolder(dir);
  };
  const url: Mysql['url'] = (database, user = 'airflow', driver = 'mysqldb') =>
    `mysql+${driver}://${user}:${password}@127.0.0.1:${port}/${database}`;
  const createDatabase = async (name: string) => {
    await query('', `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  };
  const copyDatabase = async (from: string, to: string) => {
    await createDatabase(to);
    await query(to, await copying(query, from));
  };
  const keep = async (to: string) => {
    await server.end(60_000);
    await mkdir(dirname(to), { recursive: true });
    await run('tar', ['-czf', `${to}.${process.pid}`, '-C', dir, 'data'], { env: process.env });
    await rename(`${to}.${process.pid}`, to);
  };
  const hold: Mysql['hold'] = async (database, sql, user = 'airflow') => {
    const end = await holding(clientOf(user), database, sql);
    held.add(end);
    return end;
  };
  try {
    const ready = async () => {
      await server.check();
      return (await query('', 'SELECT 1 AS one')).length === 1;
    };
    await waitFor(flavour, 60_000, ready, 100);
    return { url, createDatabase, copyDatabase, query, hold, keep, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function serverCommand(flavour: Flavour, root: string, dir: string): string[] {
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  const places = [`--basedir=${join(root, 'usr')}`, `--datadir=${join(dir, 'data')}`, `--tmpdir=${dir}`];
  return [...programIn(root, programs[flavour].server), '--no-defaults', ...user, ...places];
}

/** Durability is off: the data dies with the test. */
function serving(dir: string, port: number): string[] {
  return [
    ...['--bind-address=127.0.0.1', `--port=${port}`, `--socket=${join(dir, 'socket')}`],
    ...[`--init-file=${join(dir, 'users.sql')}`, '--innodb-flush-method=nosync', '--innodb-buffer-pool-size=64M'],
    '--innodb-flush-log-at-trx-commit=0',
    // Named with the prefix: MariaDB passes over what it does not know.
    ...['--secure-file-priv=', '--loose-mysqlx=OFF', '--loose-sync-binlog=0', '--loose-innodb-doublewrite=OFF'],
  ];
}

async function writeUsers(dir: string): Promise<void> {
  const users = ['airflow', 'modest'].map(
    (name) => `CREATE USER IF NOT EXISTS ${name}@'%' IDENTIFIED BY '${password}';`,
  );
  const grants = [`GRANT ALL ON *.* TO airflow@'%' WITH GRANT OPTION;`, `GRANT ALL ON \`modest%\`.* TO modest@'%';`];
  await writeFile(join(dir, 'users.sql'), `${[...users, ...grants].join('\n')}\n`);
}

async function initialise(flavour: Flavour, root: string, dir: string): Promise<void> {
  const [command, ...args] = serverCommand(flavour, root, dir);
  if (flavour === 'mysql') {
    await run(command!, [...args, '--initialize-insecure'], { env: process.env });
    return;
  }
  await mkdir(join(dir, 'data'));
  const parts = ['system_tables', 'performance_tables', 'system_tables_data'].map((name) =>
    readFile(join(root, `usr/share/mysql/mysql_${name}.sql`), 'utf8'),
  );
  const input = ['CREATE DATABASE mysql;', 'USE mysql;', ...(await Promise.all(parts))].join('\n');
  await run(command!, [...args, '--bootstrap', '--skip-networking'], { env: process.env, input });
}

/** SQL that makes every table of a database anew in the one that is in use, with its rows. */
async function copying(query: Mysql['query'], from: string): Promise<string> {
  const tables = (await query(from, 'SHOW TABLES')).map((row) => Object.values(row)[0]!);
  const made: string[] = [];
  for (const table of tables) {
    const [row] = await query(from, `SHOW CREATE TABLE \`${table}\``);
    made.push(`${row!['Create Table']};`, `INSERT INTO \`${table}\` SELECT * FROM ${from}.\`${table}\`;`);
  }
  return ['SET foreign_key_checks = 0;', ...made].join('\n');
}

/** The client's answer: a line of names, then a line for each row, with tabs between and \n, \t, \\ as escapes. */
function rowsOf(printed: string): Record<string, string>[] {
  const [names, ...lines] = printed.split('\n').map((line) => line.split('\t'));
  const plain = (text: string) =>
    text.replaceAll(/\\([nt\\0])/g, (_, letter: string) => ({ n: '\n', t: '\t', '0': '\0' })[letter] ?? letter);
  const rows = lines.filter((line) => line.length === names?.length && line.join('') !== '');
  return rows.map((line) => Object.fromEntries(line.map((value, at) => [names![at]!, plain(value)])));
}

async function holding(client: string[], database: string, sql: string): Promise<() => Promise<void>> {
  const child = spawn(client[0]!, [...client.slice(1), '--unbuffered', '--batch', '-N', database], { env: {} });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
  child.stdin.write(`${sql};\nSELECT 'held';\n`);
  await waitFor(`the session's own statements\n${printed}`, 10_000, () => printed.includes('held'), 20);
  return async () => {
    child.stdin.end();
    child.kill('SIGTERM');
    await ended;
  };
}
