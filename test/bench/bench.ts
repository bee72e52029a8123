/** npm run bench: measures downdraft's server beside others, and says whether it is what it should be. */
import { writeFile } from 'node:fs/promises';
import { help, readArguments } from './arguments.ts';
import { measureRatios, recordedFile } from './budget.ts';
import { memoryLimitMiB } from './image.ts';
import { measureAll } from './measure.ts';
import { bigCluster, measureMemory, type Taken } from './memory.ts';
import { measureAmongPods, realPods } from './realpods.ts';
import { memoryTable, memoryTargets, podsTable, podsTargets, tableOf, targetsOf, targetTable } from './table.ts';

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
  const results = asked.memory ? undefined : await measureAll(asked, say, stopping.signal);
  const taken: Taken[] = [];
  for (const role of ['follower', 'leader'] as const) {
    say(`${role} in a big cluster`);
    taken.push(await measureMemory(bigCluster, role, stopping.signal));
  }
  say(`leader among ${realPods} pods of a real API server`);
  const amongPods = await measureAmongPods(realPods, say, stopping.signal);
  const limit = await memoryLimitMiB();
  const targets = [
    ...(results ? targetsOf(results) : []),
    ...memoryTargets(taken, limit),
    ...podsTargets(amongPods, limit),
  ];
  if (asked.json !== undefined)
    await writeFile(
      asked.json,
      `${JSON.stringify({ ...results, bigCluster: taken, amongPods, targets }, undefined, 2)}\n`,
    );
  const tables = [
    ...(results ? tableOf(results) : []),
    ...memoryTable(taken),
    ...podsTable(amongPods),
    ...targetTable(targets),
  ];
  process.stdout.write(`${tables.join('\n')}\n`);
}
