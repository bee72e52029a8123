/**
 * Makes ../heads.json from the released packages: `npm run heads`.
 *
 * 1. List the final releases of Airflow and of the providers that bring a schema of their own.
 * 2. Download their wheels, two at a time; the cache makes the next run take seconds.
 * 3. Read every migration script in them, without running it.
 * 4. Put releases whose scripts continue one another on one chain, and start another chain where scripts were squashed
 *    or put into a new order.
 * 5. Compare each head with the map that the release itself carries: a difference means that a package was misread.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { compare } from '@renovatebot/pep440';
import { fetchWheel, readWheels, releasesOf, type Wheel } from './packages.ts';

/** One script: its revision, followed by what it follows when that is not just the entry before it. */
export type Entry = string | string[];

export interface Lineage {
  chains: Entry[][];
  releases: Record<string, { chain: number; head: string; file: string; sha256: string }>;
}

export interface ManagerLineage extends Lineage {
  class: string;
}

export interface Heads {
  core: Lineage;
  managers: Record<string, ManagerLineage>;
}

export interface Source {
  packageName: string;
  from: string;
  /** Airflow 2 is one package, Airflow 3 has its schema in another. */
  before?: string;
}

/** Where the schema of Airflow itself is, from the oldest release on that downdraft takes a database back to. */
export const coreSources: Source[] = [
  { packageName: 'apache-airflow', from: '2.7.0', before: '3' },
  { packageName: 'apache-airflow-core', from: '3.0.0' },
];

/** Providers that declare db-managers, from the first release on that brings scripts. */
export const managerSources: Source[] = [
  { packageName: 'apache-airflow-providers-edge3', from: '3.1.0' },
  { packageName: 'apache-airflow-providers-fab', from: '1.4.0' },
];

/** The map in 2.7.0 was not updated before the release; its scripts end at 405de8318b3a (apache/airflow#33616). */
const wrongMaps: Record<string, string> = { 'apache_airflow-2.7.0-py3-none-any.whl': '788397e78828' };

/** Lists the releases of a source, ascending. Throws when the package index does not answer. */
export async function releasesIn(source: Source): Promise<string[]> {
  const versions = await releasesOf(source.packageName, source.from);
  return versions.filter((version) => !source.before || compare(version, source.before) < 0);
}

/** Downloads (two at a time) and reads these releases of one package. Throws when one can't be had or understood. */
export async function readReleases(packageName: string, versions: string[]): Promise<Map<string, Wheel>> {
  const paths: string[] = [];
  const waiting = [...versions.entries()];
  const fetchRest = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      paths[next[0]] = await fetchWheel(packageName, next[1]);
  };
  // When one fails, the other finishes what it has begun and takes no more.
  await Promise.all([fetchRest(), fetchRest()]).finally(() => waiting.splice(0));
  const wheels = await readWheels(paths);
  return new Map(versions.map((version, at) => [version, wheels[at]!]));
}

/**
 * Puts releases on chains, in ascending order of version. Throws on a release that has not exactly one head or whose
 * own map names another.
 */
export function lineageOf(wheels: Map<string, Wheel>): Lineage {
  const lineage: Lineage = { chains: [], releases: {} };
  for (const [version, wheel] of [...wheels].sort(([a], [b]) => compare(a, b))) {
    const head = headOf(wheel);
    checkMap(version, head, wheel);
    const chain = placeOn(lineage.chains, entriesOf(wheel));
    lineage.releases[version] = { chain, head, file: wheel.file, sha256: wheel.sha256 };
  }
  return lineage;
}

/** The one revision that no other follows. */
function headOf(wheel: Wheel): string {
  const followed = new Set(Object.values(wheel.revisions).flat());
  const heads = Object.keys(wheel.revisions).filter((revision) => !followed.has(revision));
  if (heads.length !== 1) throw new Error(`${wheel.file} has ${heads.length} heads: ${heads.join(', ')}`);
  return heads[0]!;
}

/** A wheel's scripts, each after those that it follows; branches (Airflow 1.10 had some) in the order of their names. */
function entriesOf(wheel: Wheel): Entry[] {
  const rest = new Map(Object.entries(wheel.revisions).sort(([a], [b]) => (a < b ? -1 : 1)));
  const entries: Entry[] = [];
  let before: string | undefined;
  while (rest.size > 0) {
    const next = [...rest].find(([, down]) => !down.some((revision) => rest.has(revision)));
    if (!next) throw new Error(`${wheel.file} has scripts that follow one another in a circle`);
    const [revision, down] = next;
    const missing = down.find((parent) => !(parent in wheel.revisions));
    if (missing) throw new Error(`${wheel.file} has no script for ${missing}, which ${revision} follows`);
    entries.push(down.join() === (before ?? '') ? revision : [revision, ...down]);
    rest.delete(revision);
    before = revision;
  }
  return entries;
}

/** Returns the number of the chain that these entries continue or are a part of; makes a new one where there is none. */
function placeOn(chains: Entry[][], entries: Entry[]): number {
  const found = chains.findIndex((chain) => {
    const shared = Math.min(chain.length, entries.length);
    return JSON.stringify(chain.slice(0, shared)) === JSON.stringify(entries.slice(0, shared));
  });
  if (found < 0) return chains.push(entries) - 1;
  if (entries.length > chains[found]!.length) chains[found] = entries;
  return found;
}

function checkMap(version: string, head: string, wheel: Wheel): void {
  const entry = Object.keys(wheel.headsMap)
    .filter((mapped) => compare(mapped, version) <= 0)
    .sort(compare)
    .at(-1);
  const mapped = entry && wheel.headsMap[entry];
  if (mapped === head || (mapped && mapped === wrongMaps[wheel.file])) return;
  throw new Error(`${wheel.file}: its scripts end at ${head}, its own map says ${mapped ?? 'nothing'}`);
}

/** Lineage of a provider's schema, under the name of its version table. Throws when its releases differ in that name. */
export function managerLineageOf(wheels: Map<string, Wheel>): [string, ManagerLineage] {
  const managers = [...wheels.values()].flatMap((wheel) => wheel.managers);
  const tables = new Set(managers.map((manager) => manager.versionTable));
  if (tables.size !== 1 || managers.length !== wheels.size) {
    throw new Error(`expected one manager in each of ${wheels.size} wheels, not ${JSON.stringify(managers)}`);
  }
  const { class: newestClass, versionTable } = managers.at(-1)!;
  return [versionTable, { class: newestClass, ...lineageOf(wheels) }];
}

async function generate(): Promise<Heads> {
  const core = new Map<string, Wheel>();
  for (const source of coreSources) {
    for (const read of await readReleases(source.packageName, await releasesIn(source))) core.set(...read);
  }
  const managers: Heads['managers'] = {};
  for (const source of managerSources) {
    const wheels = await readReleases(source.packageName, await releasesIn(source));
    const [versionTable, lineage] = managerLineageOf(wheels);
    managers[versionTable] = lineage;
  }
  return { core: lineageOf(core), managers };
}

if (import.meta.main) {
  const heads = await generate();
  const path = fileURLToPath(new URL('../heads.json', import.meta.url));
  await writeFile(path, `${JSON.stringify(heads, null, 1)}\n`);
  const newest = Object.keys(heads.core.releases).at(-1);
  process.stderr.write(`wrote ${Object.keys(heads.core.releases).length} Airflow releases, the newest is ${newest}\n`);
}
