/** npm run bench: measures downdraft's server beside others, and says whether it is what it should be. */
import { writeFile } from 'node:fs/promises';
import { help, readArguments } from './arguments.ts';
import { measureRatios, recordedFile } from './budget.ts';
import { measureAll } from './measure.ts';
import { tableOf, targetsOf } from './table.ts';

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stopping.abort());

try {
  await main();
} catch (error) {
  console.error(
    stopping.signal.aborted ? 'bench: stopped' : `bench: ${error instanceof Error ? error.message : error}`,
  );
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}

async function main(): Promise<void> {
  const asked = readArguments(process.argv.slice(2));
  if (asked.help) return void process.stdout.write(help);
  const say = (text: string) => console.error(`bench: ${text}`);
  if (asked.record) {
    const ratios = await measureRatios(say, stopping.signal);
    await writeFile(recordedFile, `${JSON.stringify({ cpuRatioToGo: ratios }, undefined, 2)}\n`);
    return say(`recorded ${JSON.stringify(ratios)}`);
  }
  const results = await measureAll(asked, say, stopping.signal);
  const targets = targetsOf(results);
  if (asked.json !== undefined)
    await writeFile(asked.json, `${JSON.stringify({ ...results, targets }, undefined, 2)}\n`);
  process.stdout.write(tableOf(results, targets));
}
