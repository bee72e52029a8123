import { describe, expect, it } from 'vitest';
import { keysOfPlan } from '../../src/release/plan/fernet-keys.ts';

describe('S2-10: the Fernet keys of both images', () => {
  const encrypted = { connection: 3, variable: 2, trigger: 0 };
  const nothing = { losses: [], notes: [] };

  it.each<[string, string[], string[]]>([
    ['the same key', ['a'], ['a']],
    ['the newer one was added in front, and the older knows it', ['new', 'old'], ['old', 'new']],
    ['nothing is encrypted', [], ['a']],
  ])('nothing to say: %s', (_name, running, target) => {
    expect(keysOfPlan({ fernetKeys: running, encrypted }, target, '3.1.8')).toEqual(nothing);
  });

  it.each<[string, string[], string[], RegExp]>([
    [
      'another key',
      ['a'],
      ['b'],
      /^5 rows of connection, variable: values that 3\.1\.8 can't open.*another Fernet key/,
    ],
    ['no key', ['a'], [], /is given no Fernet key than|is given no Fernet key/],
    ['the key that encrypts now is missing', ['new', 'old'], ['old'], /^5 rows/],
  ])('a loss that somebody agrees to: %s', (_name, running, target, what) => {
    const { losses, notes } = keysOfPlan({ fernetKeys: running, encrypted }, target, '3.1.8');
    expect(losses).toEqual([{ what: expect.stringMatching(what), count: 5 }]);
    expect(notes).toEqual([]);
  });

  it('nothing to say: no row is encrypted, whatever the keys', () => {
    expect(keysOfPlan({ fernetKeys: null, encrypted: { connection: 0, trigger: 0 } }, undefined, '3.1.8')).toEqual(
      nothing,
    );
    expect(keysOfPlan({ fernetKeys: ['a'], encrypted: { connection: 0 } }, ['b'], '3.1.8')).toEqual(nothing);
  });

  it('triggers that no key opens end the triggerer, which is said', () => {
    const { losses } = keysOfPlan({ fernetKeys: ['a'], encrypted: { trigger: 1 } }, ['b'], '3.1.8');
    expect(losses[0]?.what).toMatch(/^1 rows of trigger: .*its triggerer ends/);
  });

  it.each<[string, Parameters<typeof keysOfPlan>[0], string[] | undefined, RegExp]>([
    ['an older key is missing', { fernetKeys: ['a', 'b'] }, ['a'], /not given all .* older Fernet keys/],
    ['the running image could not tell', { fernetKeys: null }, ['a'], /is not known$/],
    ['the target could not tell', { fernetKeys: ['a'] }, undefined, /is not known$/],
    [
      'rows could not be counted',
      { fernetKeys: ['a'], encrypted: { variable: null } },
      ['b'],
      /^not counted, of variable/,
    ],
  ])('a note: %s', (_name, keys, target, note) => {
    expect(keysOfPlan(keys, target, '3.1.8')).toEqual({ losses: [], notes: [expect.stringMatching(note)] });
  });

  it('a runner of an older downdraft said nothing of keys', () => {
    expect(keysOfPlan({}, ['a'], '3.1.8')).toEqual(nothing);
  });
});
