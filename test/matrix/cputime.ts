/** The processor time that a runner and the PostgreSQL behind it have used: the same on a busy machine as on a quiet one. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import type { Server } from './server.ts';

const ticksPerSecond = 100;

/** Fields of /proc/PID/stat, numbered as in proc(5): user and system time of the process, and of the children it reaped. */
const [parent, own, reaped] = [4, [14, 15], [16, 17]] as const;

/** Answers a function that tells the seconds so far, of both together. Linux only. */
export async function processorOf(server: Server, database: string, runner: number): Promise<() => Promise<number>> {
  if (!existsSync('/proc/self/stat')) throw new Error('processor time is read from /proc, which only Linux has');
  const [row] = await server.query<{ file: string }>(database, `SELECT pg_read_file('postmaster.pid') AS file`);
  const postmaster = Number.parseInt(row!.file, 10);
  return async () => {
    const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(statOf));
    const ticks = all.map((stat) => {
      if (stat[1] === postmaster) return sum(stat, [...own, ...reaped]);
      // The runner may be a child of the shell that started it.
      const theirs = stat[1] === runner || stat[parent] === runner || stat[parent] === postmaster;
      return theirs ? sum(stat, own) : 0;
    });
    return ticks.reduce((a, b) => a + b, 0) / ticksPerSecond;
  };
}

function sum(stat: number[], fields: readonly number[]): number {
  return fields.reduce((total, field) => total + (stat[field] ?? 0), 0);
}

/** By number of field, from 1; empty when the process is gone. */
async function statOf(pid: string): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (text === '') return [];
  // The second field is the name, in brackets, with whatever is in it.
  const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return [Number.NaN, Number(pid), Number.NaN, ...rest.map(Number)];
}
