/** Which policy counts in which namespace. That Kubernetes selects the same: test/cluster-client/policies.test.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matches } from '../../src/release/kubernetes/selector.ts';
import type { Mode } from '../../src/release/model/policy.ts';
import { defaultRules } from '../../src/release/model/policy.ts';
import { modes, type PolicyObject, policyFor, readPolicy } from '../../src/release/policy/policy.ts';
import { makeForeignPolicy, makePolicy, namespaces, readable, unreadable } from '../make/policy.ts';

const { air, beta } = namespaces;
const data = { matchLabels: { team: 'data' } };
const prod = { matchLabels: { env: 'prod' } };

describe('a selector', () => {
  it.each(readable)('%s selects what Kubernetes selects', (_, selector, selected) => {
    const found = Object.entries(namespaces).filter(([, labels]) => matches(selector, labels));
    expect(found.map(([name]) => name)).toEqual(selected);
    expect(readPolicy(makePolicy(selector ? { selector } : {})).fault).toBeUndefined();
  });

  it.each(unreadable)('%s is a fault', (_, selector, fault) => {
    expect(readPolicy(makePolicy({ selector })).fault).toContain(fault);
  });
});

describe('what counts in a namespace', () => {
  const rows: [string, PolicyObject[], Mode, string[], string[]][] = [
    ['Hold, where there is no policy', [], 'Hold', [], []],
    [
      'Hold, where no policy matches',
      [makePolicy({ mode: 'Observe', selector: { matchLabels: { team: 'x' } } })],
      'Hold',
      [],
      [],
    ],
    [
      'the mode of the one that matches',
      [makePolicy({ name: 'a', mode: 'Observe', selector: data })],
      'Observe',
      ['a'],
      ['a'],
    ],
    [
      'Deny rather than Hold',
      [makePolicy({ name: 'a', mode: 'Hold' }), makePolicy({ name: 'b', mode: 'Deny', selector: prod })],
      'Deny',
      ['b'],
      ['a', 'b'],
    ],
    [
      'Hold rather than Observe',
      [makePolicy({ name: 'b', mode: 'Observe' }), makePolicy({ name: 'a', mode: 'Hold', selector: prod })],
      'Hold',
      ['a'],
      ['a', 'b'],
    ],
    [
      'both names, sorted, where two say the same',
      ['z', 'a', 'm'].map((name) => makePolicy({ name, mode: name === 'm' ? 'Observe' : 'Deny' })),
      'Deny',
      ['a', 'z'],
      ['a', 'm', 'z'],
    ],
  ];
  it.each(rows)('is %s', (_, policies, mode, by, matched) => {
    expect(policyFor(policies, air)).toEqual({ mode, by, matched, rules: defaultRules });
  });

  it('is of that namespace alone', () => {
    const policies = [
      makePolicy({ mode: 'Observe', selector: data }),
      makePolicy({ name: 'p', mode: 'Deny', selector: prod }),
    ];
    expect([air, beta, namespaces.dusk].map((labels) => policyFor(policies, labels).mode)).toEqual([
      'Deny',
      'Observe',
      'Hold',
    ]);
  });
});

describe('a policy that cannot be read counts everywhere, and never loosens', () => {
  const broken: [string, unknown, string, Mode][] = [
    ['Observe with an unknown operator', { mode: 'Observe', namespaceSelector: unreadable[0]![1] }, 'operator', 'Hold'],
    ['Deny with an unknown operator', { mode: 'Deny', namespaceSelector: unreadable[0]![1] }, 'operator', 'Deny'],
    ['a mode of another version', { mode: 'Approve' }, 'spec.mode is "Approve"', 'Hold'],
    ['no mode', {}, 'spec.mode is missing', 'Hold'],
    ['no spec', undefined, 'spec.mode is missing', 'Hold'],
    ['a selector that is a text', { mode: 'Observe', namespaceSelector: 'env=prod' }, 'is no object', 'Hold'],
    [
      'Observe with a part that another version knows',
      { mode: 'Observe', namespaceSelector: { matchNames: ['air'] } },
      'matchNames is not known',
      'Hold',
    ],
    [
      'labels as a list',
      { mode: 'Observe', namespaceSelector: { matchLabels: [] } },
      'matchLabels is no object',
      'Hold',
    ],
    [
      'expressions as an object',
      { mode: 'Observe', namespaceSelector: { matchExpressions: {} } },
      'matchExpressions is no list',
      'Hold',
    ],
    [
      'an expression that is null',
      { mode: 'Observe', namespaceSelector: { matchExpressions: [null] } },
      'no key of a label',
      'Hold',
    ],
  ];
  it.each(broken)('%s', (_, spec, fault, mode) => {
    const policy = makeForeignPolicy('broken', spec);
    expect(readPolicy(policy).fault).toContain(fault);
    expect(policyFor([policy], namespaces.dusk)).toMatchObject({ mode, by: ['broken'], matched: ['broken'] });
    expect(policyFor([policy, makePolicy({ mode: 'Observe' })], namespaces.dusk).mode).toBe(mode);
  });
});

describe('labels that could not be read', () => {
  it('leave in force what asks for no label', () => {
    expect(policyFor([makePolicy({ mode: 'Observe', selector: { matchLabels: {} } })], undefined).mode).toBe('Observe');
  });
  it('may be those that a policy asks for: Deny counts, Observe does not', () => {
    expect(policyFor([makePolicy({ mode: 'Deny', selector: prod })], undefined).mode).toBe('Deny');
    expect(policyFor([makePolicy({ mode: 'Observe', selector: data })], undefined).mode).toBe('Hold');
    const both = [makePolicy({ name: 'all', mode: 'Observe' }), makePolicy({ mode: 'Observe', selector: data })];
    expect(policyFor(both, undefined).mode).toBe('Hold');
  });
});

function expectSound(policies: PolicyObject[]): void {
  for (const policy of policies) expect(readPolicy(policy).fault).toBeUndefined();
}

describe('whatever the policies', () => {
  const policies = fc.uniqueArray(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 6 }),
      mode: fc.constantFrom(...modes, 'Later'),
      selector: fc.constantFrom(undefined, ...readable.map(([, s]) => s), ...unreadable.map(([, s]) => s)),
    }),
    { selector: ({ name }) => name, maxLength: 6 },
  );
  const labels = fc.constantFrom(undefined, ...Object.values(namespaces));
  const rank = (mode: Mode) => modes.indexOf(mode);
  const made = (of: { name: string; mode: string; selector: PolicyObject['spec']['namespaceSelector'] }[]) =>
    of.map(({ name, mode, selector }) => makePolicy({ name, mode, ...(selector ? { selector } : {}) }));

  it('their order does not matter', () => {
    fc.assert(
      fc.property(policies, labels, (all, of) => {
        expect(policyFor(made(all.toReversed()), of)).toEqual(policyFor(made(all), of));
      }),
    );
  });

  it('one more never loosens what counts, but for a sound Observe where nothing else matches', () => {
    fc.assert(
      fc.property(policies, labels, ([one, ...rest], of) => {
        const more = made(one ? [one, ...rest] : rest);
        const before = policyFor(made(rest), of);
        const after = policyFor(more, of);
        if (before.matched.length > 0) expect(rank(after.mode)).toBeLessThanOrEqual(rank(before.mode));
        if (after.mode === 'Observe') expectSound(more);
      }),
    );
  });
});
