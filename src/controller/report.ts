/** Report: what people and tools read of a run, made from facts. Written only when it differs from what stands there. */
import { describeRevision } from '../release/heads.ts';
import type { Act } from '../release/next.ts';
import { outageSeconds, type Phase, phaseOf, stepOf } from '../release/phase.ts';
import { planInWords } from '../release/plan.ts';
import { type Reason, reasons } from '../release/reasons.ts';
import type { DowngradeObject } from '../release/record.ts';
import type { Release, Run } from '../release/release.ts';
import { same } from '../release/same.ts';

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration: number;
}

/** The shown part of a Downgrade's status, beside its record. */
export interface Shown {
  observedGeneration: number;
  phase: string;
  step: string;
  fromVersion: string;
  toVersion: string;
  outage: string;
  outageSeconds?: number;
  reason: Reason;
  message: string;
  /** The plan in words: each step, what stands in the way, what is not done. */
  plan: string[];
  conditions: Condition[];
  [other: string]: unknown;
}

/** What a Downgrade shows while `act` is what comes next. `before` is what it shows now. */
export function shownOf(release: Release, run: Run, act: Act, before: DowngradeObject['status']): Shown {
  const { reason, message } = explain(run, act);
  const outage = outageSeconds(run, release.now);
  return {
    observedGeneration: run.generation,
    phase: reason === 'AwaitingApproval' ? reason : phaseOf(run.status),
    step: stepOf(run.status, message, isTrouble(reason) || reason === 'RunnerStarting'),
    fromVersion: run.status.from?.version ?? tagOf(run.status.from?.image ?? ''),
    toVersion: run.status.toVersion ?? tagOf(run.to),
    outage: outage === undefined ? '' : `${outage}s`,
    ...(outage === undefined ? {} : { outageSeconds: outage }),
    reason,
    message,
    plan: planInWords(run.status.plan),
    ...safetyOf(run, reason === 'AwaitingApproval' ? message : ''),
    conditions: conditionsOf(release, run, reason, message, (before?.conditions as Condition[] | undefined) ?? []),
  };
}

/** What the plan costs and what it is safe by, for people and for whoever has to agree. */
function safetyOf({ status: { plan, backup } }: Run, approval: string) {
  const { way, name, named, verifiedAt, keepUntil, bytes, droppedAt } = backup ?? {};
  const kept = { way, name, reference: named, verifiedAt, keepUntil, bytes, droppedAt };
  return {
    planHash: plan?.hash ?? '',
    approval,
    losses: (plan?.losses ?? []).filter(({ count }) => count > 0).map(({ what }) => what),
    backup: backup ? Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) : {},
  };
}

const stalledReasons: Reason[] = [
  'TargetImageNotStarted',
  'RunnerNotStarted',
  'NoOldPod',
  'RowsUnreadable',
  'ProviderNotReversible',
  'OtherDatabase',
  'HazardRefuses',
  'ReturnFailed',
  'PolicyDenies',
  'NotAnAncestor',
  'RevisionUnknown',
  'Blocked',
  'DowngradeFailed',
  'WaitingForWorkloads',
  'DatabaseUnreadable',
];

function isTrouble(reason: Reason): boolean {
  return stalledReasons.includes(reason);
}

function explain(run: Run, act: Act): { reason: Reason; message: string } {
  const { outcome, plan } = run.status;
  if (outcome) return { reason: outcome, message: ended(run, outcome) };
  if (act.act === 'wait') return { reason: act.reason, message: act.message || reasons[act.reason][1] };
  const phase = phaseOf(run.status);
  if (phase === 'Planning') return { reason: 'ProbeRunning', message: plan ? 'planned' : 'asking the images' };
  const reason = phase as Extract<Reason, Exclude<Phase, 'Planning' | 'Done'>>;
  return { reason, message: reasons[reason][1] };
}

function ended(run: Run, outcome: NonNullable<Run['status']['outcome']>): string {
  const core = run.status.plan?.steps.find((s) => s.kind === 'core');
  if (outcome === 'Downgraded')
    return `the database is at ${core ? describeRevision(core.toRevision) : "the target's heads"}${run.status.outageSeconds === undefined ? '' : `, after an outage of ${run.status.outageSeconds} s`}`;
  const { backup, before } = run.status;
  if (outcome === 'Returned' && backup?.way === 'ServerCopy')
    return `the copy made before took the database's place again (${describeRevision(before?.alembic_version?.[0] ?? '')}); what was reversed is kept beside it`;
  return reasons[outcome][1];
}

/** kstatus' three and our own; a condition that does not change keeps its time. */
function conditionsOf(release: Release, run: Run, reason: Reason, message: string, before: Condition[]): Condition[] {
  const { status } = run;
  const over = status.completedAt !== undefined;
  const stalled = !over && isTrouble(reason);
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
    as('Downgraded', Boolean(status.verifiedAt), status.verifiedAt ? 'Verified' : 'NotYet', ''),
  ];
}

/** True when the two say different things; the running seconds of the outage alone are not worth a write. */
export function differs(before: DowngradeObject['status'], shown: Shown): boolean {
  const { outage: _, outageSeconds: __, conditions, ...rest } = shown;
  const old = before ?? {};
  if (Object.entries(rest).some(([key, value]) => !same(old[key], value))) return true;
  const seconds = (text: unknown) => Number.parseInt(String(text || '0'), 10);
  if (Math.abs(seconds(old.outage) - seconds(shown.outage)) >= 5) return true;
  return !same(old.conditions, conditions);
}

function tagOf(image: string): string {
  return image.slice(image.lastIndexOf('/') + 1).split(':')[1] ?? image;
}
