/** What comes of comparing the digests of a copy and of an old pod. */
import { describe, expect, it } from 'vitest';
import { readPod } from '../../src/release/kubernetes/pods.ts';
import type { Proof } from '../../src/release/model/run.ts';
import { type Digests, digested } from '../../src/release/model/runner.ts';
import type { Pod } from '../../src/release/model/workload.ts';
import { compareDigests, copiedPod, originalsOf, proofOfPlan } from '../../src/release/plan/proof.ts';
import { makePod, type PodShape } from '../make/pod.ts';

const digests = (other: Partial<Digests> = {}): Digests => ({
  ...(Object.fromEntries(digested.map((name) => [name, 'a'.repeat(64)])) as Digests),
  ...other,
});
const another = 'b'.repeat(64);

const sha = (digit: string) => `docker.io/apache/airflow@sha256:${digit.repeat(64)}`;
function pod(
  name: string,
  { runs = true, imageID = sha('1'), ...shape }: PodShape & { runs?: boolean; imageID?: string } = {},
): Pod {
  const object = makePod({ name, ...shape });
  const state = runs ? { running: {} } : { waiting: {} };
  object.status = { ...object.status, containerStatuses: [{ name: 'scheduler', state, imageID }] };
  return readPod(object, { 'af-scheduler-rs': 'af-scheduler' });
}

const [copy, old] = [pod('copy', { role: 'runner' }), pod('old')];
const compared = (a: Digests | string, b: Digests | string) => {
  const said = (told: Digests | string) => (typeof told === 'string' ? { fault: told } : { told });
  return compareDigests({ pod: copy, said: said(a) }, { pod: old, said: said(b) });
};

describe('two answers', () => {
  const names = { of: 'uid-copy', copy: 'copy' };
  it.each<[string, Digests | string, Digests | string, object]>([
    ['that are the same prove it', digests(), digests(), { differ: [], pod: 'old' }],
    [
      'of which one lacks a setting differ by it',
      digests({ fernet_key: null }),
      digests(),
      { differ: ['fernet_key'], pod: 'old' },
    ],
    [
      'that both lack a setting are the same',
      digests({ fernet_key: null }),
      digests({ fernet_key: null }),
      { differ: [], pod: 'old' },
    ],
    ['of which the copy gave none prove nothing', 'no answer', digests(), { why: 'pod/copy: no answer' }],
    [
      'of which the old pod gave none prove nothing',
      digests(),
      'x'.repeat(999),
      { why: `pod/old: ${'x'.repeat(300)}` },
    ],
  ])('%s', (_, a, b, wanted) => {
    expect(compared(a, b)).toEqual({ ...names, ...wanted });
  });
});

describe('what the plan says', () => {
  it.each<[string, Proof | undefined, boolean, string[], RegExp]>([
    ['nothing where it is proved', compared(digests(), digests()), false, [], /^$/],
    ['nothing where it was not asked', undefined, false, [], /^$/],
    ['a note of another login', compared(digests({ credentials: another }), digests()), false, [], /other credentials/],
    [
      'a blocker of another host, whose database may be a clone',
      compared(digests({ host: another }), digests()),
      true,
      ['SettingsDiffer'],
      /^$/,
    ],
    ['a note of what is not known', compared('no right', digests()), false, [], /not proved.*no right/],
    [
      'a blocker where the copy is what there is',
      compared(digests({ fernet_key: another }), digests()),
      true,
      ['SettingsDiffer'],
      /^$/,
    ],
    [
      'a note where it is not',
      compared(digests({ fernet_key: another }), digests()),
      false,
      [],
      /no copy is used: .*another fernet_key/,
    ],
  ])('%s', (_, proof, unlike, blockers, note) => {
    const said = proofOfPlan(proof, unlike);
    expect(said.blockers.map(({ reason }) => reason)).toEqual(blockers);
    expect(said.notes.join()).toMatch(note);
  });

  it('the blocker names the settings alone that make the difference', () => {
    const proof = compared(digests({ fernet_key: another, credentials: another, auth_manager: null }), digests());
    const [{ message } = { message: '' }] = proofOfPlan(proof, true).blockers;
    expect(message).toMatch(/pod\/copy sees another fernet_key, auth_manager than .* pod\/old/);
    expect(message).not.toMatch(/credentials|[ab]{64}/);
  });
});

it('compared with is the pod that was copied, then its like: of the same owner and image, and running', () => {
  const all = [
    pod('a-like'),
    pod('ended', { phase: 'Failed' }),
    pod('starts', { runs: false }),
    pod('gated', { gated: true }),
    pod('ending', { terminating: true }),
    pod('another-image', { imageID: sha('2') }),
    pod('another-owner', { owner: { kind: 'StatefulSet', name: 'af-triggerer' } }),
    pod('runner', { role: 'runner' }),
    pod('z-copied'),
  ];
  const found = originalsOf(all, copiedPod(all.at(-1)!)).map(({ name }) => name);
  expect(found).toEqual(['z-copied', 'a-like']);
  expect(originalsOf(all, { uid: 'uid-gone' })).toEqual([]);
});
