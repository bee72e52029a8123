/**
 * npm run test:matrix: every pair, with real packages on a real PostgreSQL; writes results.json.
 * --pair FROM-TO (again and again): only these, into the same file. --fresh: the newer versions' databases made anew.
 */
import { parseArgs } from 'node:util';
import { lookBefore, runPair } from './pair.ts';
import { nameOf, pairs } from './pairs.ts';
import { writeResults } from './results.ts';
import { startSource } from './source.ts';

const { values } = parseArgs({ options: { pair: { type: 'string', multiple: true }, fresh: { type: 'boolean' } } });
const known = pairs.map(nameOf);
for (const name of values.pair ?? [])
  if (!known.includes(name)) throw new Error(`no such pair: ${name}; there are ${known.join(', ')}`);
const chosen = pairs.filter((pair) => values.pair?.includes(nameOf(pair)) ?? true);
const began = Date.now();
let passed = 0;

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

for (const [from, group] of Map.groupBy(chosen, (pair) => pair.from)) {
  const server = await startSource(from, values.fresh ?? false, say);
  try {
    const before = await lookBefore(server, from);
    for (const pair of group) {
      try {
        const result = await runPair(server, pair, before, say);
        if (result.ok) passed += 1;
        await writeResults([result]);
      } catch (error) {
        say(`${nameOf(pair)}: could not be run: ${error}`);
      }
    }
  } finally {
    await server.remove();
  }
}

console.log(`${passed} passed, ${chosen.length - passed} failed, 0 skipped`);
process.exitCode = passed === chosen.length ? 0 : 1;

function say(text: string): void {
  console.log(`[${((Date.now() - began) / 1000).toFixed(0).padStart(4)} s] ${text}`);
}
