import { describe, expect, it } from 'vitest';
import { knowImage, parseImage, versionOfTag } from '../../src/release/images.ts';
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
