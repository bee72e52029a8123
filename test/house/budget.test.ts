/** What a level costs is measured with all that it starts, and told; what it may cost is in test/budget.json. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import budgets from '../budget.json' with { type: 'json' };
import { inWords, overrun } from '../budget.ts';
import { levels } from '../levels.ts';
import { startMeter } from '../meter.ts';

it('every budget is that of a level', () => {
  const names = Object.values(levels).map(({ name }) => name);
  expect(Object.keys(budgets).filter((name) => !names.includes(name))).toEqual([]);
});

it('a level over its budget is told in one line, one without a budget or a measure is not', () => {
  const [[level, budget]] = Object.entries(budgets) as [[string, number]];
  const files = { 'a.test.ts': 3, 'b.test.ts': 12.34 };
  const cost = { wallSeconds: 600, processorSeconds: budget + 1, files };
  expect(overrun(level, cost)).toMatch(`${level} took ${budget + 1} s of processor time and may take ${budget} s`);
  expect(overrun(level, { ...cost, processorSeconds: budget })).toBeUndefined();
  expect(overrun(level, { ...cost, processorSeconds: undefined })).toBeUndefined();
  expect(overrun('another', cost)).toBeUndefined();
  expect(inWords(level, cost)).toEqual([
    `${level}: ${budget + 1} s of processor time (budget ${budget} s) in 600 s; the slowest files:`,
    '    12.3 s  b.test.ts',
    '     3.0 s  a.test.ts',
  ]);
});

/** Half a second of it, more than starting Node takes. */
const work = 'while (process.cpuUsage().user < 500_000);';

it.skipIf(process.platform !== 'linux').each([
  ['a child', '"$NODE" -e "$WORK"; true'],
  ['what outlives its parent', 'setsid "$NODE" -e "$WORK" &'],
])('processor time counts %s', { timeout: 120_000 }, async (_, script) => {
  const meter = await startMeter('trial', 100);
  const env = { ...process.env, ...meter.env, NODE: process.execPath, WORK: work };
  const shell = spawn('bash', ['-c', script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  shell.stdout.resume();
  // Closed when the last that writes there has ended.
  await once(shell, 'close');
  const seconds = await meter.end();
  expect(seconds).toBeGreaterThan(0.25);
});
