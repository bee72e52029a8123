/** Every test file is run by exactly one level: one that no level names would never run in CI, and nobody would notice. */
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Level, levels } from '../levels.ts';

const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => `test/${name}`);

const isOf = ({ paths, except = [] }: Level, file: string) =>
  paths.some((path) => file === path || file.startsWith(`${path}/`)) && !except.includes(file);

it.each(files)('%s belongs to one level', (file) => {
  const runBy = Object.values(levels as Record<string, Level>).filter((level) => isOf(level, file));
  expect(runBy.map(({ name }) => name)).toHaveLength(1);
});

it('every path of a level has a test file', () => {
  for (const level of Object.values(levels as Record<string, Level>))
    for (const path of level.paths)
      expect(
        files.some((file) => isOf({ ...level, paths: [path] }, file)),
        `${level.name}: ${path}`,
      ).toBe(true);
});
