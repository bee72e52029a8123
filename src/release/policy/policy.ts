/**
 * DowngradePolicy: what happens in a namespace when an older image meets a newer database.
 *
 *   Deny      the change is refused
 *   Hold      the change is held and carried out, by the policy's rules (rules.ts); also where no policy matches
 *   Observe   the change passes, with a warning and a count
 *
 * Of several policies that match a namespace the strictest counts, in this order. A policy that can't be read (of another
 * version, or past the schema) counts in every namespace, as Hold where it says Observe, and asks before anything is done: a
 * broken policy may stop too much, and says so in its status, but never switches the guard off.
 */
import { isEmpty, type LabelSelector, matches, selectorFault } from '../kubernetes/selector.ts';
import { record, text } from '../model/json.ts';
import type { Metadata } from '../model/kubernetes.ts';
import type { Mode, Rules, SaidRules } from '../model/policy.ts';
import { mergeRules, neverLoose, readRules } from './rules.ts';

/** From strict to loose. */
export const modes: readonly Mode[] = ['Deny', 'Hold', 'Observe'];

export interface PolicyObject {
  apiVersion?: string;
  kind?: string;
  metadata: Metadata;
  spec: { mode: string; namespaceSelector?: LabelSelector; description?: string } & SaidRules;
  status?: Record<string, unknown>;
}

/** A namespace, as far as a policy sees it. */
export interface NamespaceLabels {
  name: string;
  labels: Record<string, string>;
}

/** What counts in a namespace. */
export interface PolicyDecision {
  mode: Mode;
  /** By which a downgrade is done, where one is. */
  rules: Rules;
  /** Names of the policies whose mode this is, sorted; [] when none matches and the default, Hold, counts. */
  by: string[];
  /** Names of all that match, sorted. */
  matched: string[];
}

/**
 * What counts in a namespace with these labels; undefined when they could not be read. Then every policy that selects at
 * all may match, and counts as one that can't be read. The order of the policies does not matter. `read`: readPolicy, or
 * what remembers its answers where policies are not changed in place.
 */
export function policyFor(
  policies: PolicyObject[],
  labels: Record<string, string> | undefined,
  read: (policy: PolicyObject) => ReadPolicy = readPolicy,
): PolicyDecision {
  const matching = matchingIn(policies, labels, read);
  return {
    ...strictest(matching),
    rules: mergeRules(matching.map(({ rules }) => rules)),
    matched: matching.map(({ name }) => name),
  };
}

/** Of the same only the mode, and whose it is: all that a review needs. */
export function modeFor(
  policies: PolicyObject[],
  labels: Record<string, string> | undefined,
  read: (policy: PolicyObject) => ReadPolicy,
): Pick<PolicyDecision, 'mode' | 'by'> {
  return strictest(matchingIn(policies, labels, read));
}

type Matching = Said & { name: string };

function matchingIn(
  policies: PolicyObject[],
  labels: Record<string, string> | undefined,
  read: (policy: PolicyObject) => ReadPolicy,
): Matching[] {
  return policies
    .flatMap((policy) => {
      const said = read(policy).said(labels);
      return said ? [{ name: policy.metadata.name, ...said }] : [];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function strictest(matching: readonly Matching[]): Pick<PolicyDecision, 'mode' | 'by'> {
  const mode = modes.find((m) => matching.some((policy) => policy.mode === m)) ?? 'Hold';
  return { mode, by: matching.filter((policy) => policy.mode === mode).map(({ name }) => name) };
}

/** A policy, read once to be asked about many namespaces. */
export interface ReadPolicy {
  /** Why it can't be read; undefined when it can. */
  fault: string | undefined;
  /** The mode with which it counts where it matches: its own, unless it can't be read. */
  mode: Mode;
  /** With which it counts in a namespace with these labels (undefined: not known); undefined when it does not match. */
  modeIn(labels: Record<string, string> | undefined): Mode | undefined;
  /** Mode and rules with which it counts there. */
  said(labels: Record<string, string> | undefined): Said | undefined;
}

interface Said {
  mode: Mode;
  rules: SaidRules;
}

/** Reads a policy. Never throws: what can't be read is a fault. */
export function readPolicy(policy: PolicyObject): ReadPolicy {
  const spec = record(policy.spec) ?? {};
  const rules = readRules(spec);
  const fault = faultIn(spec, rules.fault);
  const selector = spec.namespaceSelector as LabelSelector | undefined;
  const own: Said = { mode: modes.find((m) => m === spec.mode) ?? 'Hold', rules: rules.said };
  const said = (labels: Record<string, string> | undefined) => {
    if (fault !== undefined) return strict(own);
    if (labels === undefined) return isEmpty(selector) ? own : strict(own);
    return matches(selector, labels) ? own : undefined;
  };
  return { fault, mode: (fault === undefined ? own : strict(own)).mode, modeIn: (labels) => said(labels)?.mode, said };
}

function strict({ mode, rules }: Said): Said {
  return { mode: mode === 'Observe' ? 'Hold' : mode, rules: neverLoose(rules) };
}

function faultIn({ mode, namespaceSelector }: Record<string, unknown>, inRules: string | undefined) {
  if (!modes.some((m) => m === mode)) return `spec.mode is ${text(mode)}, not one of ${[...modes].sort().join(', ')}`;
  return selectorFault(namespaceSelector, 'spec.namespaceSelector') ?? inRules;
}
