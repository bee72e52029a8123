/** DowngradePolicies and namespaces as the API server gives them back. */
import type { LabelSelector, NamespaceLabels, PolicyObject } from '../../src/release/policy.ts';

export interface PolicyShape {
  name?: string;
  mode?: string;
  /** Missing: no namespaceSelector, so every namespace. */
  selector?: LabelSelector;
  generation?: number;
  status?: Record<string, unknown>;
}

/** A policy "policy" of generation 1 that holds in every namespace. */
export function makePolicy({ name = 'policy', mode = 'Hold', selector, generation = 1, status }: PolicyShape = {}) {
  const policy: PolicyObject = {
    apiVersion: 'downdraft.dev/v1alpha1',
    kind: 'DowngradePolicy',
    metadata: { name, uid: `uid-${name}`, generation, resourceVersion: '100' },
    spec: { mode, ...(selector ? { namespaceSelector: selector } : {}) },
  };
  if (status) policy.status = status;
  return policy;
}

/** As makePolicy, past the schema: `spec` may say anything. */
export function makeForeignPolicy(name: string, spec: unknown): PolicyObject {
  return { ...makePolicy({ name }), spec: spec as PolicyObject['spec'] };
}

/** A namespace with the label that the API server gives each, and with `labels`. */
export function makeNamespace(name: string, labels: Record<string, string> = {}): NamespaceLabels {
  return { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } };
}

/** Labels of the namespaces that the tables below speak of. */
export const namespaces = {
  air: { team: 'data', env: 'prod', 'example.com/tier': '1' },
  beta: { team: 'data', env: 'test' },
  calm: { team: 'web', env: '' },
  dusk: {},
} as const satisfies Record<string, Record<string, string>>;

/** Selectors with the namespaces of the table above that Kubernetes selects by them. */
export const readable: [string, LabelSelector | undefined, (keyof typeof namespaces)[]][] = [
  ['no selector', undefined, ['air', 'beta', 'calm', 'dusk']],
  ['an empty selector', {}, ['air', 'beta', 'calm', 'dusk']],
  ['empty parts', { matchLabels: {}, matchExpressions: [] }, ['air', 'beta', 'calm', 'dusk']],
  ['one label', { matchLabels: { team: 'data' } }, ['air', 'beta']],
  ['two labels', { matchLabels: { team: 'data', env: 'prod' } }, ['air']],
  ['a label with a prefix', { matchLabels: { 'example.com/tier': '1' } }, ['air']],
  ['the empty value, which a missing label is not', { matchLabels: { env: '' } }, ['calm']],
  ['a label that an object inherits', { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, []],
  ['In', { matchExpressions: [{ key: 'env', operator: 'In', values: ['prod', 'test'] }] }, ['air', 'beta']],
  ['In with the empty value', { matchExpressions: [{ key: 'env', operator: 'In', values: [''] }] }, ['calm']],
  [
    'NotIn, also where the label is missing',
    { matchExpressions: [{ key: 'env', operator: 'NotIn', values: ['prod'] }] },
    ['beta', 'calm', 'dusk'],
  ],
  [
    'Exists, also with an empty value',
    { matchExpressions: [{ key: 'env', operator: 'Exists' }] },
    ['air', 'beta', 'calm'],
  ],
  [
    'Exists with an empty list',
    { matchExpressions: [{ key: 'team', operator: 'Exists', values: [] }] },
    ['air', 'beta', 'calm'],
  ],
  ['DoesNotExist', { matchExpressions: [{ key: 'env', operator: 'DoesNotExist' }] }, ['dusk']],
  [
    'labels and expressions, of which all must be true',
    { matchLabels: { team: 'data' }, matchExpressions: [{ key: 'env', operator: 'NotIn', values: ['test'] }] },
    ['air'],
  ],
  [
    'the same key twice, which no value can satisfy',
    {
      matchExpressions: [
        { key: 'env', operator: 'Exists' },
        { key: 'env', operator: 'DoesNotExist' },
      ],
    },
    [],
  ],
  [
    'a key and a value of the greatest length',
    { matchLabels: { [`${'a'.repeat(253)}/${'b'.repeat(63)}`]: 'c'.repeat(63) } },
    [],
  ],
];

/** Selectors that Kubernetes refuses, and so do the schema and faultOf; the last column is a part of what faultOf says. */
export const unreadable: [string, LabelSelector, string][] = [
  ['an operator of field selectors', expression({ key: 'a', operator: '=', values: ['b'] }), 'operator "="'],
  ['an operator of node selectors', expression({ key: 'a', operator: 'Gt', values: ['1'] }), 'operator "Gt"'],
  ['an operator in lower case', expression({ key: 'a', operator: 'in', values: ['b'] }), 'operator "in"'],
  ['an expression without an operator', expression({ key: 'a' }), 'operator missing'],
  ['an expression without a key', expression({ operator: 'Exists' }), 'missing'],
  ['In without values', expression({ key: 'a', operator: 'In' }), 'In in matchExpressions needs values'],
  ['In with an empty list', expression({ key: 'a', operator: 'In', values: [] }), 'needs values'],
  ['NotIn without values', expression({ key: 'a', operator: 'NotIn' }), 'NotIn in matchExpressions needs values'],
  ['Exists with values', expression({ key: 'a', operator: 'Exists', values: ['b'] }), 'takes no values'],
  ['DoesNotExist with values', expression({ key: 'a', operator: 'DoesNotExist', values: ['b'] }), 'takes no values'],
  ['an empty key', expression({ key: '', operator: 'Exists' }), 'no key of a label'],
  ['a key with a space', expression({ key: 'a b', operator: 'Exists' }), 'no key of a label'],
  ['a key with two slashes', expression({ key: 'a/b/c', operator: 'Exists' }), 'no key of a label'],
  ['a key with an empty prefix', expression({ key: '/a', operator: 'Exists' }), 'no key of a label'],
  ['a prefix with an upper-case letter', expression({ key: 'Example.com/a', operator: 'Exists' }), 'no key of a label'],
  ['a prefix with an empty part', expression({ key: 'example..com/a', operator: 'Exists' }), 'no key of a label'],
  ['a name that is too long', expression({ key: 'a'.repeat(64), operator: 'Exists' }), 'no key of a label'],
  ['a prefix that is too long', expression({ key: `${'a'.repeat(254)}/b`, operator: 'Exists' }), 'no key of a label'],
  ['a value with a slash', expression({ key: 'a', operator: 'In', values: ['b/c'] }), 'no values of labels'],
  [
    'a value that is too long',
    expression({ key: 'a', operator: 'In', values: ['b'.repeat(64)] }),
    'no values of labels',
  ],
  ['a label with a space', { matchLabels: { 'a b': 'c' } }, 'is no label'],
  ['a label whose prefix has an empty part', { matchLabels: { 'example..com/a': 'c' } }, 'is no label'],
  ['a label whose prefix is too long', { matchLabels: { [`${'a'.repeat(254)}/b`]: 'c' } }, 'is no label'],
  ['a label whose value ends with a dash', { matchLabels: { a: 'b-' } }, 'is no label'],
  ['a label whose value is a number', { matchLabels: { a: 1 as unknown as string } }, 'is no label'],
];

function expression(requirement: { key?: string; operator?: string; values?: string[] }): LabelSelector {
  return { matchExpressions: [requirement as NonNullable<LabelSelector['matchExpressions']>[number]] };
}
