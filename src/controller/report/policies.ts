/**
 * Policies: what each DowngradePolicy shows of itself: in how many namespaces it counts, which others match the same
 * ones, and which of them counts there. Nothing reads it back; the webhook and the loop ask src/release/policy/policy.ts.
 */
import { same } from '../../release/model/json.ts';
import type { Mode } from '../../release/model/policy.ts';
import type { Condition } from '../../release/model/shown.ts';
import { modes, type NamespaceLabels, type PolicyObject, readPolicy } from '../../release/policy/policy.ts';

export interface PolicyReads {
  policies(): Promise<PolicyObject[]>;
  /** Names and labels of all namespaces. */
  namespaces(): Promise<NamespaceLabels[]>;
}

export interface PolicyWrites {
  /** Merge patch of the status subresource. A policy that is gone is fine. */
  patchPolicyStatus(name: string, status: PolicyStatus): Promise<void>;
}

export interface Overlap {
  policy: string;
  /** With which it counts. */
  mode: Mode;
  /** How many namespaces both match. */
  count: number;
  /** The first of them, by name. */
  namespaces: string[];
}

/** Every field is always there, so that a merge patch leaves nothing of what stood there before. */
export type PolicyStatus = {
  observedGeneration: number;
  /** How many it matches. */
  namespaces: number;
  /** The policies of `overlaps`, for the column. */
  overlapping: string;
  overlaps: Overlap[];
  conditions: Condition[];
};

/** Reasons of a policy's conditions, with what they mean. */
export const policyReasons = {
  InForce: 'the policy counts in the namespaces that it matches',
  NoNamespace: 'no namespace has the labels that the policy asks for',
  Unreadable: 'the policy says something that is not known: it counts in every namespace, and never as Observe',
  Overruled: 'a stricter policy matches some of the same namespaces and counts there',
  Shared: 'other policies match some of the same namespaces; none of them is stricter',
  NoOverlap: 'no other policy matches a namespace of this one',
} as const;

/** How much a status shows; the schema allows no more. */
const shown = { overlaps: 20, namespaces: 10, names: 3 };

/** Brings the status of every policy up to date; writes only what differs. Throws when one or more could not be written. */
export async function reportPolicies(
  reads: PolicyReads,
  writes: PolicyWrites,
  log: (fields: Record<string, unknown>, message: string) => void,
  now: () => Date = () => new Date(),
): Promise<void> {
  const [policies, namespaces] = await Promise.all([reads.policies(), reads.namespaces()]);
  const reach = reachOf(policies, namespaces);
  const failures: unknown[] = [];
  for (const policy of policies) {
    const status = statusOf(policy, reach, now());
    if (!differs(policy.status, status)) continue;
    const { name } = policy.metadata;
    try {
      await writes.patchPolicyStatus(name, status);
      const { namespaces: matched, overlapping } = status;
      log({ policy: name, mode: policy.spec?.mode, namespaces: matched, overlapping }, 'policy reported');
    } catch (error) {
      failures.push(error);
      log({ policy: name, err: error }, 'policy could not be reported');
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'the status of some policies could not be written');
}

/** A policy, with what it counts as and where. */
export interface Reach {
  policy: PolicyObject;
  fault: string | undefined;
  mode: Mode;
  /** All namespaces, sorted. */
  names: string[];
  /** For each of `names` 1 where the policy matches: quick to compare, since every pair of policies is. */
  matched: Uint8Array;
}

/** Asks every policy about every namespace, once. Sorted by the policies' names. */
export function reachOf(policies: PolicyObject[], namespaces: NamespaceLabels[]): Reach[] {
  const sorted = namespaces.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const names = sorted.map(({ name }) => name);
  return policies
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map((policy) => {
      const { fault, mode, modeIn } = readPolicy(policy);
      const matched = Uint8Array.from(sorted, ({ labels }) => (modeIn(labels) === undefined ? 0 : 1));
      return { policy, fault, mode, names, matched };
    });
}

/** What the status of `policy`, one of those in `reach`, shows. */
export function statusOf(policy: PolicyObject, reach: Reach[], now: Date): PolicyStatus {
  const own = reach.find((p) => p.policy.metadata.name === policy.metadata.name);
  if (!own) throw new Error(`policy ${policy.metadata.name} is not among those that were looked at`);
  const namespaces = own.matched.reduce((sum, is) => sum + is, 0);
  const overlaps = reach.filter((p) => p !== own).flatMap((other) => overlapOf(own, other));
  const stricter = overlaps.filter(({ mode }) => modes.indexOf(mode) < modes.indexOf(own.mode));
  return {
    observedGeneration: policy.metadata.generation ?? 0,
    namespaces,
    overlapping: overlaps.length === 0 ? '' : listed(overlaps.map((overlap) => overlap.policy)),
    overlaps: overlaps.slice(0, shown.overlaps),
    conditions: conditionsOf(policy, now, readyOf(own, namespaces), overlappingOf(overlaps, stricter)),
  };
}

function overlapOf(own: Reach, other: Reach): Overlap[] {
  const namespaces: string[] = [];
  let count = 0;
  for (let i = 0; i < own.names.length; i++) {
    if (!own.matched[i] || !other.matched[i]) continue;
    count++;
    if (namespaces.length < shown.namespaces) namespaces.push(own.names[i]!);
  }
  return count === 0 ? [] : [{ policy: other.policy.metadata.name, mode: other.mode, count, namespaces }];
}

type Said = Pick<Condition, 'type' | 'status' | 'message'> & { reason: keyof typeof policyReasons };

function readyOf({ fault, mode }: Reach, namespaces: number): Said {
  if (fault !== undefined) {
    const message = `${fault}: counts as ${mode} in every namespace until it is put right`;
    return { type: 'Ready', status: 'False', reason: 'Unreadable', message };
  }
  if (namespaces === 0)
    return { type: 'Ready', status: 'True', reason: 'NoNamespace', message: policyReasons.NoNamespace };
  const message = `matches ${namespaces === 1 ? '1 namespace' : `${namespaces} namespaces`}`;
  return { type: 'Ready', status: 'True', reason: 'InForce', message };
}

function overlappingOf(overlaps: Overlap[], stricter: Overlap[]): Said {
  if (overlaps.length === 0)
    return { type: 'Overlapping', status: 'False', reason: 'NoOverlap', message: policyReasons.NoOverlap };
  const named = (of: Overlap[]) => listed(of.map(({ policy, mode, count }) => `${policy} (${mode}, in ${count})`));
  if (stricter.length === 0) {
    const message = `matches some of the same namespaces as ${named(overlaps)}; none of them is stricter`;
    return { type: 'Overlapping', status: 'True', reason: 'Shared', message };
  }
  const message = `a stricter policy counts in some of its namespaces: ${named(stricter)}`;
  return { type: 'Overlapping', status: 'True', reason: 'Overruled', message };
}

function listed(names: string[]): string {
  const more = names.length - shown.names;
  return names.slice(0, shown.names).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** A condition whose status does not change keeps its time. */
function conditionsOf(policy: PolicyObject, now: Date, ...said: Said[]): Condition[] {
  const before = (policy.status?.conditions as Condition[] | undefined) ?? [];
  return said.map((condition) => {
    const old = before.find(({ type }) => type === condition.type);
    const lastTransitionTime = old?.status === condition.status ? old.lastTransitionTime : now.toISOString();
    return { ...condition, lastTransitionTime, observedGeneration: policy.metadata.generation ?? 0 };
  });
}

/** Looks only at what we write: a field that another version left there is no reason to write again and again. */
function differs(before: Record<string, unknown> | undefined, status: PolicyStatus): boolean {
  return Object.entries(status).some(([key, value]) => !same(before?.[key], value));
}
