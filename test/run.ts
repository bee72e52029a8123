/**
 * npm test: the levels, fast ones first, and one closing line that counts them; of the stories the core ones.
 * npm run test:stories: the other stories. npm run test:all: all levels, and all stories on one node.
 * A level that can't run here is named as skipped, with the reason.
 */
import { ensureBinaries } from './cluster/build/binaries.ts';
import { nodeAbsence } from './cluster/build/packages.ts';
import { type Count, everyStory, type Level, levels, runLevel } from './levels.ts';

const below: Level[] = [
  levels.rules,
  levels.door,
  levels.airflow,
  levels.matrix,
  levels.cluster,
  levels.tools,
  levels.cost,
  levels.node,
];
const choices: Record<string, Level[]> = {
  most: [...below, levels.core],
  stories: [levels.stories],
  all: [...below, everyStory],
};
const chosen = choices[process.argv[2] ?? 'most'];
if (!chosen) throw new Error(`${process.argv[2]} is none of ${Object.keys(choices).join(', ')}`);

const total: Count = { passed: 0, failed: 0, skipped: 0 };
const began = Date.now();

for (const level of chosen) {
  const absence = level.node ? nodeAbsence() : undefined;
  say(`${level.name}: ${level.question}`);
  if (absence) {
    say(`skipped: ${level.name}, because ${absence}`);
    total.skipped += 1;
    continue;
  }
  if (level !== levels.rules) await ensureBinaries(say);
  const count = await runLevel(level);
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += count[key];
  say(`${level.name}: ${line(count)}`);
  // What is slow to set up is not worth it when what it stands on is broken.
  if (count.failed > 0) break;
}

console.log(line(total));
process.exitCode = total.failed > 0 ? 1 : 0;

function line({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function say(text: string): void {
  const seconds = Math.round((Date.now() - began) / 1000);
  console.log(`[${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}] ${text}`);
}
