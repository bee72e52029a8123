/** Report: what people and tools read of a run, made from facts. Written only when it differs from what stands there. */
import { describeRevision } from '../../release/airflow/revisions.ts';
import { type Pace, paceOf, withoutSizes } from '../../release/downgrade/pace.ts';
import { leftStopped } from '../../release/downgrade/paused-by-owner.ts';
import { outageSeconds, phaseOf, stepOf } from '../../release/downgrade/phase.ts';
import type { DowngradeObject } from '../../release/kubernetes/downgrade.ts';
import type { Act } from '../../release/model/act.ts';
import { same } from '../../release/model/json.ts';
import { type Reason, reasons } from '../../release/model/reasons.ts';
import type { Release } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import type { Condition, Shown } from '../../release/model/shown.ts';
import { isTrouble, overdue } from '../../release/model/waits.ts';
import { planInWords } from '../../release/plan/plan.ts';

/** What a Downgrade shows while `act` is what comes next. `before` is what it shows now. */
export function shownOf(release: Release, run: Run, act: Act, before: DowngradeObject['status']): Shown {
  const { reason, message, since, still } = stillness(explain(release, run, act), release, run, before);
  const outage = outageSeconds(run, release.now);
  const pace = paceOf(release, run);
  return {
    observedGeneration: run.generation,
    phase: reason === 'AwaitingApproval' ? reason : phaseOf(run.status),
    step: stepOf(run.status, message, { idle: isTrouble(reason) || reason === 'RunnerStarting', pace }),
    fromVersion: run.status.from?.version ?? tagOf(run.status.from?.image ?? ''),
    toVersion: run.status.toVersion ?? tagOf(run.to),
    outage: outage === undefined ? '' : `${outage}s`,
    ...(outage === undefined ? {} : { outageSeconds: outage }),
    reason,
    message,
    since,
    plan: planInWords(run.status.plan),
    ...safetyOf(run, reason === 'AwaitingApproval' ? message : ''),
    conditions: conditionsOf(release, run, { reason, message, still }, before?.conditions ?? [], pace),
  };
}

/** Since when this is what is said; what stands still for too long is said to. */
function stillness(
  { reason, message }: { reason: Reason; message: string },
  release: Release,
  run: Run,
  before: DowngradeObject['status'],
) {
  const said = withoutSizes(String(before?.message ?? ''));
  const same = before?.reason === reason && said.startsWith(withoutSizes(message));
  const since = (same && typeof before.since === 'string' && before.since) || release.now.toISOString();
  const late = run.status.completedAt ? undefined : overdue(reason, new Date(since), release);
  return { reason, message: `${message}${late ?? ''}`, since, still: late !== undefined };
}

/** What the plan costs and what it is safe by, for people and for whoever has to agree. */
function safetyOf({ status: { plan, backup } }: Run, approval: string) {
  const { way, name, namespace, path, named, verifiedAt, keepUntil, bytes, tables, rows, droppedAt } = backup ?? {};
  const claim = backup?.volume?.claim;
  const place = { name, namespace, claim, path, reference: named };
  const kept = { way, ...place, verifiedAt, keepUntil, bytes, tables, rows, droppedAt };
  return {
    planHash: plan?.hash ?? '',
    approval,
    losses: (plan?.losses ?? []).filter(({ count }) => count > 0).map(({ what }) => what),
    backup: backup ? Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) : {},
  };
}

function explain({ workloads }: Release, run: Run, act: Act): { reason: Reason; message: string } {
  const { outcome, plan } = run.status;
  if (outcome) return { reason: outcome, message: [ended(run, outcome), ...leftStopped(workloads)].join('; ') };
  if (act.act === 'wait') return { reason: act.reason, message: act.message || reasons[act.reason][1] };
  const phase = phaseOf(run.status);
  if (phase === 'Planning') return { reason: 'ProbeRunning', message: plan ? 'planned' : 'asking the images' };
  // A run that is done has an outcome.
  const reason = phase === 'Done' ? 'Downgraded' : phase;
  const compared = phase === 'Verifying' ? run.status.compared : undefined;
  return { reason, message: compared ?? reasons[reason][1] };
}

function ended(run: Run, outcome: NonNullable<Run['status']['outcome']>): string {
  const core = run.status.plan?.steps.find((s) => s.kind === 'core');
  if (outcome === 'Downgraded')
    return `the database is at ${core ? describeRevision(core.toRevision) : "the target's heads"}${run.status.outageSeconds === undefined ? '' : `, after an outage of ${run.status.outageSeconds} s`}`;
  const { backup, before } = run.status;
  if (outcome === 'Returned' && backup?.way === 'ServerCopy')
    return `the copy made before took the database's place again (${describeRevision(before?.alembic_version?.[0] ?? '')}); what was reversed is kept beside it`;
  if (outcome === 'Returned' && backup?.way === 'Dump')
    return `the dump made before was loaded again (${describeRevision(before?.alembic_version?.[0] ?? '')})`;
  return reasons[outcome][1];
}

/** kstatus' three and our own; a condition that does not change keeps its time. */
function conditionsOf(
  release: Release,
  run: Run,
  { reason, message, still }: { reason: Reason; message: string; still: boolean },
  before: Condition[],
  pace: Pace | undefined,
): Condition[] {
  const { status } = run;
  const over = status.completedAt !== undefined;
  const stalled = !over && (still || isTrouble(reason));
  const as = (type: string, value: boolean, why: string = reason, text = message): Condition => {
    const next = value ? 'True' : 'False';
    const old = before.find((c) => c.type === type);
    const since = old?.status === next ? old.lastTransitionTime : release.now.toISOString();
    return {
      type,
      status: next,
      reason: why,
      message: text,
      lastTransitionTime: since,
      observedGeneration: run.generation,
    };
  };
  return [
    as('Ready', over),
    as('Reconciling', !over && !stalled),
    as('Stalled', stalled),
    as('Approved', Boolean(status.drainStartedAt), status.drainStartedAt ? 'Approved' : 'NotYet', ''),
    as('Drained', Boolean(status.drainedAt), status.drainedAt ? 'Drained' : 'NotYet', ''),
    as('BackedUp', Boolean(status.backup?.verifiedAt), status.backup?.verifiedAt ? status.backup.way : 'NotYet', ''),
    as('Downgraded', Boolean(status.verifiedAt), status.verifiedAt ? 'Verified' : 'NotYet', status.compared ?? ''),
    // Shown from the first time on: most runs have none.
    ...(pace?.late || before.some(({ type }) => type === 'Late')
      ? [as('Late', Boolean(pace?.late), pace?.late ? 'Late' : 'InTime', pace?.late ?? '')]
      : []),
  ];
}

/** What a Downgrade shows when nothing could be observed: it is stalled, and all else stays as it was last seen. */
export function stalledBy({ status, metadata }: DowngradeObject, message: string, now: Date) {
  const before = status?.conditions ?? [];
  const reason: Reason = 'Blocked';
  const as = (type: string, is: Condition['status']): Condition => {
    const old = before.find((c) => c.type === type);
    const lastTransitionTime = old?.status === is ? old.lastTransitionTime : now.toISOString();
    return { type, status: is, reason, message, lastTransitionTime, observedGeneration: metadata.generation ?? 0 };
  };
  const others = before.filter(({ type }) => type !== 'Reconciling' && type !== 'Stalled');
  return { reason, message, conditions: [...others, as('Reconciling', 'False'), as('Stalled', 'True')] };
}

/**
 * True when the two say different things. The running seconds of the outage and the sizes in a text are not worth a write
 * by themselves: what is watched for hours must not be rewritten every few seconds.
 */
export function differs(before: DowngradeObject['status'], shown: Shown): boolean {
  const { outage: _, outageSeconds: __, conditions, ...rest } = shown;
  const old: Record<string, unknown> & Pick<Partial<Shown>, 'conditions' | 'outage'> = before ?? {};
  if (Object.entries(rest).some(([key, value]) => !same(sized(old[key]), sized(value)))) return true;
  const seconds = (text: unknown) => Number.parseInt(String(text || '0'), 10);
  const grain = seconds(shown.outage) < 120 ? 5 : 60;
  if (Math.abs(seconds(old.outage) - seconds(shown.outage)) >= grain) return true;
  const texts = (all: Condition[] | undefined) => all?.map((c) => ({ ...c, message: sized(c.message) }));
  return !same(texts(old.conditions), texts(conditions));
}

function sized(value: unknown): unknown {
  return typeof value === 'string' ? withoutSizes(value) : value;
}

/** While these last, their sentences hold numbers that move. */
const quiet: Reason[] = ['Downgrading', 'NoProgress', 'LongStep'];

/** What an event says first when a step that someone was asked about goes on. */
const over: Partial<Record<Reason, string>> = {
  NoProgress: 'it progresses again: ',
  LongStep: 'the long step is over: ',
};

/** The events that a change of what is shown is worth. */
export function newsOf(before: DowngradeObject['status'], shown: Shown) {
  const { reason, message, conditions } = shown;
  const [old, said] = [before?.reason, before?.message];
  const isTrue = (type: string, all: Condition[] | undefined) => all?.find((c) => c.type === type)?.status === 'True';
  const news: { type: 'Normal' | 'Warning'; reason: Reason; message: string }[] = [];
  const stalled = isTrue('Stalled', conditions);
  const first = !stalled && old !== reason && old && over[old];
  if (old !== reason || (said !== message && !quiet.includes(reason)))
    news.push({ type: stalled ? 'Warning' : 'Normal', reason, message: `${first || ''}${message}` });
  const late = conditions.find(({ type }) => type === 'Late');
  if (late?.status === 'True' && !isTrue('Late', before?.conditions))
    news.push({ type: 'Warning', reason: 'Late', message: late.message });
  return news;
}

function tagOf(image: string): string {
  return image.slice(image.lastIndexOf('/') + 1).split(':')[1] ?? image;
}
