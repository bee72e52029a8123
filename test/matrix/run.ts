/**
 * npm run test:matrix: every pair, with real packages on a real PostgreSQL, MySQL or MariaDB; writes results.json.
 * --pair NAME (again and again): only these, into the same file; several of us may run at once, each with its own pairs.
 * --fresh: the newer versions' databases made anew.
 * --large: instead, how long a million task instances take, into large.json. --tasks: fewer. --under: what else the
 * machine does meanwhile, in words.
 */
import { parseArgs } from 'node:util';
import { measureLarge } from './large.ts';
import { lookBefore, runPair } from './pair.ts';
import { nameOf, type Pair, pairs } from './pairs.ts';
import { writeResults } from './results.ts';
import { startSource } from './source.ts';

const { values } = parseArgs({
  options: {
    pair: { type: 'string', multiple: true },
    fresh: { type: 'boolean' },
    large: { type: 'boolean' },
    tasks: { type: 'string', default: '1000000' },
    under: { type: 'string', default: 'nothing else ran' },
  },
});
const known = pairs.map(nameOf);
for (const name of values.pair ?? [])
  if (!known.includes(name)) throw new Error(`no such pair: ${name}; there are ${known.join(', ')}`);
const chosen = pairs.filter((pair) => values.pair?.includes(nameOf(pair)) ?? true);
const began = Date.now();
let passed = 0;

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

if (values.large) {
  await measureLarge(Number(values.tasks), ['3.1.8', '2.11.2'], values.under, say);
  process.exit(0);
}

for (const group of Map.groupBy(chosen, ({ from, server }) => `${from} ${server}`).values())
  await runAll(group).catch((error) => say(`${group.map(nameOf).join(', ')}: could not be run: ${error}`));

console.log(`${passed} passed, ${chosen.length - passed} failed, 0 skipped`);
process.exitCode = passed === chosen.length ? 0 : 1;

/** The pairs of one source, one after the other. */
async function runAll(group: Pair[]): Promise<void> {
  const source = group[0]!;
  const server = await startSource(source, values.fresh ?? false, say);
  try {
    const before = await lookBefore(server, source.from);
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

function say(text: string): void {
  console.log(`[${((Date.now() - began) / 1000).toFixed(0).padStart(4)} s] ${text}`);
}
