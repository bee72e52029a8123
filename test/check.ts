/** npm run check: types, lint, then the first two levels of test (imports and file sizes are among the rules). */
import { spawnSync } from 'node:child_process';
import { levels, runLevel } from './levels.ts';

const tools: [string, string[]][] = [
  ['tsc', []],
  ['biome', ['check', '.']],
];

for (const [tool, args] of tools) {
  console.log(`check: ${[tool, ...args].join(' ')}`);
  const { status } = spawnSync(tool, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
let failed = 0;
for (const level of [levels.rules, levels.door]) failed += (await runLevel(level)).failed;
process.exitCode = failed > 0 ? 1 : 0;
