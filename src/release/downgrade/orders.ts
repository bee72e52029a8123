/**
 * Orders: what the runner is told to do, in three parts of a run. Each part has a name of its own, so that what the runner
 * says of one is never taken for another.
 */
import type { Act, Order, Orders } from '../model/act.ts';
import { asideName, copyName, hasCopy } from '../model/backup-names.ts';
import type { PlanStep, VerifyStep } from '../model/plan.ts';
import type { Release } from '../model/release.ts';
import type { Backup, Run } from '../model/run.ts';
import type { Progress, RunnerResult, RunnerState } from '../model/runner.ts';
import type { Part } from '../model/step-kinds.ts';
import type { WaitReason } from '../model/waits.ts';
import { failing } from './failure.ts';

/** The name under which the runner knows a part of the run. Each drain has a copy of its own. */
export function partName({ uid, status, spec }: Run, part: Part): string {
  if (part === 'copy') return `${uid}/copy/${status.drainedAt}`;
  if (part === 'return') return `${uid}/${part}`;
  // The same orders are done once only: a person's word makes them others.
  return spec.acceptRows ? `${uid}/rows-accepted` : uid;
}

/** The orders of one part. Throws when the record does not hold what they are made from: nothing is guessed. */
export function ordersOf(run: Run, part: Part): Orders {
  return { run: partName(run, part), steps: stepsOf(run, part) };
}

function stepsOf(run: Run, part: Part): Orders['steps'] {
  const { plan, backup } = run.status;
  if (!plan) throw new Error(`downgrade ${run.name} has no plan to order`);
  if (part === 'reverse')
    return plan.steps.flatMap((step) => (step.kind === 'verify' ? verifyOrder(step, run) : [orderOf(step)]));
  if (backup?.way === 'Dump') return dumpSteps(run, part, backup);
  const name = backup?.name ?? copyName(run);
  if (part === 'copy' && plan.backup.way !== 'ServerCopy') return [{ kind: 'count' }];
  const copy: Order = { kind: 'copy', name, run: run.uid };
  if (part === 'copy') return backup?.stale ? [{ kind: 'dropCopy', name }, copy] : [copy];
  if (hasCopy(run.status)) return [{ kind: 'takeBack', name: backup?.name, aside: asideName(run), run: run.uid }];
  return [{ kind: 'migrate' }];
}

/** Of the verified dump, or of none: each drain has a dump of its own name, so nothing of an earlier one is kept. */
function dumpSteps(run: Run, part: Exclude<Part, 'reverse'>, { name, keepUntil }: Backup): Orders['steps'] {
  if (part === 'copy') return [{ kind: 'dump', name, run: run.uid, ...(keepUntil ? { keepUntil } : {}) }];
  return hasCopy(run.status) ? [{ kind: 'restore', name, run: run.uid }] : [{ kind: 'migrate' }];
}

function orderOf(step: PlanStep): Order {
  const { kind } = step;
  if (kind === 'core') return { kind, toRevision: step.toRevision };
  if (kind === 'manager')
    return { kind, class: step.class, versionTable: step.versionTable, toRevision: step.toRevision };
  if (kind === 'repair') return { kind, crossed: step.crossed };
  return { kind };
}

/** The order for the step; none where the record has no counts, as in a run that an older downdraft began. */
function verifyOrder(step: VerifyStep, { status: { counted }, spec }: Run): Order[] {
  if (!counted?.rows) return [];
  const { kind, crossed, managers, readable } = step;
  const counts = Object.fromEntries(counted.rows);
  const uncounted = Object.fromEntries(counted.uncounted ?? []);
  const accept = spec.acceptRows ? { accept: true } : {};
  return [{ kind, counts, uncounted, crossed, managers, counted: step.counted, readable, ...accept }];
}

/** What the runner said at the end of a part of this run; undefined while it works, or has not begun. */
export function resultOf(runner: RunnerState, run: Run, part: Part): RunnerResult | undefined {
  return runner.state === 'ready' && runner.result?.run === partName(run, part) ? runner.result : undefined;
}

/** How far the runner is in a part of this run; undefined when it has not begun. */
export function progressOf(runner: RunnerState, run: Run, part: Part): Progress | undefined {
  if (runner.state !== 'ready' || runner.progress?.run !== partName(run, part)) return undefined;
  const { step, steps, kind, done, of, revision, message } = runner.progress;
  return { step, steps, kind, done, of, revision, message };
}

/**
 * What to do before anything can be ordered; undefined when the runner is ready. Why one ended is told, for this reason,
 * before another takes its place: else nobody would ever read that it had no memory left.
 */
export function bringRunner(release: Release, run: Run, reason: WaitReason): Act | undefined {
  const { runner } = release;
  if (runner.state === 'absent') return { act: 'startRunner' };
  if (runner.state === 'starting') return { act: 'wait', reason: 'RunnerStarting', message: runner.message };
  return runner.state === 'failed' ? failing(release, run, 'RunnerEnded', runner.message, reason) : undefined;
}
