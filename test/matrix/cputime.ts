/** The processor time that a runner and the PostgreSQL behind it have used: the same on a busy machine as on a quiet one. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { statOf } from '../procstat.ts';
import type { Server } from './server.ts';

/** Answers a function that tells the seconds so far, of both together. Linux only. */
export async function processorOf(server: Server, database: string, runner: number): Promise<() => Promise<number>> {
  if (!existsSync('/proc/self/stat')) throw new Error('processor time is read from /proc, which only Linux has');
  const [row] = await server.query<{ file: string }>(database, `SELECT pg_read_file('postmaster.pid') AS file`);
  const postmaster = Number.parseInt(row!.file, 10);
  return async () => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
    const seconds = (await Promise.all(pids.map(statOf))).map((stat) => {
      if (stat?.pid === postmaster) return stat.own + stat.reaped;
      // The runner may be a child of the shell that started it.
      const theirs = stat && (stat.pid === runner || stat.parent === runner || stat.parent === postmaster);
      return theirs ? stat.own : 0;
    });
    return seconds.reduce((a, b) => a + b, 0);
  };
}
