/**
 * npm test: the levels, fast ones first, and one closing line that counts them.
 * npm run test:stories: the other stories. A level that can't run here is named as skipped, with the reason.
 */
import { ensureBinaries } from './cluster/binaries.ts';
import { nodeAbsence } from './cluster/packages.ts';
import { type Count, type Level, leftToOtherDays, levels, runLevel } from './levels.ts';

const left = process.argv[2] === 'stories' && process.env.CI ? leftToOtherDays(new Date()) : [];
const chosen: Level[] =
  process.argv[2] === 'stories'
    ? [{ ...levels.stories, except: [...levels.stories.except, ...left] }]
    : [
        levels.rules,
        levels.door,
        levels.airflow,
        levels.matrix,
        levels.cluster,
        levels.tools,
        levels.cost,
        levels.node,
        levels.core,
      ];

const total: Count = { passed: 0, failed: 0, skipped: left.length };
const began = Date.now();

for (const file of left)
  say(`skipped: ${file}, whose turn in CI is another day; npm run test:stories runs it here and now`);

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
