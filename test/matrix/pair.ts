/** One pair of the matrix: a copy of the newer version's database is downgraded, and the older version works on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '../cluster/run/cache.ts';
import { type Counts, countRows, type Difference, differences } from './counts.ts';
import { type Downgraded, downgrade } from './downgrade.ts';
import { type Installation, installation } from './installation.ts';
import { untold } from './losses.ts';
import { nameOf, type Pair } from './pairs.ts';
import type { Server } from './server.ts';
import { sinceOf, sourceDatabase } from './source.ts';
import { changedValues, checkMigrations, letWork, type Sweep, sweep } from './verify.ts';

export interface PairResult {
  pair: string;
  ok: boolean;
  /** What is wrong; each one alone makes the pair fail. */
  why: string[];
  outcome: 'reversed' | 'blocked' | 'broke';
  /** Blockers that were met, as they must be, before their remedy. */
  blockedFirst?: string[];
  seconds: Record<string, number>;
  heads: Downgraded['versionTables'];
  plan: Pick<Downgraded['plan'], 'conversions' | 'losses' | 'notes'> & { steps: string[]; blockers: string[] };
  facts: unknown[];
  rows: { tables: number; rows: number; differences: Difference[] };
  /** Serialized Dags that the older version could not load before its first parse. */
  stale: string[];
}

/** What is in the newer version's database before anything is done: rows by table, and values as it reads them. */
export interface Before {
  counts: Counts;
  sweep: Sweep;
}

/** Looks at the database that a source made; the same for all pairs of that version. */
export async function lookBefore(server: Server, version: string): Promise<Before> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-matrix-'));
  try {
    const surroundings = { gate: join(folder, 'gate'), since: await sinceOf(server), env: server.env };
    const newer = await installation(version, server.url(sourceDatabase), folder, surroundings);
    const before = { counts: await countRows(server, sourceDatabase), sweep: await sweep(newer) };
    if (before.sweep.errors.length > 0) throw new Error(`${version} can't read its own rows: ${before.sweep.errors}`);
    return before;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs one pair on the server of its newer version. Throws only where the matrix itself is at fault. */
export async function runPair(server: Server, pair: Pair, before: Before, say: Progress): Promise<PairResult> {
  const name = nameOf(pair);
  const { from, to } = pair;
  const database = `pair_${name.replaceAll(/\W/g, '_')}`;
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-matrix-'));
  await server.drop(database);
  await server.copy(sourceDatabase, database);
  const gate = join(folder, 'gate');
  const surroundings = { gate, since: await sinceOf(server), env: server.env };
  const at = (version: string, part: string) =>
    installation(version, server.url(database), join(folder, part), surroundings);
  const [newer, older] = [await at(from, 'newer'), await at(to, 'older')];
  try {
    say(`${name}: downgrades it`);
    let done = await downgrade(older.env, newer.env, folder);
    let result = judge(pair, done, before.counts, await countRows(server, database));
    if (result.outcome === 'blocked' && result.why.length === 0 && pair.remedy) {
      say(`${name}: blocked, as it must be; does as the plan says`);
      await server.query(database, pair.remedy);
      const counts = await countRows(server, database);
      const blockedFirst = result.plan.blockers;
      done = await downgrade(older.env, newer.env, folder);
      result = {
        ...judge({ from, to, server: pair.server }, done, counts, await countRows(server, database)),
        blockedFirst,
      };
    }
    if (result.outcome === 'reversed') {
      say(`${name}: the older one works on it`);
      await verify(result, done, older, before.sweep, server, database, gate, pair);
    }
    result.ok = result.why.length === 0;
    say(`${name}: ${result.ok ? result.outcome : `FAILED: ${result.why.join('; ')}`}`);
    return result;
  } finally {
    await older.stop();
    await server.drop(database);
    await rm(folder, { recursive: true, force: true });
  }
}

/** What is wrong so far, by the plan, the runner's word and the rows. */
function judge(pair: Pair, done: Downgraded, before: Counts, after: Counts): PairResult {
  const { conversions, losses, notes } = done.plan;
  const blockers = done.plan.blockers.map(({ message }) => message);
  const outcome = blockers.length > 0 ? 'blocked' : done.error ? 'broke' : 'reversed';
  const found = differences(before, after);
  const why: string[] = [];
  if (done.error) why.push(`broke: ${done.error}`);
  why.push(...blockers.filter((message) => !pair.blocked?.test(message)).map((message) => `blocked: ${message}`));
  if (pair.blocked && outcome !== 'blocked') why.push(`the plan did not see what must block it: ${pair.blocked}`);
  if (outcome === 'blocked' && found.length > 0) why.push('blocked, and yet rows are gone');
  if (outcome === 'reversed') why.push(...untold(found, losses), ...farTask(pair, losses));
  return {
    pair: nameOf(pair),
    ok: false,
    why,
    outcome,
    seconds: done.seconds,
    heads: done.versionTables,
    plan: { steps: done.words, blockers, conversions, losses, notes },
    facts: done.facts,
    rows: {
      tables: Object.keys(after).length,
      rows: Object.values(after).reduce((a, b) => a + b, 0),
      differences: found,
    },
    stale: [],
  };
}

/** Whether the plan tells of deferred tasks just where the older version can't take one up. */
function farTask({ farFails }: Pair, losses: readonly { what: string }[]): string[] {
  const told = losses.map(({ what }) => what).filter((what) => what.includes('deferred tasks wait'));
  if (!farFails)
    return told.map((what) => `the plan tells of deferred tasks that the older version can take up: ${what}`);
  return told.some((what) => farFails.test(what))
    ? []
    : [`the plan did not tell that a deferred task fails: ${farFails}`];
}

async function verify(
  result: PairResult,
  { target, versionTables: { after } }: Downgraded,
  older: Installation,
  before: Sweep,
  server: Server,
  database: string,
  gate: string,
  { farFails }: Pair,
): Promise<void> {
  const { why, seconds } = result;
  const wanted = {
    alembic_version: [target.coreHead],
    ...Object.fromEntries((target.managers ?? []).map((m) => [m.versionTable, m.heads])),
  };
  for (const [table, heads] of Object.entries(wanted))
    if (String(after[table]) !== String(heads)) why.push(`${table} is at ${after[table]}, the target wants ${heads}`);
  const attempt = async (what: string, act: () => Promise<void>) => {
    const began = performance.now();
    await act().catch((error: Error) => why.push(`${what}: ${error.message.slice(0, 3000)}`));
    seconds[what] = Math.round(performance.now() - began) / 1000;
  };
  await attempt('check-migrations', () => checkMigrations(older));
  await attempt('every row is loaded', async () => {
    const seen = await sweep(older);
    result.stale = seen.stale;
    why.push(...seen.errors, ...changedValues(before, seen));
  });
  await attempt('the older version works', async () => {
    why.push(
      ...(await letWork(
        older,
        (sql, parameters) => server.query(database, sql, parameters),
        gate,
        farFails !== undefined,
      )),
    );
  });
}
