import { describe, expect, it } from 'vitest';
import {
  knowImage,
  parseImage,
  type RegistryAnswer,
  versionInName,
  versionOfTag,
} from '../../src/release/airflow/images.ts';
import { makeImage } from '../make/release.ts';

const repositories = ['apache/airflow'];
const digest = `sha256:${'a'.repeat(64)}`;

describe('an image reference', () => {
  it.each([
    ['apache/airflow:3.1.8', '', 'apache/airflow', '3.1.8', undefined],
    ['apache/airflow', '', 'apache/airflow', undefined, undefined],
    ['registry.example:5000/apache/airflow:3.1.8', 'registry.example:5000', 'apache/airflow', '3.1.8', undefined],
    ['registry.example:5000/airflow', 'registry.example:5000', 'airflow', undefined, undefined],
    ['localhost/airflow:x', 'localhost', 'airflow', 'x', undefined],
    [`apache/airflow:3.1.8@${digest}`, '', 'apache/airflow', '3.1.8', digest],
    [`registry.example:5000/airflow@${digest}`, 'registry.example:5000', 'airflow', undefined, digest],
    ['registry:5000/airflow:3.1.8', 'registry:5000', 'airflow', '3.1.8', undefined],
    ['[fd00::1]:5000/airflow:3.1.8', '[fd00::1]:5000', 'airflow', '3.1.8', undefined],
    ['quay.io/astronomer/ap-airflow:11.3.0', 'quay.io', 'astronomer/ap-airflow', '11.3.0', undefined],
    ['airflow', '', 'airflow', undefined, undefined],
    ['', '', '', undefined, undefined],
  ])('%s', (image, registry, repository, tag, sha) => {
    expect(parseImage(image)).toEqual({ registry, repository, tag, digest: sha });
  });
});

describe('a tag', () => {
  it.each([
    ['3.1.8', '3.1.8'],
    ['3.1.8-python3.12', '3.1.8'],
    ['slim-3.1.8', '3.1.8'],
    ['slim-3.2.0rc1-python3.10', '3.2.0rc1'],
    ['2.11.0.post1', '2.11.0.post1'],
    ['3.0.0b4', '3.0.0b4'],
    ['3.2.0.dev0', '3.2.0.dev0'],
    ['slim-latest', undefined],
    ['3-2-1', undefined],
    ['v3.1.8', undefined],
    ['3.1.8-rc1', undefined],
    ['3.1.8-1', undefined],
    ['3.1.8-acme', undefined],
    ['3.1.8.4', undefined],
    ['main', undefined],
    ['airflow-pgbouncer-2025.03.05-1.23.1', undefined],
    ['', undefined],
    ['latest', undefined],
    ['latest-python3.12', undefined],
    ['prod-42', undefined],
    ['3.1', undefined],
  ])('%s tells %s', (tag, version) => {
    expect(versionOfTag(tag)).toBe(version);
  });
});

describe('what is known of an image', () => {
  const known = (image: string, declared?: string, learned = undefined as ReturnType<typeof makeImage> | undefined) =>
    knowImage(image, { repositories, declared, learned });

  it('a listed repository’s tag tells, also through a mirror', () => {
    expect(known('registry.example/apache/airflow:3.1.8')).toMatchObject({
      source: 'tag',
      version: '3.1.8',
      coreHead: '509b94a1042d',
    });
  });
  it('a company’s own number is not taken for Airflow’s', () => {
    expect(known('mycompany/airflow:2.1.0')).toMatchObject({ source: 'unknown' });
  });
  it('an image of a listed repository that calls itself by no version contradicts its tag', () => {
    const image = 'apache/airflow:3.1.8';
    const learned = makeImage('3.1.8', { version: 'nightly' });
    expect(known(image, undefined, learned)).toMatchObject({ source: 'unknown' });
  });
  it('a digest is not told by the tag beside it', () => {
    expect(known(`apache/airflow:3.1.8@${digest}`)).toMatchObject({ source: 'unknown' });
  });
  it('the annotation tells where the name does not', () => {
    expect(known('mycompany/airflow:prod-42', '3.1.8')).toMatchObject({ source: 'annotation', version: '3.1.8' });
  });
  it('S0-16: two sources that disagree are unknown, and it says so', () => {
    expect(known('apache/airflow:3.1.8', '3.2.1')).toMatchObject({
      source: 'unknown',
      why: expect.stringMatching(/3\.1\.8.*3\.2\.1/),
    });
  });
  it('G5: an annotation that is no version is unknown, and quoted', () => {
    expect(known('mycompany/airflow:x', 'three')).toMatchObject({
      source: 'unknown',
      why: expect.stringContaining('"three"'),
    });
  });
  it('what a probe learned comes first', () => {
    expect(known('mycompany/airflow:prod-42', undefined, makeImage('3.1.8'))).toMatchObject({
      source: 'probe',
      version: '3.1.8',
    });
  });
});

type Row = [
  title: string,
  image: string,
  sources: { registry?: RegistryAnswer; declared?: string },
  version: string | RegExp,
  source: string,
  head?: string,
];

const label = (version: string): RegistryAnswer => ({ version, from: 'label', digest });
const env = (version: string): RegistryAnswer => ({ version, from: 'env', digest });
const own = 'acme/airflow:prod-42';

const rows: Row[] = [
  ['the tag alone', 'apache/airflow:3.1.8', {}, '3.1.8', 'tag', '509b94a1042d'],
  ['a mirror with a port', 'registry.example:5000/apache/airflow:3.1.8', {}, '3.1.8', 'tag', '509b94a1042d'],
  ['docker.io written out', 'docker.io/apache/airflow:3.1.8', {}, '3.1.8', 'tag', '509b94a1042d'],
  ['the slim image for one Python', 'apache/airflow:slim-3.1.8-python3.12', {}, '3.1.8', 'tag', '509b94a1042d'],
  ['G4: a release candidate has no head of its final release', 'apache/airflow:3.2.0rc1', {}, '3.2.0rc1', 'tag'],
  ['G4: a post release has that of its base', 'apache/airflow:2.11.0.post1', {}, '2.11.0.post1', 'tag', '5f2621c13b39'],
  ['a release newer than the table: the version and no head', 'apache/airflow:99.1.0', {}, '99.1.0', 'tag'],
  ['decision table: the target is listed', 'apache/airflow:2.7.0', {}, '2.7.0', 'tag', '405de8318b3a'],
  ['latest of Airflow’s own repository', 'apache/airflow:latest', {}, /its name does not tell/, 'unknown'],
  ['no tag at all', 'apache/airflow', {}, /its name does not tell/, 'unknown'],
  ['G3: a derived image’s own number', own, {}, /its name does not tell/, 'unknown'],
  [
    'Astronomer’s runtime, which counts by itself',
    'quay.io/astronomer/ap-airflow:3.1.8',
    {},
    /its name does not tell/,
    'unknown',
  ],
  [
    'a digest, whatever tag stands beside it',
    `apache/airflow:3.1.8@${digest}`,
    {},
    /its name does not tell/,
    'unknown',
  ],
  ['the registry’s label', own, { registry: label('3.1.8') }, '3.1.8', 'registry', '509b94a1042d'],
  ['the registry’s environment', own, { registry: env('3.1.8') }, '3.1.8', 'registry', '509b94a1042d'],
  [
    'the registry for a digest',
    `apache/airflow@${digest}`,
    { registry: label('3.2.1') },
    '3.2.1',
    'registry',
    '1d6611b6ab7c',
  ],
  [
    'a registry that could not be read: why',
    own,
    { registry: { unknown: 'the registry said 401' } },
    /does not tell the Airflow version, and the registry said 401/,
    'unknown',
  ],
  [
    'the annotation where the registry could not be read',
    own,
    { registry: { unknown: '401' }, declared: '3.1.8' },
    '3.1.8',
    'annotation',
    '509b94a1042d',
  ],
  ['an annotation with a local part', own, { declared: '3.1.8+local' }, '3.1.8+local', 'annotation', '509b94a1042d'],
  [
    'an annotation with hyphens is no version',
    own,
    { declared: '3-2-1' },
    /is "3-2-1", which is no version/,
    'unknown',
  ],
  ['a hyphened number is a post release', own, { declared: '3.1.8-1' }, '3.1.8-1', 'annotation', '509b94a1042d'],
  [
    'an annotation copied from a tag is no version',
    own,
    { declared: '3.1.8-python3.12' },
    /which is no version/,
    'unknown',
  ],
  ['an empty annotation is no version', own, { declared: '' }, /is "", which is no version/, 'unknown'],
  [
    'G5, decision table: the target is no valid version',
    own,
    { declared: 'three' },
    /is "three", which is no version/,
    'unknown',
  ],
  [
    'the registry’s label is no version',
    own,
    { registry: label('nightly') },
    /its label in the registry is "nightly"/,
    'unknown',
  ],
  [
    'registry and annotation agree',
    own,
    { registry: label('3.1.8'), declared: '3.1.8' },
    '3.1.8',
    'registry',
    '509b94a1042d',
  ],
  [
    'they agree but for a local part',
    own,
    { registry: label('3.1.8'), declared: '3.1.8+acme.4' },
    '3.1.8',
    'registry',
    '509b94a1042d',
  ],
  [
    'S0-16: registry and annotation disagree',
    own,
    { registry: label('3.1.8'), declared: '3.2.1' },
    /its label in the registry says 3\.1\.8 and the annotation .* says 3\.2\.1/,
    'unknown',
  ],
  [
    'G2, S0-16: tag and annotation disagree',
    'apache/airflow:3.1.8',
    { declared: '3.2.1' },
    /its tag says 3\.1\.8 and the annotation .* says 3\.2\.1/,
    'unknown',
  ],
  [
    'S0-16: tag and registry disagree',
    'apache/airflow:3.1.8',
    { registry: env('3.2.1') },
    /its tag says 3\.1\.8 and its env in the registry says 3\.2\.1/,
    'unknown',
  ],
  [
    'a candidate and its final release disagree',
    own,
    { registry: label('3.2.0rc1'), declared: '3.2.0' },
    /says 3\.2\.0rc1 .* says 3\.2\.0/,
    'unknown',
  ],
  [
    'two of three agree: still unknown',
    'apache/airflow:3.1.8',
    { registry: label('3.1.8'), declared: '3.1.7' },
    /says 3\.1\.8 and .* says 3\.1\.7/,
    'unknown',
  ],
];

describe('what the sources of an image’s version say together', () => {
  it.each(rows)('%s', (_, image, { registry, declared }, version, source, head) => {
    const known = knowImage(image, { learned: undefined, registry, repositories, declared });
    expect(known.source).toBe(source);
    if (known.source === 'unknown') expect(known.why).toMatch(version);
    else expect([known.version, known.coreHead]).toEqual([version, head]);
  });

  it('what the image told when it ran counts more than all of them', () => {
    const learned = makeImage('3.2.1', { image: own });
    const sources = { learned, registry: label('3.1.8'), repositories, declared: '3.1.7' };
    expect(knowImage(own, sources)).toBe(learned);
  });

  it('a repository that is listed with its host counts on that host alone', () => {
    const listed = ['registry.example/data/airflow'];
    expect(versionInName('registry.example/data/airflow:3.1.8', listed)).toBe('3.1.8');
    expect(versionInName('evil.example/data/airflow:3.1.8', listed)).toBeUndefined();
    expect(versionInName('data/airflow:3.1.8', listed)).toBeUndefined();
    expect(versionInName('apache/airflow:3.1.8', listed)).toBeUndefined();
  });
});
