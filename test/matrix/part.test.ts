/** One pair of the matrix on the real thing; stale.test.ts says that all of them went well with this code. */
import { expect, test } from 'vitest';
import { lookBefore, runPair } from './pair.ts';
import { nameOf, pairs } from './pairs.ts';
import { startSource } from './source.ts';

const minuteMs = 60_000;

/** The one whose two environments other tests make anyway, so that a machine with nothing in its cache makes no more. */
const pair = pairs.find(({ from, to, server }) => from === '3.2.1' && to === '3.1.8' && server === 'postgresql')!;

test(`${nameOf(pair)} goes well`, { timeout: 15 * minuteMs }, async () => {
  const server = await startSource(pair, false, console.log);
  try {
    const result = await runPair(server, pair, await lookBefore(server, pair.from), console.log);
    expect(result.why).toEqual([]);
  } finally {
    await server.remove();
  }
});
