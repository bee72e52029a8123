/** Kubernetes' label selectors: which namespaces one selects, and what is wrong with one that selects nothing we could know. */
import { absent, record, text } from '../model/json.ts';

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
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

/** Whether it asks for no label, and so selects every namespace. */
export function isEmpty(selector: LabelSelector | undefined): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions ?? []).length === 0;
}

/** Why a selector can't be read; undefined when it can. `place` is what a person finds it by. */
export function selectorFault(value: unknown, place: string): string | undefined {
  if (absent(value)) return undefined;
  const selector = record(value);
  if (!selector) return `${place} is no object`;
  const field = Object.keys(selector).find((key) => key !== 'matchLabels' && key !== 'matchExpressions');
  if (field !== undefined) return `${place}.${field} is not known`;
  const { matchLabels, matchExpressions } = selector;
  if (!absent(matchLabels) && !record(matchLabels)) return `${place}.matchLabels is no object`;
  if (!absent(matchExpressions) && !Array.isArray(matchExpressions)) return `${place}.matchExpressions is no list`;
  for (const [key, label] of Object.entries(record(matchLabels) ?? {})) {
    if (!isLabelKey(key) || !isLabelValue(label)) return `${text(key)}: ${text(label)} in matchLabels is no label`;
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
