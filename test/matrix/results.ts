/** results.json: what came of each pair, and of which code and packages it was true. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDir, contentKey } from '../cluster/run/cache.ts';
import { withLock } from '../cluster/run/lock.ts';
import { knownDays, packagesOf } from '../inside/venv.ts';
import type { PairResult } from './pair.ts';
import { nameOf, type Pair, pairs } from './pairs.ts';

export interface Stamped extends PairResult {
  /** Hash of the code under test, and of what is installed for the two versions. */
  code: string;
  packages: string;
}

const file = fileURLToPath(new URL('results.json', import.meta.url));
const source = new URL('../../src/', import.meta.url);

/** The code that a downgrade runs through: all that travels into the image, and what plans and orders it. */
export function codeHash(): string {
  const modules = readdirSync(new URL('inside/downdraft/', source), { recursive: true, encoding: 'utf8' });
  const names = [
    ...modules.filter((name) => /\.(py|json)$/.test(name)).map((name) => `inside/downdraft/${name}`),
    'inside/bootstrap.py',
    'inside/bundle.ts',
    'release/plan/plan.ts',
    'release/plan/chain.ts',
    'release/plan/provider-schemas.ts',
    'release/plan/hazards.ts',
    'release/downgrade/orders.ts',
  ];
  const hash = createHash('sha256');
  for (const name of names.sort()) hash.update(`${name}\n`).update(readFileSync(new URL(name, source)));
  return hash.digest('hex');
}

/** The code of this process is read when it starts, whatever is written to the files meanwhile. */
const codeAtStart = codeHash();

/** What is asked of the package client for both versions, with the day. */
export function packagesHash({ from, to }: Pair): string {
  return createHash('sha256')
    .update(JSON.stringify([from, to].map((version) => [knownDays[version], packagesOf(version)])))
    .digest('hex');
}

/** The stored results, by pair. */
export function readResults(): Record<string, Stamped> {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, Stamped>) : {};
}

/**
 * Puts results in the place of those of the same pairs; pairs that are no longer in the matrix go. Several processes may
 * do so at once: each takes its turn to read the file and write it.
 */
export async function writeResults(results: PairResult[]): Promise<void> {
  await withLock(
    join(cacheDir(), 'locks', `results-${contentKey(file)}`),
    console.log,
    async () => await merge(results),
  );
}

async function merge(results: PairResult[]): Promise<void> {
  const all = readResults();
  for (const result of results) {
    const pair = pairs.find((one) => nameOf(one) === result.pair)!;
    all[result.pair] = { ...result, code: codeAtStart, packages: packagesHash(pair) };
  }
  const kept = Object.fromEntries(pairs.map(nameOf).flatMap((name) => (all[name] ? [[name, all[name]]] : [])));
  await writeFile(`${file}.draft`, `${JSON.stringify(kept, null, 1)}\n`);
  await rename(`${file}.draft`, file);
}
