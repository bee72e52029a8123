/** What a DowngradePolicy shows of itself, and when that is written. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  type PolicyStatus,
  policyReasons,
  reachOf,
  reportPolicies,
  statusOf,
} from '../../src/controller/report/policies.ts';
import type { LabelSelector } from '../../src/release/kubernetes/selector.ts';
import type { NamespaceLabels, PolicyObject } from '../../src/release/policy/policy.ts';
import { merge } from '../make/merge.ts';
import { makeForeignPolicy, makeNamespace, makePolicy } from '../make/policy.ts';

const noon = new Date('2026-11-21T12:00:00Z');
const later = new Date('2026-11-21T13:00:00Z');
const namespaces = [
  makeNamespace('kube-system'),
  makeNamespace('beta', { team: 'data' }),
  makeNamespace('air', { team: 'data', env: 'prod' }),
];
const data = { matchLabels: { team: 'data' } };
const prod = { matchLabels: { env: 'prod' } };

/** The status of the first of `policies`. */
function shown(policies: PolicyObject[], all = namespaces, now = noon): PolicyStatus {
  return statusOf(policies[0]!, reachOf(policies, all), now);
}

function condition(status: PolicyStatus, type: string) {
  return status.conditions.find((c) => c.type === type);
}

const watch = (selector?: LabelSelector) =>
  makePolicy({ name: 'watch', mode: 'Observe', ...(selector ? { selector } : {}) });
const deny = makePolicy({ name: 'deny', mode: 'Deny', selector: prod });

describe('the status of a policy', () => {
  const rows: [string, PolicyObject[], Partial<PolicyStatus>, [string, string, string], [string, string, string]][] = [
    [
      'alone, everywhere',
      [watch()],
      { namespaces: 3, overlaps: [], overlapping: '' },
      ['True', 'InForce', 'matches 3 namespaces'],
      ['False', 'NoOverlap', policyReasons.NoOverlap],
    ],
    [
      'that matches nothing',
      [watch({ matchLabels: { team: 'none' } }), deny],
      { namespaces: 0, overlaps: [], overlapping: '' },
      ['True', 'NoNamespace', policyReasons.NoNamespace],
      ['False', 'NoOverlap', policyReasons.NoOverlap],
    ],
    [
      'beside one that matches other namespaces',
      [watch({ matchLabels: { 'kubernetes.io/metadata.name': 'beta' } }), deny],
      { namespaces: 1, overlaps: [], overlapping: '' },
      ['True', 'InForce', 'matches 1 namespace'],
      ['False', 'NoOverlap', policyReasons.NoOverlap],
    ],
    [
      'that a stricter one overrules in some of its namespaces',
      [watch(data), deny],
      {
        namespaces: 2,
        overlapping: 'deny',
        overlaps: [{ policy: 'deny', mode: 'Deny', count: 1, namespaces: ['air'] }],
      },
      ['True', 'InForce', 'matches 2 namespaces'],
      ['True', 'Overruled', 'a stricter policy counts in some of its namespaces: deny (Deny, in 1)'],
    ],
    [
      'that is the strictest of several',
      [deny, watch(), makePolicy({ name: 'also', mode: 'Deny', selector: data })],
      {
        namespaces: 1,
        overlapping: 'also, watch',
        overlaps: [
          { policy: 'also', mode: 'Deny', count: 1, namespaces: ['air'] },
          { policy: 'watch', mode: 'Observe', count: 1, namespaces: ['air'] },
        ],
      },
      ['True', 'InForce', 'matches 1 namespace'],
      [
        'True',
        'Shared',
        'matches some of the same namespaces as also (Deny, in 1), watch (Observe, in 1); none of them is stricter',
      ],
    ],
    [
      'that cannot be read, and counts everywhere as Hold',
      [makeForeignPolicy('odd', { mode: 'Observe', namespaceSelector: { matchNames: ['air'] } }), watch(prod)],
      {
        namespaces: 3,
        overlapping: 'watch',
        overlaps: [{ policy: 'watch', mode: 'Observe', count: 1, namespaces: ['air'] }],
      },
      [
        'False',
        'Unreadable',
        'spec.namespaceSelector.matchNames is not known: counts as Hold in every namespace until it is put right',
      ],
      ['True', 'Shared', 'matches some of the same namespaces as watch (Observe, in 1); none of them is stricter'],
    ],
    [
      'that one which cannot be read overrules',
      [watch(prod), makeForeignPolicy('odd', { mode: 'Later' })],
      { namespaces: 1, overlapping: 'odd', overlaps: [{ policy: 'odd', mode: 'Hold', count: 1, namespaces: ['air'] }] },
      ['True', 'InForce', 'matches 1 namespace'],
      ['True', 'Overruled', 'a stricter policy counts in some of its namespaces: odd (Hold, in 1)'],
    ],
  ];
  it.each(rows)('%s', (_, policies, expected, ready, overlapping) => {
    const status = shown(policies);
    expect(status).toMatchObject({ observedGeneration: 1, ...expected });
    for (const [type, [value, reason, message]] of [['Ready', ready] as const, ['Overlapping', overlapping] as const])
      expect(condition(status, type)).toEqual({
        type,
        status: value,
        reason,
        message,
        lastTransitionTime: noon.toISOString(),
        observedGeneration: 1,
      });
  });

  it('says the generation that it is about', () => {
    const status = shown([makePolicy({ generation: 7 })]);
    expect([status.observedGeneration, ...status.conditions.map((c) => c.observedGeneration)]).toEqual([7, 7, 7]);
  });

  it('shows no more than the schema takes, and how many there are', () => {
    const many = Array.from({ length: 30 }, (_, i) => makePolicy({ name: `p${String(i).padStart(2, '0')}` }));
    const all = Array.from({ length: 25 }, (_, i) => makeNamespace(`n${String(24 - i).padStart(2, '0')}`));
    const status = shown([watch(), ...many], all);
    const { overlaps, overlapping } = limits();
    expect(status.overlaps).toHaveLength(overlaps);
    expect(status.overlaps[0]).toMatchObject({ policy: 'p00', count: 25 });
    expect(status.overlaps[0]!.namespaces).toEqual(Array.from({ length: overlapping }, (_, i) => `n0${i}`));
    expect(status.overlapping).toBe('p00, p01, p02 and 27 more');
    expect(condition(status, 'Overlapping')?.message).toMatch(/p02 \(Hold, in 25\) and 27 more/);
  });

  it('keeps the time of a condition that did not change, and sets that of one that did', () => {
    const before = makePolicy({ name: 'watch', mode: 'Observe', status: shown([watch()]) });
    const status = shown([before, deny], namespaces, later);
    expect(condition(status, 'Ready')?.lastTransitionTime).toBe(noon.toISOString());
    expect(condition(status, 'Overlapping')?.lastTransitionTime).toBe(later.toISOString());
  });
});

/** What manifests/crds allows. */
function limits() {
  const crd = parse(readFileSync('manifests/crds/downgradepolicies.yaml', 'utf8'));
  const { overlaps } = crd.spec.versions[0].schema.openAPIV3Schema.properties.status.properties;
  return { overlaps: overlaps.maxItems, overlapping: overlaps.items.properties.namespaces.maxItems };
}

/** An API server that holds these policies; `fails` are the names whose status it refuses. */
function world(policies: PolicyObject[], all: NamespaceLabels[] = namespaces, fails: string[] = []) {
  const stored = structuredClone(policies);
  const written: string[] = [];
  const logged: { fields: Record<string, unknown>; message: string }[] = [];
  const report = async (now = noon) =>
    await reportPolicies(
      { policies: async () => structuredClone(stored), namespaces: async () => all },
      {
        patchPolicyStatus: async (name, status) => {
          if (fails.includes(name)) throw new Error(`${name}: refused`);
          written.push(name);
          const policy = stored.find(({ metadata }) => metadata.name === name)!;
          policy.status = merge(policy.status ?? {}, status) as Record<string, unknown>;
        },
      },
      (fields, message) => void logged.push({ fields, message }),
      () => now,
    );
  return { written, logged, report, stored, all };
}

describe('reporting', () => {
  it('writes each policy once, and again only when something of it changed', async () => {
    const { report, written, all } = world([watch(), deny], [...namespaces]);
    await report();
    await report(later);
    expect(written).toEqual(['watch', 'deny']);
    all.push(makeNamespace('cold'));
    await report(later);
    expect(written).toEqual(['watch', 'deny', 'watch']);
  });

  it('does not write again because of what another version left in the status', async () => {
    const { report, written, stored } = world([watch()]);
    await report();
    stored[0]!.status = { ...stored[0]!.status, approvals: 3 };
    await report(later);
    expect(written).toEqual(['watch']);
  });

  it('writes nothing where there is no policy', async () => {
    const { report, written } = world([]);
    await report();
    expect(written).toEqual([]);
  });

  it('goes on past a policy that could not be written, says which, and fails, so that it is tried again', async () => {
    const { report, written, logged } = world([deny, watch()], namespaces, ['deny']);
    await expect(report()).rejects.toThrow('the status of some policies could not be written');
    expect(written).toEqual(['watch']);
    expect(logged.find(({ message }) => message === 'policy could not be reported')?.fields.policy).toBe('deny');
  });

  it('fails when the API server cannot be asked', async () => {
    const reads = { policies: async () => Promise.reject(new Error('no answer')), namespaces: async () => namespaces };
    const writes = { patchPolicyStatus: async () => {} };
    await expect(reportPolicies(reads, writes, () => {})).rejects.toThrow('no answer');
  });
});
