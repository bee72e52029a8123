/** The whole measurement: starts the servers, loads one after the other in interleaved rounds, ends them. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Size, sizes, writeBodies } from './bodies.ts';
import { startDatabase } from './database.ts';
import { withFolder } from './folder.ts';
import { medians, type Round, runLoad } from './load.ts';
import { peakMiB, residentMiB } from './proc.ts';
import { ensureGo, ensurePepr } from './programs.ts';
import { makeCertificates, type Place, type Server, startDowndraft, startGo, startPepr } from './servers.ts';
import { releaseCount } from './world.ts';

export type Case = Size | `${Size} held` | '8 KB held, database read';

export interface Results {
  machine: { cores: number; model: string; node: string };
  releases: number;
  rounds: number;
  seconds: number;
  /** Medians over the rounds, by case and server. */
  figures: Record<string, Record<string, Round>>;
  /** MiB of each server: before the first review, a while after the last round of 1 MB bodies, and at most ever. */
  memory: Record<string, { rest: number; afterLarge: number; peak: number }>;
}

/** One thing to measure: what is sent to whom. */
export interface Trial {
  name: Case;
  server: Server;
  bodies: string;
}

interface Length {
  rounds: number;
  seconds: number;
}

/**
 * Until what runs often is compiled, a small review costs a fifth more. A replica runs for weeks, so before the rounds of small
 * ones each server gets so many, in seconds or, on a busy machine, half a minute at most.
 */
const warmUp = { seconds: 30, most: 25_000 };

/** Every runtime here gives memory back only once it is quiet. */
const settleMs = 3_000;

type Say = (text: string) => void;

/** What every answer of a server must contain, so that a wrong answer is not counted as a fast one. */
function expected(server: Server, held: boolean): string[] {
  if (server.name !== 'downdraft') return ['"allowed":true'];
  return held ? ['"reason":"DatabaseAhead"', '"patch":"'] : ['"verdict":"allow"', '"reason":"Fits"'];
}

/** Measures everything. Throws when a server does not start or answers wrongly, or when `signal` says stop. */
export async function measureAll({ rounds, seconds }: Length, say: Say, signal: AbortSignal): Promise<Results> {
  const go = await ensureGo(say);
  const pepr = await ensurePepr(say);
  return await withFolder(async (folder, stack) => {
    const bodies = await writeAll(folder);
    const place = { folder, certificates: await makeCertificates(folder), sample: join(bodies['8 KB'], '0000.json') };
    const start = async (starting: Promise<Server>) => stack.adopt(await starting, (server) => server.stop());
    const downdraft = await start(startDowndraft(place));
    const servers = [downdraft, await start(startGo(place, go)), await start(startPepr(place, pepr))];
    const rest = new Map<string, number>();
    for (const { name, pid } of servers) rest.set(name, await residentMiB(pid));

    const trials = trialsOf(servers, bodies);
    const told = await runTrials(go, trials, { rounds, seconds }, say, signal);
    const memory: Results['memory'] = {};
    await delay(settleMs);
    for (const { name, pid } of servers)
      memory[name] = { rest: rest.get(name)!, afterLarge: await residentMiB(pid), peak: await peakMiB(pid) };
    for (const server of servers) await server.stop();
    const reading = await measureReading(go, place, bodies, { rounds, seconds }, say, signal);
    const [{ model } = { model: 'unknown' }] = cpus();
    const machine = { cores: cpus().length, model, node: process.version };
    const figures = figuresOf([...told, ...reading]);
    return { machine, releases: releaseCount, rounds, seconds, figures, memory };
  });
}

type Bodies = Record<Size | `${Size} held`, string>;

async function writeAll(folder: string): Promise<Bodies> {
  const written: Partial<Bodies> = {};
  for (const size of Object.keys(sizes) as Size[]) {
    written[size] = await writeBodies(folder, size, 'allow');
    written[`${size} held`] = await writeBodies(folder, size, 'hold');
  }
  return written as Bodies;
}

function trialsOf(servers: Server[], bodies: Bodies): Trial[] {
  return (['8 KB', '8 KB held', '1 MB', '1 MB held'] as const).flatMap((name) =>
    servers
      .filter((server) => server.name === 'downdraft' || !name.endsWith('held'))
      .map((server) => ({ name, server, bodies: bodies[name] })),
  );
}

/** A hold for which a real PostgreSQL is read; nothing that could be compared with it. */
async function measureReading(go: string, place: Place, bodies: Bodies, length: Length, say: Say, signal: AbortSignal) {
  await using database = await startDatabase(place.folder);
  const server = await startDowndraft(place, database.url);
  try {
    const trial: Trial = { name: '8 KB held, database read', server, bodies: bodies['8 KB held'] };
    return await runTrials(go, [trial], length, say, signal);
  } finally {
    await server.stop();
  }
}

/** Interleaved rounds of the trials of each case, after one that only warms up. */
export async function runTrials(
  go: string,
  trials: Trial[],
  { rounds, seconds }: Length,
  say: Say,
  signal: AbortSignal,
) {
  const told: { trial: Trial; round: Round }[] = [];
  for (const name of new Set(trials.map((trial) => trial.name))) {
    say(name);
    for (let count = 0; count <= rounds; count++)
      for (const trial of trials.filter((t) => t.name === name)) {
        signal.throwIfAborted();
        const expect = expected(trial.server, name.includes('held'));
        const length = count === 0 && name.startsWith('8 KB') ? warmUp : { seconds };
        const round = await runLoad(go, trial.server, { bodies: trial.bodies, expect, ...length });
        if (count > 0) told.push({ trial, round });
      }
  }
  return told;
}

/** The medians, by case and server. */
function figuresOf(told: { trial: Trial; round: Round }[]): Results['figures'] {
  const groups = Map.groupBy(told, ({ trial }) => `${trial.name}/${trial.server.name}`);
  const figures: Results['figures'] = {};
  for (const group of groups.values()) {
    const { name, server } = group[0]!.trial;
    figures[name] ??= {};
    figures[name][server.name] = medians(group.map(({ round }) => round));
  }
  return figures;
}
