/**
 * The processor time of a command and of all that it starts, user and system: the same on a busy machine as on a quiet one.
 *
 * What is waited for adds up in its parent, up to this process. What outlives its parent (a server that made itself a
 * daemon, a container) does not: it is known by a mark in its environment, and looked at until it ends. Linux only.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type Stat, statOf } from './procstat.ts';

const mark = 'DOWNDRAFT_METER';

export interface Meter {
  /** For the command. */
  env: Record<string, string>;
  /** Seconds since the start; undefined where nothing can be known. To be asked once, when the command has ended. */
  end(): Promise<number | undefined>;
}

export async function startMeter(name: string, everyMs = 2000): Promise<Meter> {
  if (!existsSync('/proc/self/stat')) return { env: {}, end: async () => undefined };
  const value = `${name}-${process.pid}-${performance.now()}`;
  const before = (await statOf('self'))!.reaped;
  const adrift = new Map<string, number>();
  const known = new Map<string, boolean>();
  const ending = new AbortController();
  const looking = lookUntil(ending.signal, () => lookAt(`${mark}=${value}`, known, adrift), everyMs);
  return {
    env: { [mark]: value },
    async end() {
      ending.abort();
      await looking;
      const reaped = (await statOf('self'))!.reaped - before;
      return reaped + [...adrift.values()].reduce((sum, seconds) => sum + seconds, 0);
    },
  };
}

async function lookUntil(signal: AbortSignal, look: () => Promise<void>, everyMs: number): Promise<void> {
  while (!signal.aborted) {
    await look();
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Notes what the marked processes that do not descend from this one have used, with all below them. */
async function lookAt(marked: string, known: Map<string, boolean>, adrift: Map<string, number>): Promise<void> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const stats = (await Promise.all(pids.map(statOf))).filter((stat) => stat !== undefined);
  const byPid = new Map(stats.map((stat) => [stat.pid, stat]));
  const unknown = stats.filter((stat) => !known.has(idOf(stat)));
  await Promise.all(unknown.map(async (stat) => known.set(idOf(stat), await carries(stat.pid, marked))));
  const seconds = new Map<string, number>();
  for (const stat of stats) {
    const line: Stat[] = [];
    for (let at: Stat | undefined = stat; at; at = byPid.get(at.parent)) line.push(at);
    const top = line.findLast((at) => known.get(idOf(at)));
    if (!top || line.some(({ pid }) => pid === process.pid)) continue;
    seconds.set(idOf(top), (seconds.get(idOf(top)) ?? 0) + stat.own + stat.reaped);
  }
  for (const [id, used] of seconds) adrift.set(id, Math.max(adrift.get(id) ?? 0, used));
}

/** Whether it was started with this in its environment. */
async function carries(pid: number, marked: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  return environment.split('\0').includes(marked);
}

const idOf = ({ pid, start }: Stat) => `${pid} ${start}`;
