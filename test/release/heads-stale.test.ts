/**
 * Is heads.json still what the released packages say? Asks the package index and reads real wheels, so it fails when
 * the index can't be reached: not knowing is not passing.
 */
import { compare } from '@renovatebot/pep440';
import { expect, test } from 'vitest';
import {
  coreSources,
  type Lineage,
  lineageOf,
  managerLineageOf,
  managerSources,
  readReleases,
  releasesIn,
  type Source,
} from '../../src/release/airflow/generate/heads.ts';
import type { Wheel } from '../../src/release/airflow/generate/packages.ts';
import stored from '../../src/release/airflow/heads.json' with { type: 'json' };
import { minorOf } from '../../src/release/airflow/revisions.ts';

const coldSeconds = 300;

test('S1-14: has every release of Airflow, and its newest patch releases say the same', {
  timeout: coldSeconds * 1000,
}, async () => {
  const wheels = new Map<string, Wheel>();
  const released: string[] = [];
  for (const source of coreSources) {
    const versions = await releasesIn(source);
    released.push(...versions);
    for (const read of await readNewestPatches(source, versions)) wheels.set(...read);
  }
  expectFresh(stored.core, lineageOf(wheels), released);
});

test.each(managerSources)(
  'S1-14: has every release of $packageName',
  { timeout: coldSeconds * 1000 },
  async (source) => {
    const released = await releasesIn(source);
    const [versionTable, lineage] = managerLineageOf(await readNewestPatches(source, released));
    const manager = Object.entries(stored.managers).find(([table]) => table === versionTable)?.[1];
    expect(manager?.class).toBe(lineage.class);
    expectFresh(manager!, lineage, released);
  },
);

async function readNewestPatches(source: Source, versions: string[]): Promise<Map<string, Wheel>> {
  const newest = [...Map.groupBy(versions, minorOf).values()].map((patches) => patches.at(-1)!);
  return await readReleases(source.packageName, newest);
}

/** The newest patch of each minor has all scripts that the minor ever had, so the chains come out whole. */
function expectFresh(inFile: Lineage, read: Lineage, released: string[]): void {
  const missing = released.filter((version) => !(version in inFile.releases));
  expect(missing, 'released, but not in heads.json; `npm run heads` adds them').toEqual([]);
  expect(Object.keys(inFile.releases).sort(compare)).toEqual(released);
  expect(inFile.releases, 'heads.json differs from the packages; `npm run heads` makes it anew').toMatchObject(
    read.releases,
  );
  expect(inFile.chains).toEqual(read.chains);
}
