/** What Linux tells of a process in /proc/PID/stat, proc(5). */
import { readFile } from 'node:fs/promises';

/** Fixed for programs on Linux, whatever the kernel's own clock (sysconf(_SC_CLK_TCK)). */
const ticksPerSecond = 100;

export interface Stat {
  pid: number;
  parent: number;
  /** In clock ticks since boot: tells a process from a later one with its number. */
  start: number;
  /** Seconds of processor time: of all its threads so far. */
  own: number;
  /** And of all children that it has waited for, with theirs. */
  reaped: number;
}

/** Undefined when there is no such process. */
export async function statOf(pid: number | 'self'): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The second field is the name, in brackets, with whatever is in it; the third follows the last bracket.
  const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(rest[number - 3]);
  const seconds = (one: number, other: number) => (field(one) + field(other)) / ticksPerSecond;
  return {
    pid: Number.parseInt(text, 10),
    parent: field(4),
    start: field(22),
    own: seconds(14, 15),
    reaped: seconds(16, 17),
  };
}
