/**
 * A million task instances: how long looking, copying and each reverse script take, kept in large.json beside the estimate
 * that the plan gives (src/release/plan/estimate.ts).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ordersOf } from '../../src/release/downgrade/orders.ts';
import { countedBy } from '../../src/release/downgrade/rows.ts';
import type { Plan } from '../../src/release/model/plan.ts';
import type { Run } from '../../src/release/model/run.ts';
import { estimateSeconds } from '../../src/release/plan/estimate.ts';
import { planDowngrade } from '../../src/release/plan/plan.ts';
import type { Progress } from '../cluster/run/cache.ts';
import { type Runner, type RunnerFiles, startRunner } from '../inside/airflow.ts';
import { countRows } from './counts.ts';
import { processorOf } from './cputime.ts';
import { probe } from './downgrade.ts';
import { installation } from './installation.ts';
import { type Large, type LargeDowngrade, largeFile, type Spent } from './largefile.ts';
import { type Multiple, multiply } from './multiply.ts';
import type { Server } from './server.ts';
import { sourceDatabase, startSource } from './source.ts';

const from = '3.2.1';

/** Matrix runs have 7 task instances of every kind; those of the other Dag are deferred. */
function multiples(taskInstances: number): Multiple[] {
  const waiting = Math.ceil(taskInstances / 1000);
  return [
    { dag: 'matrix_works', run: 'first', times: Math.ceil((taskInstances - 3 * waiting) / 7) },
    { dag: 'matrix_waits', run: 'first', times: waiting },
  ];
}

/** Measures and writes large.json. `under` says in words what else the machine did. */
export async function measureLarge(taskInstances: number, targets: string[], under: string, say: Progress) {
  const server = await startSource({ from, server: 'postgresql' }, false, say);
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-large-'));
  try {
    await server.copy(sourceDatabase, 'many');
    for (const multiple of multiples(taskInstances)) {
      say(`${multiple.times} times ${multiple.dag}`);
      await multiply(server, 'many', multiple);
    }
    // What the reverse scripts before 3.2.2 refuse: a person deletes it before.
    await server.query('many', 'DELETE FROM deadline');
    await server.query('many', 'VACUUM ANALYZE');
    const rows = Object.fromEntries(Object.entries(await countRows(server, 'many')).filter(([, count]) => count > 999));
    const measured: Measured[] = [];
    for (const to of targets) measured.push(await measure(server, to, folder, say));
    const large: Large = {
      about: 'Made by npm run test:matrix -- --large: rows of a run of Airflow, multiplied by INSERT … SELECT.',
      machine: machine(under),
      from,
      rows,
      sizes: measured[0]!.sizes,
      downgrades: measured.map(({ downgrade }) => downgrade),
    };
    await writeFile(largeFile, `${JSON.stringify(large, null, 1)}\n`);
  } finally {
    await server.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

function machine(under: string): string {
  const [cpu] = cpus();
  return `${cpus().length} cores of ${cpu?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, PostgreSQL 18 with fsync off; ${under}`;
}

interface Measured {
  downgrade: LargeDowngrade;
  sizes: Large['sizes'];
}

async function measure(server: Server, to: string, folder: string, say: Progress): Promise<Measured> {
  const database = `many_${to.replaceAll('.', '_')}`;
  await server.copy('many', database);
  const surroundings = { gate: join(folder, 'gate'), since: new Date(), env: server.env };
  const at = async (version: string) =>
    await installation(version, server.url(database), join(folder, version), surroundings);
  const [newer, older] = [await at(from), await at(to)];
  const target = await probe(older.env);
  const runner = await startRunner(newer.env, await mkdtemp(join(folder, 'runner-')));
  try {
    const inspection = await runner.file('inspect.json', () => true, hour);
    if (inspection.error) throw new Error(`inspection: ${inspection.error}`);
    const plan = planDowngrade(inspection, target, { ways: [], named: { waivedBy: 'the matrix' } });
    if (plan.blockers.length > 0) throw new Error(JSON.stringify(plan.blockers));
    const processor = await processorOf(server, 'postgres', runner.child.pid!);
    const { crossed, expected } = expectation(plan, inspection);
    say(`${from}-${to}: ${expected.why}`);
    const timed = await carryOut(runner, processor, plan, `${database}_copy`, say);
    const inspect = Math.round((inspection.seconds?.inspect ?? Number.NaN) * 1000) / 1000;
    const seconds = { inspect, ...timed.seconds };
    const downgrade = { to, crossed, ...timed, seconds };
    return { downgrade, sizes: inspection.sizes! };
  } finally {
    await runner.stop();
    for (const one of [database, `${database}_copy`]) await server.drop(one);
  }
}

const hour = 3_600_000;

/** The revisions that the plan reverses, and how long it says that it takes. */
function expectation(plan: Plan, inspection: RunnerFiles['inspect.json']) {
  const repair = plan.steps.find((step) => step.kind === 'repair');
  const crossed = repair?.crossed ?? [];
  return { crossed, expected: estimateSeconds(inspection, new Set(crossed)) };
}

/** Orders the copy, then the plan; the seconds of both and of each slow reverse script. */
async function carryOut(runner: Runner, processor: () => Promise<number>, plan: Plan, copy: string, say: Progress) {
  const { identity } = plan;
  await runner.order({ token: 1, run: 'copy', identity, steps: [{ kind: 'copy', name: copy, run: 'matrix' }] });
  const copied = finished(await runner.file('result.json', ({ run }) => run === 'copy', hour));
  say(`the copy took ${copied.seconds?.[0]} s`);
  const run = { name: 'matrix', uid: 'matrix', spec: {}, status: { plan, drainedAt: 'now' } } as unknown as Run;
  const { counted } = countedBy(run, { ok: true, ...(copied.facts ? { facts: copied.facts } : {}) });
  const watch = watchRevisions(runner, processor);
  await runner.order({ token: 2, identity, ...ordersOf({ ...run, status: { ...run.status, counted } }, 'reverse') });
  const result = finished(await runner.file('result.json', ({ token }) => token === 2, hour));
  const spent = await watch();
  const steps = plan.steps.map((step, at) => [step.kind, result.seconds?.[at] ?? Number.NaN] as const);
  const seconds: Record<string, number> = { copy: copied.seconds?.[0] ?? Number.NaN, ...Object.fromEntries(steps) };
  say(`reversed: ${JSON.stringify({ seconds, ...spent })}`);
  return { ...spent, seconds };
}

function finished(result: RunnerFiles['result.json']): RunnerFiles['result.json'] {
  if (!result.ok) throw new Error(`step ${result.error?.step} at ${result.error?.revision}: ${result.error?.message}`);
  return result;
}

interface Moment extends Spent {
  name: string;
}

/** Reads progress.json again and again; answers how to end that, and to have the seconds of each revision. */
function watchRevisions(runner: Runner, processor: () => Promise<number>) {
  const moments: Moment[] = [];
  let ended = false;
  const look = async () => {
    while (!ended) {
      const seen = await runner.read('progress.json');
      const name = seen?.kind !== 'core' ? '' : seen.done === seen.of ? 'end' : seen.revision;
      if (name && seen?.since && moments.at(-1)?.name !== name)
        moments.push({ name, seconds: seen.since, processor: await processor() });
      await delay(20);
    }
  };
  const looking = look();
  return async () => {
    ended = true;
    await looking;
    const spent = moments.slice(1).map((next, at) => [moments[at]!.name, between(moments[at]!, next)] as const);
    const byRevision = Object.fromEntries(spent.filter(([, { seconds }]) => seconds >= 0.5));
    return { byRevision, core: between(moments[0]!, moments.at(-1)!) };
  };
}

function between(one: Spent, next: Spent): Spent {
  const rounded = (value: number) => Math.round(value * 100) / 100;
  return { seconds: rounded(next.seconds - one.seconds), processor: rounded(next.processor - one.processor) };
}
