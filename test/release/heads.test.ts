import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  compareProviderRevisions,
  compareRevisions,
  describeRevision,
  headOf,
  lowestSupported,
  managerOf,
  releasesAt,
} from '../../src/release/airflow/revisions.ts';
import { sameRelease } from '../../src/release/airflow/versions.ts';
import { chainOf, providerHeadOf } from '../make/heads.ts';

/** As Airflow's own heads map and documentation have it, from 2.7.0 on. */
const published: [string[], string][] = [
  [['2.7.0', '2.7.1', '2.7.2', '2.7.3'], '405de8318b3a'],
  [['2.8.0'], '10b52ebd31f7'],
  [['2.8.1', '2.8.2', '2.8.3', '2.8.4'], '88344c1d9134'],
  [['2.9.0', '2.9.1'], '1949afb29106'],
  [['2.9.2', '2.9.3'], '686269002441'],
  [['2.10.0', '2.10.1', '2.10.2'], '22ed7efa9da2'],
  [['2.10.3', '2.10.4', '2.10.5', '2.11.0', '2.11.1', '2.11.2'], '5f2621c13b39'],
  [['3.0.0', '3.0.1', '3.0.2'], '29ce7909c52b'],
  [['3.0.3', '3.0.4', '3.0.5', '3.0.6'], 'fe199e1abd77'],
  [['3.1.0', '3.1.1', '3.1.2', '3.1.3', '3.1.4', '3.1.5', '3.1.6', '3.1.7'], 'cc92b33c6709'],
  [['3.1.8'], '509b94a1042d'],
  [['3.2.0', '3.2.1', '3.2.2'], '1d6611b6ab7c'],
  [['3.3.0', '3.3.1', '3.3.2'], 'd2f4e1b3c5a7'],
];
const heads = published.map(([, head]) => head);
const base31 = '937cbd173ca1';
const endOf262 = 'c804e5c76e3e';
const base32 = '4bc4d934e2bc';

describe('S0-15, S1-21: the head of a release', () => {
  test.each(published.flatMap(([versions, head]) => versions.map((version) => [version, head])))(
    'of %s is %s',
    (version, head) => {
      expect(headOf(version)).toBe(head);
    },
  );

  test.each([
    ['a post release has the scripts of its base', '3.1.8.post1', '509b94a1042d'],
    ['so has a release of someone’s own', '3.1.8+local', '509b94a1042d'],
    ['and one numbered with a hyphen', '2.10.5-1', '5f2621c13b39'],
    ['a leading v means nothing', 'v3.2.1', '1d6611b6ab7c'],
    ['nor do zeros at the end', '3.1', 'cc92b33c6709'],
    ['or spaces around it', ' 3.1.8\n', '509b94a1042d'],
    ['a pre-release is unknown', '3.2.0rc1', undefined],
    ['with whatever behind it', '3.2.0rc1.post1+x', undefined],
    ['and so is a development release', '3.2.0.dev0', undefined],
    ['a patch release newer than the table is not guessed', '3.1.99', undefined],
    ['nor a minor', '99.0.0', undefined],
    ['a release from before 2.7.0 is unknown', '2.6.3', undefined],
    ['another epoch is another release', '1!3.1.8', undefined],
    ['a tag is no version', '3.1.8-python3.12', undefined],
    ['nor is a word', 'latest', undefined],
    ['nor an inherited property', 'constructor', undefined],
    ['nor nothing', '', undefined],
  ])('%s: %j', (_, version, head) => {
    expect(headOf(version)).toBe(head);
  });

  it('is known from the lowest supported to the newest release', () => {
    expect(headOf(lowestSupported)).toBe(heads[0]);
    expect(headOf(published.at(-1)![0].at(-1)!)).toBe(heads.at(-1));
  });
});

test.each(published.map(([versions, head]) => [head, versions]))('%s is the head of %j', (head, versions) => {
  expect(releasesAt(head as string)).toEqual(versions);
});

test.each([
  ['1d6611b6ab7c', '3.2.x'],
  ['509b94a1042d', '3.1.8'],
  ['cc92b33c6709', '3.1.0 to 3.1.7'],
  ['fe199e1abd77', '3.0.3 to 3.0.6'],
  ['5f2621c13b39', '2.10.3 to 2.10.5, 2.11.x'],
  ['82dbd68e6171', 'a revision between 3.1.7 and 3.1.8'],
  ['98ae134e6fff', 'a revision before 2.7.0'],
  [base32, 'a revision before 2.7.0'],
  ['658517c60c7f', 'an unknown revision'],
])('%s is described as %s', (revision, words) => {
  expect(describeRevision(revision)).toBe(`${words} (${revision})`);
});

describe('the database, seen from a head', () => {
  test.each([
    ['the same revision', '1d6611b6ab7c', '1d6611b6ab7c', 'same'],
    ['one minor ahead', '1d6611b6ab7c', '509b94a1042d', 'ahead'],
    ['one patch ahead', '509b94a1042d', 'cc92b33c6709', 'ahead'],
    ['a major behind', '5f2621c13b39', 'd2f4e1b3c5a7', 'behind'],
    ['half a downgrade from 3.1.8', '82dbd68e6171', 'cc92b33c6709', 'ahead'],
    ['what 2.6.2 calls it, and what 3.2 calls it', endOf262, base32, 'same'],
    ['behind 3.2, although 3.2 has squashed it away', '98ae134e6fff', '1d6611b6ab7c', 'behind'],
    ['two branches of Airflow 1.10', '86770d1215c0', '0e2a74e0fc9f', 'unrelated'],
    ['a revision that exists only on a branch', '658517c60c7f', '1d6611b6ab7c', 'unknown'],
    ['a head that the table lacks', '1d6611b6ab7c', 'ffffffffffff', 'unknown'],
    ['the same unknown revision twice', 'ffffffffffff', 'ffffffffffff', 'unknown'],
    ['a name that every object has', 'constructor', 'toString', 'unknown'],
  ])('%s: %s from %s is %s', (_, database, head, relation) => {
    expect(compareRevisions(database, head)).toBe(relation);
  });

  const anyHead = fc.constantFrom(...heads);
  const newest = published.at(-1)!;
  const anyRevision = fc.constantFrom(...chainOf('2.11.2')!, ...chainOf('3.1.8')!, ...chainOf(newest[0][0]!)!);

  it('is ahead exactly when the head, seen from it, is behind', () => {
    const mirrored = { same: 'same', ahead: 'behind', behind: 'ahead', unrelated: 'unrelated', unknown: 'unknown' };
    fc.assert(
      fc.property(anyRevision, anyRevision, (a, b) => {
        expect(compareRevisions(b, a)).toBe(mirrored[compareRevisions(a, b)]);
      }),
    );
  });

  it('is ahead of whatever is behind what it is ahead of', () => {
    fc.assert(
      fc.property(anyRevision, anyRevision, anyRevision, (a, b, c) => {
        fc.pre(compareRevisions(a, b) === 'ahead' && compareRevisions(b, c) === 'ahead');
        expect(compareRevisions(a, c)).toBe('ahead');
      }),
    );
  });

  it('never is unrelated to a head from 2.7.0 on, and heads follow the releases in order', () => {
    fc.assert(
      fc.property(anyHead, anyHead, (a, b) => {
        const distance = heads.indexOf(a) - heads.indexOf(b);
        expect(compareRevisions(a, b)).toBe(distance > 0 ? 'ahead' : distance < 0 ? 'behind' : 'same');
      }),
    );
  });
});

test.each([
  ['2.11.2', 'e3a246e0dc1', '5f2621c13b39'],
  ['3.0.6', base31, 'fe199e1abd77'],
  ['3.1.8', base31, '509b94a1042d'],
  ['3.2.0', base32, '1d6611b6ab7c'],
  ['3.3.2', base32, 'd2f4e1b3c5a7'],
])('the image of %s has scripts from %s to %s', (version, base, head) => {
  const chain = chainOf(version)!;
  expect([chain[0], chain.at(-1)]).toEqual([base, head]);
});

describe('S3-12: a provider’s schema', () => {
  const fab = 'alembic_version_fab';
  const edge = 'alembic_version_edge3';

  test.each([
    [fab, '1.4.0', '6709f7a774b9'],
    [fab, '2.4.1', '6709f7a774b9'],
    // Labelled 3.5.0, but not in that release.
    [fab, '3.5.0', '6709f7a774b9'],
    [fab, '3.6.1', '02ca36b0235b'],
    [fab, '1.3.0', undefined],
    [edge, '3.1.0', '9d34dfc2de06'],
    // 3.2.0 left the factory one step short of what later maps say of it.
    [edge, '3.2.0', 'b3c4d5e6f7a8'],
    [edge, '3.3.0', '8c275b6fbaa8'],
    [edge, '3.5.0', 'c6b3c3d093fd'],
    ['alembic_version_astro_version_check', '3.1.0', undefined],
  ])('%s at %s is %s', (table, version, head) => {
    expect(providerHeadOf(table, version)).toBe(head);
  });

  test.each([
    [fab, '02ca36b0235b', '6709f7a774b9', 'ahead'],
    [fab, '6709f7a774b9', '02ca36b0235b', 'behind'],
    [fab, '6709f7a774b9', '6709f7a774b9', 'same'],
    [fab, '9d34dfc2de06', '6709f7a774b9', 'unknown'],
    [edge, 'c6b3c3d093fd', '9d34dfc2de06', 'ahead'],
    ['alembic_version_astro_version_check', 'b5ad49d1f9b4', 'b5ad49d1f9b4', 'unknown'],
  ])('%s: %s from %s is %s', (table, database, head, relation) => {
    expect(compareProviderRevisions(table, database, head)).toBe(relation);
  });

  it('has a manager with a class path, and none is made up for a table we know nothing of', () => {
    expect(managerOf(fab)).toEqual({
      class: 'airflow.providers.fab.auth_manager.models.db.FABDBManager',
      versionTable: fab,
    });
    expect(managerOf(edge)?.class).toBe('airflow.providers.edge3.models.db.EdgeDBManager');
    expect(managerOf('alembic_version_astro_version_check')).toBeUndefined();
  });
});

describe('two versions of one release', () => {
  const same: [string, string][] = [
    ['3.1.8', '3.1.8+company.1'],
    ['3.1.8+one', '3.1.8+other'],
    ['3.1', '3.1.0'],
    ['v3.1.8', '3.1.8'],
    ['latest', 'latest'],
  ];
  it.each(same)('%s and %s are', (one, other) => {
    expect([sameRelease(one, other), sameRelease(other, one)]).toEqual([true, true]);
  });

  const different: [string, string][] = [
    ['3.1.8', '3.1.7'],
    ['3.1.8', '3.1.8.post1'],
    ['3.1.8', '3.1.8rc1'],
    ['3.1.8', '1!3.1.8'],
    ['3.1.8', 'latest'],
    ['latest', 'nightly'],
    ['', '3.1.8'],
    ['3.1.8+a+b', '3.1.8'],
  ];
  it.each(different)('%s and %s are not, whether or not both are versions', (one, other) => {
    expect([sameRelease(one, other), sameRelease(other, one)]).toEqual([false, false]);
  });
});
