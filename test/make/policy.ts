/** DowngradePolicies and namespaces as the API server gives them back; plans, as far as consent is given to them. */
import type { LabelSelector } from '../../src/release/kubernetes/selector.ts';
import type { PlannedBackup } from '../../src/release/model/plan.ts';
import type { SaidRules } from '../../src/release/model/policy.ts';
import { type Approvable, type Loss, planHash } from '../../src/release/plan/consent.ts';
import type { NamespaceLabels, PolicyObject } from '../../src/release/policy/policy.ts';

export interface PolicyShape {
  name?: string;
  mode?: string;
  /** Missing: no namespaceSelector, so every namespace. */
  selector?: LabelSelector;
  /** What it says beside its mode. */
  rules?: SaidRules;
  generation?: number;
  status?: Record<string, unknown>;
}

/** A policy "policy" of generation 1 that holds in every namespace. */
export function makePolicy(shape: PolicyShape = {}) {
  const { name = 'policy', mode = 'Hold', selector, rules, generation = 1, status } = shape;
  const policy: PolicyObject = {
    apiVersion: 'downdraft.dev/v1alpha1',
    kind: 'DowngradePolicy',
    metadata: { name, uid: `uid-${name}`, generation, resourceVersion: '100' },
    spec: { mode, ...(selector ? { namespaceSelector: selector } : {}), ...rules },
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

/** Parts of a spec beside the mode that the schema and faultOf refuse; the last column is a part of what faultOf says. */
export const unreadableRules: [string, object, string][] = [
  [
    'an approval that is none',
    { approval: 'Sometimes' },
    'spec.approval is "Sometimes", not one of Always, Never, WhenLossy',
  ],
  ['an approval in lower case', { approval: 'never' }, 'spec.approval is "never"'],
  ['a backup that is a text', { backup: 'ServerCopy' }, 'spec.backup is "ServerCopy", not an object'],
  ['a backup that is a list', { backup: [] }, 'spec.backup is []'],
  [
    'a way that is not known',
    { backup: { ways: ['ServerCopy', 'Tape'] } },
    'spec.backup.ways is ["ServerCopy","Tape"]',
  ],
  ['a way twice', { backup: { ways: ['Waiver', 'Waiver'] } }, 'each once'],
  ['ways as a text', { backup: { ways: 'ServerCopy' } }, 'spec.backup.ways is "ServerCopy"'],
  ['hours below 0', { backup: { keepHours: -1 } }, 'spec.backup.keepHours is -1, not a whole number from 0'],
  ['half an hour', { backup: { keepHours: 0.5 } }, 'spec.backup.keepHours is 0.5'],
  ['more than ten years', { backup: { keepHours: 87_601 } }, 'spec.backup.keepHours is 87601'],
  ['hours as a text', { backup: { keepHours: '168' } }, 'spec.backup.keepHours is "168"'],
  ['required as a text', { backup: { required: 'no' } }, 'spec.backup.required is "no", not true or false'],
  ['a dump without a claim', { backup: { dump: {} } }, 'spec.backup.dump.claim is missing'],
  [
    'a dump that leads out of its volume',
    { backup: { dump: { claim: 'backups', subPath: 'a/../..' } } },
    'spec.backup.dump.subPath is "a/../..", not a relative path',
  ],
  [
    'a claim by an odd name',
    { backup: { volumeSnapshot: { claim: 'Data 0' } } },
    'spec.backup.volumeSnapshot.claim is "Data 0"',
  ],
  [
    'a wait of no time',
    { backup: { volumeSnapshot: { claim: 'data', waitMinutes: 0 } } },
    'spec.backup.volumeSnapshot.waitMinutes is 0, not a whole number from 1',
  ],
  ['a cluster as a text', { backup: { cnpg: 'pg' } }, 'spec.backup.cnpg is "pg", not an object'],
  [
    'a method that is none',
    { backup: { cnpg: { cluster: 'pg', method: 'tape' } } },
    'spec.backup.cnpg.method is "tape", not one of',
  ],
  ['an answer to failure that is none', { onFailure: 'Retry' }, 'spec.onFailure is "Retry", not one of Ask, Return'],
  ['a runner that is none', { runner: 'Job' }, 'spec.runner is "Job", not one of Copy, OldPod'],
];

/** The same that both take. */
export const readableRules: [string, SaidRules][] = [
  ['nothing', {}],
  [
    'everything',
    {
      approval: 'Never',
      backup: { ways: ['Waiver', 'ServerCopy', 'Reference'], keepHours: 840, required: false },
      onFailure: 'Return',
      runner: 'OldPod',
    },
  ],
  [
    'every way, each with its place',
    {
      backup: {
        ways: ['Dump', 'VolumeSnapshot', 'CNPGBackup', 'ServerCopy', 'Reference', 'Waiver'],
        dump: { claim: 'backups', subPath: 'airflow/dumps' },
        volumeSnapshot: { claim: 'data-db-0', namespace: 'db', className: 'fast', waitMinutes: 30 },
        cnpg: {
          cluster: 'pg',
          namespace: 'db',
          method: 'plugin',
          plugin: 'barman-cloud.cloudnative-pg.io',
          waitMinutes: 5,
        },
      },
    },
  ],
  ['a backup without a word', { backup: {} }],
  ['no way at all', { backup: { ways: [] } }],
  ['a copy that is dropped at once', { backup: { keepHours: 0 } }],
  ['a copy that is kept for ten years', { backup: { keepHours: 87_600 } }],
];

function expression(requirement: { key?: string; operator?: string; values?: string[] }): LabelSelector {
  return { matchExpressions: [requirement as NonNullable<LabelSelector['matchExpressions']>[number]] };
}

export const plannedBackups = {
  copy: { way: 'ServerCopy', why: [] },
  none: { way: 'None', why: ['no copy on the server: the role may not create databases'] },
  waived: { way: 'Waiver', named: 'Ada', why: [] },
  referenced: { way: 'Reference', named: 'rds:x', why: [] },
} satisfies Record<string, PlannedBackup>;

export const plannedSteps = {
  core: {
    kind: 'core',
    from: '1d6611b6ab7c',
    toRevision: '509b94a1042d',
    revisions: 22,
    command: 'airflow db downgrade',
  },
  fab: {
    kind: 'manager',
    class: 'airflow.providers.fab.auth_manager.models.db.FABDBManager',
    versionTable: 'alembic_version_fab',
    from: '02ca36b0235b',
    toRevision: '6709f7a774b9',
    revisions: 1,
    command: 'airflow fab-db downgrade',
  },
} as const;

export const deadlines: Loss = { what: '12 rows of deadline are deleted', count: 12 };

/** A plan from 3.2.1 to 3.1.8 that loses nothing and makes a copy. */
export function makeApprovable(shape: Partial<Approvable> = {}): Approvable & { hash: string } {
  const identity = { database: 'airflow', oid: '16384', cluster: '7300000000000000001' };
  const { core, fab } = plannedSteps;
  const plan: Approvable = { identity, steps: [core, fab], losses: [], backup: plannedBackups.copy, ...shape };
  return { ...plan, hash: planHash(plan) };
}
