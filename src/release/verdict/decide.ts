/**
 * decide: what a verdict on the facts means here: under this policy, for a new or a changed object.
 *
 * Order: an observing policy lets everything through, but for what would undo a run in its middle. A new object is only
 * held or refused on certain knowledge. Then the policy may forbid. What can't be resumed is never held (ifResumable).
 */
import { nameOf } from '../model/kubernetes.ts';
import type { Mode } from '../model/policy.ts';
import type { Reason } from '../model/reasons.ts';
import type { Verdict } from './question.ts';

/** `observed`: what it would have been, were it not for the mode Observe. */
export type Decision = Verdict & { observed?: Verdict };

export interface Circumstances {
  workload: { kind: string; name: string; namespace: string };
  mode: Mode;
  /** Names of the DowngradePolicies that say so. */
  policies: readonly string[];
  /** The object is being created, and nothing of its release is held or under way. */
  fresh: boolean;
}

/** Not knowing, as a verdict's reason. */
export const uncertain: readonly Reason[] = [
  'DatabaseUnreadable',
  'ImageUnknown',
  'RevisionUnknown',
  'ConnectionChanged',
];

/** What has begun is brought to a whole state, whatever the policy says since. */
const begun: readonly Reason[] = ['DowngradeUnderWay', 'NewerImageRequested'];

const downgrades: readonly Reason[] = ['DatabaseAhead', 'ProviderAhead'];

/** The answer to a change. Pure. */
export function decide(verdict: Verdict, circumstances: Circumstances): Decision {
  const { workload, mode, policies, fresh } = circumstances;
  if (verdict.verdict === 'allow') return verdict;
  if (fresh && uncertain.includes(verdict.reason)) return { verdict: 'allow', reason: 'NotKnownYet' };
  if (mode === 'Observe' && !begun.includes(verdict.reason))
    return { verdict: 'allow', reason: 'Observed', observed: verdict };
  if (verdict.verdict === 'deny') return verdict;
  if (mode === 'Deny' && downgrades.includes(verdict.reason))
    return {
      verdict: 'deny',
      reason: 'PolicyDenies',
      message: `${verdict.message}; DowngradePolicy ${policies.join(', ')} forbids downgrades in namespace ${workload.namespace}: keep the newer image, or ask who keeps that policy`,
    };
  return verdict;
}

/** The same decision; a hold becomes a refusal where rights to resume the workload are missing (in words). */
export function ifResumable(
  decision: Decision,
  workload: Circumstances['workload'],
  missingRights: readonly string[],
): Decision {
  if (decision.verdict !== 'hold' || missingRights.length === 0) return decision;
  return {
    verdict: 'deny',
    reason: 'RightsMissing',
    message: `${decision.message}; it can't be held, since downdraft could not resume it: in namespace ${workload.namespace} its service account may not ${missingRights.join(', ')}; apply manifests/rbac.yaml, then deploy ${nameOf(workload)} again`,
  };
}
