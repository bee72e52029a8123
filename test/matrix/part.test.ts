/** One pair of the matrix a day, in CI, on the real thing. */
import { expect, test } from 'vitest';
import { mysqlAbsence } from '../database/mysql.ts';
import { dayOfYear } from '../day.ts';
import { hasVenv } from '../inside/venv.ts';
import { lookBefore, runPair } from './pair.ts';
import { nameOf, type Pair, pairs } from './pairs.ts';
import { startSource } from './source.ts';

const minuteMs = 60_000;

/** Pairs whose environments other tests make anyway, so that a machine with nothing in its cache makes no more of them. */
const everywhere = ['3.2.1', '3.1.8'];

const today = pairOfTheDay();
const absence = today.server === 'postgresql' ? undefined : await mysqlAbsence(today.server, console.log);
if (absence) console.log(`skipped: ${absence}`);

test.skipIf(absence)(`a pair of the day: ${nameOf(today)}`, { timeout: 15 * minuteMs }, async () => {
  const server = await startSource(today, false, console.log);
  try {
    const result = await runPair(server, today, await lookBefore(server, today.from), console.log);
    expect(result.why).toEqual([]);
  } finally {
    await server.remove();
  }
});

/** The day of the year turns through all pairs for which this machine has what it takes. */
function pairOfTheDay(): Pair {
  const here = pairs.filter((pair) => [pair.from, pair.to].every((v) => everywhere.includes(v) || hasVenv(v)));
  return here[dayOfYear(new Date()) % here.length]!;
}
