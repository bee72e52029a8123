/** Whether a plan may be carried out, what is asked if not, and how to say yes (G24, G27). */
import { describe, expect, it } from 'vitest';
import type { Rules } from '../../src/release/model/policy.ts';
import { defaultRules } from '../../src/release/model/policy.ts';
import { type Approvable, approvalInWords, type Consent, consentOf } from '../../src/release/plan/consent.ts';
import { deadlines, makeApprovable as makePlan, plannedBackups } from '../make/policy.ts';

const now = new Date('2026-11-21T12:00:00Z');
const { none, waived, referenced } = plannedBackups;

const rulesWith = (approval: Rules['approval'], backup: Partial<Rules['backup']> = {}): Rules => ({
  ...defaultRules,
  approval,
  backup: { ...defaultRules.backup, ways: ['ServerCopy', 'Reference', 'Waiver'], ...backup },
});
const always = rulesWith('Always');
const lossy = rulesWith('WhenLossy');
const never = rulesWith('Never');

type Plan = ReturnType<typeof makePlan>;
type Spec = Parameters<typeof consentOf>[0]['spec'];
const consent = (plan: Plan, rules: Rules, spec: Spec = {}) => consentOf({ plan, rules, spec, name: 'af-x7k2q', now });
/** `policy`, `approval`, or all that is asked. */
const word = (given: Consent) => (given.state === 'given' ? given.by : given.why.join('; '));
const approved = (plan: Plan, spec: Spec = {}): Spec => ({ approved: plan.hash, ...spec });

describe('a plan is asked about', () => {
  const harmless = makePlan();
  const losing = makePlan({ losses: [deadlines] });
  const hazardous = makePlan({ hazards: [{ id: 'slow', what: 'an hour of locks' }] });
  const rows: [string, Plan, Rules, Spec, string][] = [
    ['not, when nothing is lost and a copy is made', harmless, lossy, {}, 'policy'],
    ['always, when the policy says so', harmless, always, {}, 'the policy asks about every downgrade'],
    [
      'when rows are lost, with their number',
      losing,
      lossy,
      {},
      'lost: 12 rows of deadline are deleted (an approval covers up to 14)',
    ],
    ['when a hazard needs accepting', hazardous, lossy, {}, 'to be accepted: an hour of locks'],
    [
      'when nobody backs it up',
      makePlan({ backup: none }),
      rulesWith('WhenLossy', { required: false }),
      {},
      'there will be no backup: no copy on the server: the role may not create databases',
    ],
    [
      'when the backup is waived',
      makePlan({ backup: waived }),
      lossy,
      { backup: { waivedBy: 'Ada' } },
      'there will be no backup, on the word of Ada',
    ],
    [
      'not, when a backup is named',
      makePlan({ backup: referenced }),
      lossy,
      { backup: { reference: 'rds:x' } },
      'policy',
    ],
    ['not even about losses, when the policy says never', losing, never, {}, 'policy'],
    ['not even about hazards then', hazardous, never, {}, 'policy'],
    [
      'not, when a backup is waived and the policy lists that',
      makePlan({ backup: waived }),
      never,
      { backup: { waivedBy: 'Ada' } },
      'policy',
    ],
    [
      'not, when a policy wants neither backup nor approval',
      makePlan({ backup: none }),
      rulesWith('Never', { required: false }),
      {},
      'policy',
    ],
    [
      'not about losses that have gone away',
      makePlan({ losses: [{ ...deadlines, count: 0, upTo: 14 }] }),
      lossy,
      {},
      'policy',
    ],
  ];
  it.each(rows)('%s', (_, plan, rules, spec, said) => expect(word(consent(plan, rules, spec))).toBe(said));

  it('by every reason at once', () => {
    const all = makePlan({ losses: [deadlines], hazards: [{ id: 'slow', what: 'an hour of locks' }], backup: waived });
    const given = consent(all, always, { backup: { waivedBy: 'Ada' } });
    expect(given).toMatchObject({
      state: 'needed',
      why: [
        expect.any(String),
        expect.stringContaining('lost'),
        expect.stringContaining('accepted'),
        expect.stringContaining('Ada'),
      ],
    });
  });

  it('when a backup is named in a way that the policy does not list, whatever it says of approval', () => {
    for (const approval of ['Always', 'WhenLossy', 'Never'] as const)
      for (const [backup, named] of [
        [referenced, { reference: 'rds:x' }],
        [waived, { waivedBy: 'Ada' }],
      ] as const) {
        const rules = rulesWith(approval, { ways: ['ServerCopy'] });
        const plan = makePlan({ backup });
        expect(word(consent(plan, rules, { backup: named }))).toContain(`the policy does not list ${backup.way}`);
        expect(word(consent(plan, rules, approved(plan, { backup: named })))).toBe('approval');
      }
  });
});

describe('S2-8: a backup must be named', () => {
  const rows: [string, Approvable['backup'], Rules, Spec][] = [
    ['where no way works, whatever the policy says of approval', none, never, {}],
    ['also where the plan was approved', none, lossy, approved(makePlan({ backup: none }))],
    ['where the reference is gone again', referenced, lossy, {}],
    ['where the waiver is gone again', waived, never, { backup: { reference: 'rds:x' } }],
  ];
  it.each(rows)('%s', (_, backup, rules, spec) => {
    expect(word(consent(makePlan({ backup }), rules, spec))).toContain('name a backup of your own, or who waives it');
  });

  it('and the words say what stands in the way of a copy', () => {
    expect(word(consent(makePlan({ backup: none }), never))).toContain('the role may not create databases');
    const nothing = makePlan({ backup: { way: 'None', why: [] } });
    expect(word(consent(nothing, rulesWith('WhenLossy', { ways: [] })))).toContain(
      'the policies agree on no way of a backup',
    );
  });
});

describe('consent to a plan', () => {
  const plan = makePlan({ losses: [deadlines] });
  const rows: [string, Spec, string][] = [
    ['is given by its hash', { approved: plan.hash }, 'approval'],
    ['is given until a date', { approved: plan.hash, approvedUntil: '2026-11-21T12:00:01Z' }, 'approval'],
    [
      'counts as UTC says, not as it is written',
      { approved: plan.hash, approvedUntil: '2026-11-21T13:30:00+01:00' },
      'approval',
    ],
    [
      'ends with its date',
      { approved: plan.hash, approvedUntil: '2026-11-21T12:00:00Z' },
      'the approval ended at 2026-11-21T12:00:00Z',
    ],
    [
      'has ended when its date cannot be read',
      { approved: plan.hash, approvedUntil: 'soon' },
      'the approval ended at soon',
    ],
    [
      'is none to another plan',
      { approved: 'ffffffffffff' },
      `the plan is ${plan.hash} by now, and ffffffffffff was approved`,
    ],
    ['is not given by a date alone', { approvedUntil: '2030-01-01T00:00:00Z' }, 'lost: 12 rows'],
  ];
  it.each(rows)('%s', (_, spec, said) => {
    for (const rules of [lossy, always]) expect(word(consent(plan, rules, spec))).toContain(said);
  });

  it('that has ended is not missed where nothing is asked', () => {
    expect(word(consent(makePlan(), lossy, { approved: 'ffffffffffff', approvedUntil: '2020-01-01T00:00:00Z' }))).toBe(
      'policy',
    );
  });
});

describe('the command', () => {
  const specOf = (command: string) =>
    JSON.parse(/^patch downgrade af-x7k2q --type merge -p '(.*)'$/.exec(command)![1]!).spec;
  const needed = (plan: Plan, rules: Rules) => {
    const given = consent(plan, rules);
    if (given.state === 'given') throw new Error('nothing was asked');
    return given;
  };

  it('says yes: with what it writes, nothing is asked any more', () => {
    for (const plan of [makePlan({ losses: [deadlines] }), makePlan()]) {
      const { command, without } = needed(plan, always);
      expect(without).toBeUndefined();
      expect(word(consent(plan, always, specOf(command)))).toBe('approval');
    }
  });

  it.each([always, lossy, never, rulesWith('Never', { ways: [] })])(
    'names a backup or waives it, and says yes to the plan with it (%j)',
    (rules) => {
      const plan = makePlan({ backup: none, losses: [deadlines] });
      const { command, without } = needed(plan, rules);
      for (const [text, way] of [
        [command, 'Reference'],
        [without!, 'Waiver'],
      ] as const) {
        const spec = specOf(text);
        const named = makePlan({ losses: [deadlines], backup: { way, named: 'x', why: ['whatever'] } });
        expect(consent(named, rules, spec).state).toBe('given');
        expect(Object.values(spec.backup)).toEqual([expect.stringMatching(/^<.*>$/)]);
      }
    },
  );

  it('is one line of shell, whatever stands in it', () => {
    expect(needed(makePlan({ backup: none }), lossy).command).toBe(
      `patch downgrade af-x7k2q --type merge -p '{"spec":{"backup":{"reference":"<name of the backup>"}}}'`,
    );
  });

  it('is told in full, with why', () => {
    const plan = makePlan({ losses: [deadlines] });
    expect(approvalInWords(needed(plan, lossy), 'air')).toBe(
      `lost: 12 rows of deadline are deleted (an approval covers up to 14). To agree: kubectl -n air patch downgrade af-x7k2q --type merge -p '{"spec":{"approved":"${plan.hash}"}}'`,
    );
    expect(approvalInWords(needed(makePlan({ backup: none }), lossy), 'air')).toMatch(
      /^no copy will be made .* or, to go without a backup: kubectl -n air patch .*waivedBy.*$/,
    );
    expect(approvalInWords({ state: 'given', by: 'policy' }, 'air')).toBe('');
  });
});
