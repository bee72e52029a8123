/** What Linux says of a process, proc(5). */
import { readFile } from 'node:fs/promises';

/** Fixed for programs on Linux, whatever the kernel's own clock (sysconf(_SC_CLK_TCK)). */
const ticksPerSecond = 100;

/** Processor time of all its threads so far, in seconds, to a hundredth. */
export async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name in parentheses may hold anything, so count from the last one: utime is field 14, stime 15, the state 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory now, in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  return (await statusKiB(pid, 'VmRSS')) / 1024;
}

/** The most that was ever resident, in MiB. */
export async function peakMiB(pid: number): Promise<number> {
  return (await statusKiB(pid, 'VmHWM')) / 1024;
}

async function statusKiB(pid: number, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  if (kib === undefined) throw new Error(`/proc/${pid}/status does not tell ${field}`);
  return Number(kib);
}
