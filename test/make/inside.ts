/** The package in src/inside: for Python to import, and as text by which tests hold tables of ours against what runs there. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = new URL('../../src/inside/', import.meta.url);

/** With it a Python imports the package, and leaves nothing beside it. */
export const packageEnv = { PYTHONPATH: fileURLToPath(folder), PYTHONDONTWRITEBYTECODE: '1' };

/** The text of one file. */
export function textInside(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8');
}

/** The words of a Literal in downdraft/messages/kinds.py. */
export function kindsInside(name: 'ErrorKind' | 'StepKind'): string[] {
  const [, words = ''] =
    new RegExp(`^${name} = Literal\\[([^\\]]*)\\]`, 'm').exec(textInside('downdraft/messages/kinds.py')) ?? [];
  return [...words.matchAll(/"(\w+)"/g)].map(([, word]) => word!);
}

/** What the first group of a pattern finds in all programs. */
export function foundInside(pattern: RegExp): string[] {
  const modules = readdirSync(new URL('downdraft/', folder), { recursive: true, encoding: 'utf8' });
  const programs = modules.filter((name) => name.endsWith('.py')).map((name) => `downdraft/${name}`);
  return programs.flatMap((name) => [...textInside(name).matchAll(pattern)].map(([, found]) => found!));
}
