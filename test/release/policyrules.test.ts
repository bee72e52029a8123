/** What policies say beside their mode, and what counts where several match. What the schema takes: test/manifests. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackupWay, Rules, SaidRules } from '../../src/release/model/policy.ts';
import { defaultRules } from '../../src/release/model/policy.ts';
import { type PolicyObject, policyFor, readPolicy } from '../../src/release/policy/policy.ts';
import { makeForeignPolicy, makePolicy, namespaces, readable, readableRules, unreadableRules } from '../make/policy.ts';

const { air, calm } = namespaces;
const data = { matchLabels: { team: 'data' } };

/** What counts where policies a, b, … say this. */
function together(...said: SaidRules[]): Rules {
  return policyFor(
    said.map((rules, at) => makePolicy({ name: String.fromCharCode(97 + at), rules })),
    air,
  ).rules;
}

describe('what one policy says', () => {
  it.each(readableRules)('counts as said: %s', (_, rules) => {
    expect(readPolicy(makePolicy({ rules })).fault).toBeUndefined();
    const { backup, ...rest } = rules;
    expect(together(rules)).toEqual({ ...defaultRules, ...rest, backup: { ...defaultRules.backup, ...backup } });
  });

  it('counts where it matches, and nowhere else', () => {
    const policy = makePolicy({ selector: data, rules: { approval: 'Never' } });
    expect([air, calm].map((labels) => policyFor([policy], labels).rules.approval)).toEqual(['Never', 'WhenLossy']);
  });

  it('asks by default when something is lost, and keeps a copy for a week (S2-14)', () => {
    expect(policyFor([], air).rules).toEqual({
      approval: 'WhenLossy',
      backup: { ways: ['ServerCopy'], keepHours: 168, required: true },
      onFailure: 'Ask',
    });
  });
});

describe('of several policies the stricter counts', () => {
  const copy = (...ways: BackupWay[]): SaidRules => ({ backup: { ways } });
  const rows: [string, SaidRules[], object][] = [
    ['Always before Never', [{ approval: 'Never' }, { approval: 'Always' }], { approval: 'Always' }],
    ['Always before WhenLossy', [{ approval: 'Always' }, { approval: 'WhenLossy' }], { approval: 'Always' }],
    ['WhenLossy before Never', [{ approval: 'Never' }, { approval: 'WhenLossy' }], { approval: 'WhenLossy' }],
    ['the only one that says it', [{ approval: 'Never' }, { onFailure: 'Return' }], { approval: 'Never' }],
    ['Ask before Return', [{ onFailure: 'Return' }, { onFailure: 'Ask' }], { onFailure: 'Ask' }],
    [
      'the longest time',
      [{ backup: { keepHours: 24 } }, { backup: { keepHours: 840 } }],
      { backup: { keepHours: 840 } },
    ],
    ['no time before nothing said', [{ backup: { keepHours: 0 } }, {}], { backup: { keepHours: 0 } }],
    [
      'a backup that is required',
      [{ backup: { required: false } }, { backup: { required: true } }],
      { backup: { required: true } },
    ],
    ['one that none requires', [{ backup: { required: false } }, {}], { backup: { required: false } }],
    [
      'ways that all list, as the first by name orders them',
      [copy('Reference', 'ServerCopy'), copy('ServerCopy', 'Waiver', 'Reference')],
      copy('Reference', 'ServerCopy'),
    ],
    ['no way, where they share none', [copy('ServerCopy'), copy('Reference')], copy()],
    ['no way, where one allows none', [copy(), copy('Reference')], copy()],
    ['the ways of the one that lists some', [{ approval: 'Always' }, copy('Waiver')], copy('Waiver')],
    ['the runner that all name', [{ runner: 'OldPod' }, { runner: 'OldPod' }, {}], { runner: 'OldPod' }],
  ];
  it.each(rows)('%s', (_, said, rules) => {
    expect(together(...said)).toMatchObject(rules);
    expect(together(...said).backup.ways).toHaveLength((rules as SaidRules).backup?.ways?.length ?? 1);
  });

  it('places that contradict each other count as none named, those that agree or stand alone as named', () => {
    const [here, there] = [{ claim: 'here' }, { claim: 'there' }];
    const said = together({ backup: { dump: here, volumeSnapshot: here } }, { backup: { dump: there } }, {});
    expect(said.backup).toEqual({ ...defaultRules.backup, volumeSnapshot: here });
    expect(together({ backup: { dump: here } }, { backup: { dump: here } }).backup.dump).toEqual(here);
  });

  it('runners that contradict each other count as none named', () => {
    expect(together({ runner: 'Copy' }, { runner: 'OldPod' })).not.toHaveProperty('runner');
  });

  it('the order of ways is that of the first by name, however the policies are listed', () => {
    const a = makePolicy({ name: 'a', rules: copy('Waiver', 'Reference') });
    const b = makePolicy({ name: 'b', rules: copy('Reference', 'Waiver') });
    for (const policies of [
      [a, b],
      [b, a],
    ])
      expect(policyFor(policies, air).rules.backup.ways).toEqual(['Waiver', 'Reference']);
  });
});

describe('a policy that cannot be read', () => {
  it.each(unreadableRules)('%s is a fault, and counts as strict everywhere', (_, part, fault) => {
    const policy = makeForeignPolicy('broken', {
      mode: 'Observe',
      namespaceSelector: { matchLabels: { team: 'x' } },
      ...part,
    });
    expect(readPolicy(policy).fault).toContain(fault);
    expect(policyFor([policy], calm)).toMatchObject({ mode: 'Hold', rules: { approval: 'Always', onFailure: 'Ask' } });
    expect(policyFor([policy], calm).rules.backup).toMatchObject({ ...defaultRules.backup, required: true });
  });

  const loose: SaidRules = {
    approval: 'Never',
    backup: { ways: ['Waiver'], keepHours: 840, required: false },
    onFailure: 'Return',
  };
  const strict = { approval: 'Always', backup: { ways: ['Waiver'], keepHours: 840, required: true }, onFailure: 'Ask' };
  it('keeps what can be read of it, but for what loosens', () => {
    expect(policyFor([makeForeignPolicy('broken', { mode: 'Later', ...loose })], air).rules).toEqual(strict);
    expect(policyFor([makeForeignPolicy('broken', { mode: 'Later', ...loose, runner: 1 })], air).rules).toEqual(strict);
  });
  it.each([undefined, null, 'Hold', [], { approval: null, backup: null }])(
    'with a spec that is %j breaks nothing',
    (spec) => {
      expect(policyFor([makeForeignPolicy('broken', spec)], air).rules.approval).toBe('Always');
    },
  );
  it('may be one whose labels are not known: it counts as strict, unless it asks for none', () => {
    expect(policyFor([makePolicy({ selector: data, rules: loose })], undefined).rules).toEqual(strict);
    expect(policyFor([makePolicy({ rules: loose })], undefined).rules).toEqual(loose);
  });
});

/** The strictest first. */
const order = { approval: ['Always', 'WhenLossy', 'Never'], onFailure: ['Ask', 'Return'] };

/** Each field that the policy names counts as it says, or is stricter. */
function expectNoLooser(rules: Rules, { spec, metadata }: PolicyObject): void {
  if (spec.approval)
    expect(order.approval.indexOf(rules.approval), metadata.name).toBeLessThanOrEqual(
      order.approval.indexOf(spec.approval),
    );
  if (spec.onFailure)
    expect(order.onFailure.indexOf(rules.onFailure)).toBeLessThanOrEqual(order.onFailure.indexOf(spec.onFailure));
  if (spec.backup) expectNoLooserBackup(rules.backup, spec.backup);
}

function expectNoLooserBackup(counts: Rules['backup'], said: NonNullable<SaidRules['backup']>): void {
  if (said.required) expect(counts.required).toBe(true);
  if (said.keepHours !== undefined) expect(counts.keepHours).toBeGreaterThanOrEqual(said.keepHours);
  if (said.ways) expect(said.ways).toEqual(expect.arrayContaining([...counts.ways]));
}

describe('whatever the policies', () => {
  const said = fc.record<SaidRules>(
    {
      approval: fc.constantFrom('Always', 'WhenLossy', 'Never'),
      backup: fc.record(
        {
          ways: fc.shuffledSubarray(['ServerCopy', 'Dump', 'Reference', 'Waiver'] as BackupWay[]),
          keepHours: fc.nat(87_600),
          required: fc.boolean(),
          dump: fc.record({ claim: fc.constantFrom('a', 'b') }),
        },
        { requiredKeys: [] },
      ),
      onFailure: fc.constantFrom('Ask', 'Return'),
      runner: fc.constantFrom('Copy', 'OldPod'),
    },
    { requiredKeys: [] },
  );
  const mode = fc.constantFrom('Hold', 'Deny', 'Observe', 'Later');
  const selector = fc.constantFrom(...readable.map(([, s]) => s));
  const one = fc.record({ name: fc.string({ minLength: 1, maxLength: 4 }), mode, selector, rules: said });
  const policies = fc
    .uniqueArray(one, { selector: ({ name }) => name, maxLength: 5 })
    .map((all) =>
      all.map(({ selector: s, ...shape }): PolicyObject => makePolicy({ ...shape, ...(s ? { selector: s } : {}) })),
    );
  const labels = fc.constantFrom(undefined, ...Object.values(namespaces));

  it('their order does not matter', () => {
    fc.assert(
      fc.property(policies, labels, (all, of) => {
        expect(policyFor(all.toReversed(), of)).toEqual(policyFor(all, of));
      }),
    );
  });

  it('nobody’s word on a field is overruled by a looser one', () => {
    fc.assert(
      fc.property(policies, labels, (all, of) => {
        const { matched, rules } = policyFor(all, of);
        for (const policy of all.filter((p) => matched.includes(p.metadata.name))) expectNoLooser(rules, policy);
      }),
    );
  });
});
