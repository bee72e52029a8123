/** One downgrade as the controller does it, without a cluster: probe, runner, plan, orders, result. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { probeScript, shellCommand, takeUpScript } from '../../src/inside/bundle.ts';
import { ordersOf } from '../../src/release/downgrade/orders.ts';
import { countedBy } from '../../src/release/downgrade/rows.ts';
import type { ImageKnowledge } from '../../src/release/model/image.ts';
import type { Plan } from '../../src/release/model/plan.ts';
import type { Run } from '../../src/release/model/run.ts';
import type { TakeUp } from '../../src/release/model/runner.ts';
import { planDowngrade, planInWords } from '../../src/release/plan/plan.ts';
import { unasked } from '../../src/release/plan/triggers.ts';
import { run as runCommand } from '../cluster/run/command.ts';
import { type Runner, startRunner } from '../inside/airflow.ts';

/** What the target said, what was planned, and what came of it. */
export interface Downgraded {
  target: ImageKnowledge;
  plan: Plan;
  words: string[];
  versionTables: { before: Record<string, string[]>; after: Record<string, string[]> };
  seconds: Record<string, number>;
  facts: unknown[];
  /** The runner's error. A plan with blockers is not ordered at all. */
  error?: string;
}

/** Asks, plans, and carries the plan out unless it is blocked. `folder` is for the runner's files. */
export async function downgrade(
  older: NodeJS.ProcessEnv,
  newer: NodeJS.ProcessEnv,
  folder: string,
): Promise<Downgraded> {
  const seconds: Record<string, number> = {};
  const timed = async <T>(name: string, act: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const done = await act();
    seconds[name] = Math.round(performance.now() - began) / 1000;
    return done;
  };
  const target = await timed('probe', () => probe(older));
  // A folder of its own: what a former runner said stays in its folder until the next has begun.
  const runner = await startRunner(newer, await mkdtemp(join(folder, 'runner-')));
  try {
    const inspection = await timed('inspect', () => runner.file('inspect.json', () => true, 300_000));
    if (inspection.error) throw new Error(`inspection: ${inspection.error}`);
    const takeUps = await timed('triggers', () => askTriggers(older, unasked(inspection.triggers)));
    const plan = planDowngrade(inspection, target, { ways: [], named: { waivedBy: 'the matrix' }, takeUps });
    const before = inspection.database.versionTables;
    const made = { target, plan, words: planInWords(plan), seconds, facts: [] };
    if (plan.blockers.length > 0) return { ...made, versionTables: { before, after: before } };
    return { ...made, ...(await obey(runner, plan, before, seconds)) };
  } finally {
    await runner.stop();
  }
}

/** What the image with this environment wants. */
export async function probe(env: NodeJS.ProcessEnv): Promise<ImageKnowledge> {
  const told = await answerOf<{
    airflowVersion: string;
    coreHeads: string[];
    managers: { class: string; versionTable: string; heads: string[] }[];
  }>(probeScript(), env);
  const { airflowVersion: version, coreHeads, managers } = told;
  return { image: `apache/airflow:${version}`, source: 'probe', version, coreHead: coreHeads[0]!, managers };
}

async function askTriggers(env: NodeJS.ProcessEnv, asked: ReturnType<typeof unasked>): Promise<TakeUp[]> {
  if (asked.length === 0) return [];
  const question = { DOWNDRAFT_TRIGGERS: JSON.stringify(asked) };
  return (await answerOf<{ triggers: TakeUp[] }>(takeUpScript(), { ...env, ...question })).triggers;
}

/** What a program of ours says in its one line, after its mark. */
async function answerOf<T>(script: string, env: NodeJS.ProcessEnv): Promise<T> {
  const [command, ...args] = shellCommand(script);
  const { stdout } = await runCommand(command!, args, { env });
  return JSON.parse(stdout.replace(/^[\s\S]*DOWNDRAFT-\w+ (?=\{)/, '')) as T;
}

async function obey(runner: Runner, plan: Plan, before: Record<string, string[]>, seconds: Record<string, number>) {
  const run = { name: 'matrix', uid: 'matrix', spec: {}, status: { plan, drainedAt: 'now' } } as unknown as Run;
  await runner.order({ token: 1, identity: plan.identity, ...ordersOf(run, 'copy') });
  const first = await runner.file('result.json');
  if (!first.ok) throw new Error(`counting: ${first.error?.message}`);
  const { counted } = countedBy(run, { ok: true, ...(first.facts ? { facts: first.facts } : {}) });
  seconds.count = first.seconds?.[0] ?? 0;
  const orders = ordersOf({ ...run, status: { ...run.status, counted } }, 'reverse');
  await runner.order({ token: 2, identity: plan.identity, ...orders });
  // The many small statements of the reverse scripts take minutes on MySQL when the machine is busy.
  const result = await runner.file('result.json', ({ token }) => token === 2, 600_000);
  const spent = (result.seconds ?? []) as unknown as number[];
  plan.steps.forEach((step, at) => {
    if (spent[at] !== undefined) seconds[step.kind === 'manager' ? step.versionTable : step.kind] = spent[at];
  });
  const facts = (result as { facts?: unknown[] }).facts ?? [];
  const versionTables = { before, after: result.versionTables };
  const { kind, message, step, revision } = result.error ?? {};
  const error = result.ok ? {} : { error: `step ${step} at ${revision}: ${kind}: ${message}` };
  return { versionTables, facts, ...error };
}
