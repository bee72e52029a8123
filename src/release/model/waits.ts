/**
 * Waits: what each reason to wait is to people. Nobody waits for ever unnamed: it needs a person from the start, it was put
 * to a person as a question, or it is progress, and Stalled as well once nothing of it has changed for so many minutes.
 */
import type { Reason } from './reasons.ts';
import type { Release } from './release.ts';
import type { Pod } from './workload.ts';

interface Bounded {
  minutes: number;
  /** What a person can do who sees it stand still. */
  advice: string;
}

const lookAtPod =
  'look at the pod (kubectl describe, kubectl logs): it is waited for, and setting the image back that ran before ends the run';

const lookAtRunner = 'look at the runner (kubectl logs); deleting its pod brings a new one, which goes on from there';

export const waits = {
  TargetImageNotStarted: 'stalled',
  RunnerNotStarted: 'stalled',
  NoOldPod: 'stalled',
  RowsUnreadable: 'stalled',
  ProviderNotReversible: 'stalled',
  OtherDatabase: 'stalled',
  SettingsDiffer: 'stalled',
  ScriptWouldFail: 'stalled',
  ReturnFailed: 'stalled',
  PolicyDenies: 'stalled',
  PolicyUnknown: 'stalled',
  NotAnAncestor: 'stalled',
  RevisionUnknown: 'stalled',
  Blocked: 'stalled',
  DowngradeFailed: 'stalled',
  NoProgress: 'stalled',
  LongStep: 'stalled',
  WaitingForWorkloads: 'stalled',
  TargetNotReady: 'stalled',
  DatabaseUnreadable: 'stalled',
  PausedByOwner: 'stalled',
  GateNotProven: 'stalled',
  LongMigration: 'stalled',
  MigrationHeld: 'stalled',
  PodNotTerminating: 'stalled',
  AwaitingApproval: 'asked',
  ProbeRunning: { minutes: 10, advice: lookAtPod },
  RunnerStarting: { minutes: 10, advice: lookAtPod },
  Draining: {
    minutes: 5,
    advice:
      'a pod whose node is certainly off ends with kubectl delete pod --force; to start the newer version again instead, set spec.abort',
  },
  MigrationRunning: {
    minutes: 30,
    advice: 'wait for it, or delete its Job yourself; setting the image back that ran before ends the run',
  },
  SessionsRemain: { minutes: 5, advice: 'end them yourself' },
  BackingUp: { minutes: 30, advice: lookAtRunner },
  Downgrading: { minutes: 30, advice: lookAtRunner },
  Returning: { minutes: 30, advice: lookAtRunner },
  Resuming: {
    minutes: 15,
    advice:
      'look at the pods of what is named (kubectl describe), and at whether its controller may make any (kubectl get events)',
  },
} as const satisfies Partial<Record<Reason, 'stalled' | 'asked' | Bounded>>;

export type WaitReason = keyof typeof waits;

/** Whether a person is needed from the start. */
export function isTrouble(reason: Reason): boolean {
  return Object.hasOwn(waits, reason) && waits[reason as WaitReason] === 'stalled';
}

/** Whether it gets on by itself: people may be without Airflow meanwhile, and every half second counts. */
export function isProgress(reason: WaitReason): boolean {
  return typeof waits[reason] === 'object';
}

/** What is added to the words of a wait that has stood still since then; undefined while it is progress. */
export function overdue(reason: Reason, since: Date, { pods, now }: Pick<Release, 'pods' | 'now'>): string | undefined {
  const wait = Object.hasOwn(waits, reason) ? waits[reason as WaitReason] : undefined;
  if (typeof wait !== 'object') return undefined;
  const minutes = wait.minutes + (reason === 'Draining' ? longestGrace(pods) : 0);
  if (now.getTime() - since.getTime() <= minutes * 60_000) return undefined;
  return `; nothing of this has changed for more than ${minutes} min: ${wait.advice}`;
}

/** Minutes that the pods which are ending may take. */
function longestGrace(pods: Pod[]): number {
  const ending = pods.filter((p) => p.terminating);
  return Math.ceil(Math.max(0, ...ending.map((p) => p.object.spec.terminationGracePeriodSeconds ?? 0)) / 60);
}
