/** What a verdict means under a policy, for a new or a changed object, with or without our rights. */
import { describe, expect, it } from 'vitest';
import type { Mode } from '../../src/release/model/policy.ts';
import type { Reason } from '../../src/release/model/reasons.ts';
import { type Circumstances, decide, ifResumable } from '../../src/release/verdict/decide.ts';
import type { Verdict } from '../../src/release/verdict/question.ts';

const workload = { kind: 'Deployment', name: 'af-scheduler', namespace: 'air' };

const verdictOf = (verdict: Verdict['verdict'], reason: Reason): Verdict =>
  verdict === 'allow' ? { verdict, reason } : { verdict, reason, message: 'deployment/af-scheduler: why' };

function decided(
  verdict: Verdict,
  { missingRights = [], ...shape }: Partial<Circumstances> & { missingRights?: string[] } = {},
) {
  const policies = shape.mode ? ['platform', 'strict'] : [];
  return ifResumable(
    decide(verdict, { workload, mode: 'Hold', policies, fresh: false, ...shape }),
    workload,
    missingRights,
  );
}

const allows: Reason[] = ['NewDatabase', 'Fits', 'PreviousImage', 'Upgrade', 'NewRelease', 'NothingHeld'];
const downgrades: Reason[] = ['DatabaseAhead', 'ProviderAhead'];
const uncertain: Reason[] = ['ImageUnknown', 'RevisionUnknown', 'DatabaseUnreadable', 'ConnectionChanged'];
const denies: Reason[] = ['VersionTableEmptied', 'SeveralHeads', 'TargetTooOld', 'NotAnAncestor', 'ImagesDisagree'];
const modes: Mode[] = ['Hold', 'Deny', 'Observe'];
const each = (reasons: Reason[], of: readonly Mode[] = modes) =>
  reasons.flatMap((reason) => of.flatMap((mode) => [false, true].map((fresh) => [reason, mode, fresh] as const)));

describe('what may pass passes under every policy', () => {
  it.each(each(allows))('%s, mode %s, new %s', (reason, mode, fresh) => {
    expect(decided(verdictOf('allow', reason), { mode, fresh, missingRights: ['patch deployments'] })).toEqual({
      verdict: 'allow',
      reason,
    });
  });
});

describe('a certain downgrade', () => {
  it.each(each(downgrades, ['Hold']))('%s, mode %s, new %s: held', (reason, mode, fresh) => {
    expect(decided(verdictOf('hold', reason), { mode, fresh })).toMatchObject({ verdict: 'hold', reason });
  });
  it.each(each(downgrades, ['Deny']))(
    '%s, mode %s, new %s: denied, naming policies and namespace',
    (reason, mode, fresh) => {
      expect(decided(verdictOf('hold', reason), { mode, fresh })).toEqual({
        verdict: 'deny',
        reason: 'PolicyDenies',
        message: expect.stringMatching(
          /af-scheduler: why; DowngradePolicy platform, strict forbids downgrades in namespace air: keep the newer image, or ask/,
        ),
      });
    },
  );
});

describe('not knowing', () => {
  it.each(each(uncertain, ['Hold', 'Deny']).filter(([, , fresh]) => !fresh))(
    '%s, mode %s: a change is held, the policy judges once it is known',
    (reason, mode) => {
      expect(decided(verdictOf('hold', reason), { mode })).toMatchObject({ verdict: 'hold', reason });
    },
  );
  it.each(each(uncertain).filter(([, , fresh]) => fresh))(
    '%s, mode %s: what is new is let in, and looked at once stored',
    (reason, mode) => {
      expect(decided(verdictOf('hold', reason), { mode, fresh: true })).toEqual({
        verdict: 'allow',
        reason: 'NotKnownYet',
      });
    },
  );
});

describe('what can never start', () => {
  it.each(each(denies, ['Hold', 'Deny']))('%s, mode %s, new %s: denied', (reason, mode, fresh) => {
    expect(decided(verdictOf('deny', reason), { mode, fresh })).toMatchObject({ verdict: 'deny', reason });
  });
});

describe('Observe', () => {
  it.each([...downgrades, ...uncertain])('%s passes, with what it would have been', (reason) => {
    const verdict = verdictOf('hold', reason);
    expect(decided(verdict, { mode: 'Observe' })).toEqual({ verdict: 'allow', reason: 'Observed', observed: verdict });
  });
  it.each(denies)('%s passes too', (reason) => {
    const verdict = verdictOf('deny', reason);
    expect(decided(verdict, { mode: 'Observe' })).toEqual({ verdict: 'allow', reason: 'Observed', observed: verdict });
  });
  it('but never what would turn a run round in its middle', () => {
    expect(decided(verdictOf('deny', 'DowngradeUnderWay'), { mode: 'Observe' })).toMatchObject({
      verdict: 'deny',
      reason: 'DowngradeUnderWay',
    });
  });
});

describe('G44: rights that do not suffice', () => {
  const missingRights = ['create pods', 'patch deployments'];
  it.each([...downgrades, ...uncertain])(
    '%s is denied rather than held, naming each right and the remedy',
    (reason) => {
      expect(decided(verdictOf('hold', reason), { missingRights })).toEqual({
        verdict: 'deny',
        reason: 'RightsMissing',
        message: expect.stringMatching(
          /namespace air its service account may not create pods, patch deployments; apply manifests\/rbac\.yaml/,
        ),
      });
    },
  );
  it('the policy’s no comes first: the person could not go on with the rights either', () => {
    expect(decided(verdictOf('hold', 'DatabaseAhead'), { mode: 'Deny', missingRights })).toMatchObject({
      reason: 'PolicyDenies',
    });
  });
  it('an observing policy holds nothing, so that no right is missing', () => {
    expect(decided(verdictOf('hold', 'DatabaseAhead'), { mode: 'Observe', missingRights })).toMatchObject({
      reason: 'Observed',
    });
  });
});
