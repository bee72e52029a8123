/** The files of src/inside, by which tests hold tables of ours against what runs there. */
import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../../src/inside/', import.meta.url);

/** The text of one file. */
export function textInside(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8');
}

/** What the first group of a pattern finds in all programs. */
export function foundInside(pattern: RegExp): string[] {
  const programs = readdirSync(folder).filter((name) => name.endsWith('.py'));
  return programs.flatMap((name) => [...textInside(name).matchAll(pattern)].map(([, found]) => found!));
}
