import { readFile } from 'node:fs/promises';
import { waitFor } from './wait.ts';

/** A process that can be told from a later one with the same number: start in clock ticks since boot, where known. */
export interface ProcessId {
  pid: number;
  start?: string;
}

/** Which process this number means now; undefined when there is none (a zombie has ended, too). */
export async function identify(pid: number): Promise<ProcessId | undefined> {
  if (process.platform !== 'linux') return answersSignals(pid) ? { pid } : undefined;
  try {
    // proc(5): the name in parentheses may hold anything, so count from the last one. State is field 3, start 22.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, start: fields[19] };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** This very process. */
export async function thisProcess(): Promise<ProcessId> {
  return (await identify(process.pid)) ?? { pid: process.pid };
}

/** Whether exactly this process still runs. */
export async function isAlive(known: ProcessId): Promise<boolean> {
  const now = await identify(known.pid);
  return now !== undefined && now.start === known.start;
}

/** Ends exactly this process: SIGTERM, SIGKILL after `graceMs`, and waits until it is gone. Gone already is fine. */
export async function endProcess(known: ProcessId, graceMs = 10_000): Promise<void> {
  if (await sendSignal(known, 'SIGTERM')) {
    const ended = await waitFor(`end of process ${known.pid}`, graceMs, async () => !(await isAlive(known)), 20).catch(
      () => false,
    );
    if (ended) return;
    if (!(await sendSignal(known, 'SIGKILL'))) return;
    await waitFor(`end of killed process ${known.pid}`, 30_000, async () => !(await isAlive(known)), 20);
  }
}

async function sendSignal(known: ProcessId, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isAlive(known))) return false;
  try {
    return process.kill(known.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function answersSignals(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
