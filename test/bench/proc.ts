/** What Linux says of a process, proc(5). */
import { readFile } from 'node:fs/promises';
import { statOf } from '../procstat.ts';

/** Processor time of all its threads so far, in seconds, to a hundredth. */
export async function processorSeconds(pid: number): Promise<number> {
  const stat = await statOf(pid);
  if (!stat) throw new Error(`there is no process ${pid}`);
  return stat.own;
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
