/** A hot standby of a PostgreSQL of the tests: a copy that replays what was written until then, and takes no writes. */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { run } from '../cluster/run/command.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';
import type { Postgres } from './postgres.ts';

export interface Standby {
  port: number;
  stop(): Promise<void>;
}

/** Starts it on a free port (about 1 s). Throws with the server's own last lines. */
export async function startStandby(primary: Postgres): Promise<Standby> {
  const [row] = await primary.query('postgres', 'show data_directory');
  const data = String(row!.data_directory);
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-standby-'));
  const copy = join(folder, 'data');
  const { uid, gid } = await stat(data);
  const postmaster = (await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0];
  const program = await readlink(`/proc/${postmaster}/exe`);
  await copyWhileItRuns(primary, data, copy);
  await run('chown', ['-R', `${uid}:${gid}`, folder], { env: process.env });
  const [port] = await freePorts(1);
  const flags = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'];
  const child = spawn(program, ['-D', copy, '-p', String(port), ...flags], { uid, gid, cwd: '/' });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log += text;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const stop = async () => {
    child.kill('SIGINT');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitFor(
      'the standby',
      20_000,
      () => child.exitCode !== null || log.includes('ready to accept read-only'),
      20,
    );
    if (child.exitCode !== null) throw new Error('it ended');
  } catch (error) {
    await stop();
    throw new Error(`the standby does not start: ${log.trim().split('\n').slice(-5).join('\n')}`, { cause: error });
  }
  return { port: port!, stop };
}

/** The backup of PostgreSQL's manual: the label that the stop answers, and the log up to it, make the copy whole. */
async function copyWhileItRuns(primary: Postgres, data: string, copy: string): Promise<void> {
  const client = new pg.Client({ connectionString: primary.url('postgres') });
  await client.connect();
  try {
    await client.query(`select pg_backup_start('standby', true)`);
    await cp(data, copy, { recursive: true, filter: (path) => !path.endsWith('postmaster.pid') });
    const { rows } = await client.query('select labelfile from pg_backup_stop(false)');
    await cp(join(data, 'pg_wal'), join(copy, 'pg_wal'), { recursive: true, force: true });
    await writeFile(join(copy, 'backup_label'), rows[0].labelfile);
    await writeFile(join(copy, 'standby.signal'), '');
  } finally {
    await client.end();
  }
}
