/**
 * DowngradePolicy: what happens in a namespace when an older image meets a newer database.
 *
 *   Deny      the change is refused
 *   Hold      the change is held and carried out; also where no policy matches
 *   Observe   the change passes, with a warning and a count
 *
 * Of several policies that match a namespace the strictest counts, in this order. A policy that can't be read (of another
 * version, or past the schema) counts in every namespace, and as Hold where it says Observe: a broken policy may stop too
 * much, and says so in its status, but never switches the guard off.
 */
import type { Metadata } from './objects.ts';
import type { Mode } from './release.ts';

/** From strict to loose. */
export const modes: readonly Mode[] = ['Deny', 'Hold', 'Observe'];

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface PolicyObject {
  apiVersion?: string;
  kind?: string;
  metadata: Metadata;
  spec: { mode: string; namespaceSelector?: LabelSelector; description?: string };
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
  /** Names of the policies whose mode this is, sorted; [] when none matches and the default, Hold, counts. */
  by: string[];
  /** Names of all that match, sorted. */
  matched: string[];
}

/**
 * What counts in a namespace with these labels; undefined when they could not be read. Then every policy that selects at
 * all may match, and counts as one that can't be read. The order of the policies does not matter.
 */
export function policyFor(policies: PolicyObject[], labels: Record<string, string> | undefined): PolicyDecision {
  const matching = policies
    .map((policy) => ({ name: policy.metadata.name, mode: readPolicy(policy).modeIn(labels) }))
    .filter(({ mode }) => mode !== undefined);
  const mode = modes.find((m) => matching.some((policy) => policy.mode === m)) ?? 'Hold';
  const names = (of: typeof matching) => of.map(({ name }) => name).sort();
  return { mode, by: names(matching.filter((policy) => policy.mode === mode)), matched: names(matching) };
}

/** A policy, read once to be asked about many namespaces. */
export interface ReadPolicy {
  /** Why it can't be read; undefined when it can. */
  fault: string | undefined;
  /** The mode with which it counts where it matches: its own, unless it can't be read. */
  mode: Mode;
  /** With which it counts in a namespace with these labels (undefined: not known); undefined when it does not match. */
  modeIn(labels: Record<string, string> | undefined): Mode | undefined;
}

/** Reads a policy. Never throws: what can't be read is a fault. */
export function readPolicy(policy: PolicyObject): ReadPolicy {
  const own = modes.find((m) => m === policy.spec?.mode) ?? 'Hold';
  const fault = faultOf(policy);
  if (fault !== undefined) return { fault, mode: neverLooser(own), modeIn: () => neverLooser(own) };
  const { namespaceSelector } = policy.spec;
  const unlabelled = isEmpty(namespaceSelector) ? own : neverLooser(own);
  return {
    fault,
    mode: own,
    modeIn: (labels) => (labels === undefined ? unlabelled : matches(namespaceSelector, labels) ? own : undefined),
  };
}

function neverLooser(mode: Mode): Mode {
  return mode === 'Observe' ? 'Hold' : mode;
}

/**
 * Whether a namespace with these labels is selected, as Kubernetes does it: everything listed must be true; NotIn is also
 * true of a namespace without the label. No selector or an empty one selects all. Only for a selector without a fault.
 */
export function matches(selector: LabelSelector | undefined, labels: Record<string, string>): boolean {
  const { matchLabels, matchExpressions } = selector ?? {};
  const has = (key: string) => Object.hasOwn(labels, key);
  return (
    Object.entries(matchLabels ?? {}).every(([key, value]) => has(key) && labels[key] === value) &&
    (matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      if (operator === 'Exists') return has(key);
      if (operator === 'DoesNotExist') return !has(key);
      const listed = has(key) && values.includes(labels[key]!);
      return operator === 'NotIn' ? !listed : listed;
    })
  );
}

function isEmpty(selector: LabelSelector | undefined): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions ?? []).length === 0;
}

/** Why a policy can't be read; undefined when it can. Reads what is stored as unknown: no schema is relied on. */
export function faultOf(policy: PolicyObject): string | undefined {
  const { mode, namespaceSelector } = record(policy.spec) ?? {};
  if (!modes.some((m) => m === mode)) return `spec.mode is ${text(mode)}, not one of ${[...modes].sort().join(', ')}`;
  if (absent(namespaceSelector)) return undefined;
  const selector = record(namespaceSelector);
  if (!selector) return 'spec.namespaceSelector is no object';
  const field = Object.keys(selector).find((key) => key !== 'matchLabels' && key !== 'matchExpressions');
  if (field !== undefined) return `spec.namespaceSelector.${field} is not known`;
  const { matchLabels, matchExpressions } = selector;
  if (!absent(matchLabels) && !record(matchLabels)) return 'spec.namespaceSelector.matchLabels is no object';
  if (!absent(matchExpressions) && !Array.isArray(matchExpressions))
    return 'spec.namespaceSelector.matchExpressions is no list';
  for (const [key, value] of Object.entries(record(matchLabels) ?? {})) {
    if (!isLabelKey(key) || !isLabelValue(value)) return `${text(key)}: ${text(value)} in matchLabels is no label`;
  }
  return ((matchExpressions as unknown[] | undefined) ?? []).map(requirementFault).find((fault) => fault !== undefined);
}

function requirementFault(requirement: unknown): string | undefined {
  const { key, operator, values } = record(requirement) ?? {};
  const place = 'in matchExpressions';
  if (!isLabelKey(key)) return `${text(key)} ${place} is no key of a label`;
  if (!absent(values) && !(Array.isArray(values) && values.every(isLabelValue)))
    return `the values of ${key} ${place} are no values of labels`;
  const count = (values as string[] | undefined)?.length ?? 0;
  if (operator === 'In' || operator === 'NotIn') return count > 0 ? undefined : `${operator} ${place} needs values`;
  if (operator === 'Exists' || operator === 'DoesNotExist')
    return count === 0 ? undefined : `${operator} ${place} takes no values`;
  return `operator ${text(operator)} ${place} is not known`;
}

/** Kubernetes' qualified name: at most 63 characters, before it a DNS name of at most 253 and a slash, if any. */
const qualifiedName =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/;

function isLabelKey(key: unknown): key is string {
  return typeof key === 'string' && key.length <= 317 && key.indexOf('/') <= 253 && qualifiedName.test(key);
}

function isLabelValue(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 63 && /^([A-Za-z0-9]([-\w.]*[A-Za-z0-9])?)?$/.test(value);
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function absent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

function text(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 80);
}
