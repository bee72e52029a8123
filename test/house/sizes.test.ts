import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const longestFile = 250;
const longestFunction = 60;

const sources = ['src', 'certs', 'test'].flatMap((folder) =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((f) => f.isFile() && ['.ts', '.py'].includes(extname(f.name)))
    .map((f) => join(f.parentPath, f.name)),
);

/** Tables of cases may be long; what decides may not. */
const code = sources.filter((f) => !f.endsWith('.test.ts') && !f.startsWith('test/make/'));

const starts = /^(?:export )?(?:async )?function |^ *(?:async )?def /;

/** Lines of a function of Python's, to the last that is indented more than its def; a signature's closing bracket is not its end. */
function linesOfPython(lines: string[], at: number): number {
  const indented = (line: string) => line.length - line.trimStart().length;
  const after = lines.slice(at + 1);
  const end = after.findIndex((line) => line.trim() && indented(line) <= indented(lines[at]!) && !/^ *\)/.test(line));
  const body = (end < 0 ? after : after.slice(0, end)).findLastIndex((line) => line.trim() !== '');
  return body + 2;
}

describe('what one can hold in the head', () => {
  it.each(code)('%s is short', (file) => {
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.length - 1).toBeLessThanOrEqual(longestFile);
    for (let at = 0; at < lines.length; at++) {
      if (!starts.test(lines[at]!)) continue;
      const length = file.endsWith('.py')
        ? linesOfPython(lines, at)
        : lines.slice(at + 1).findIndex((l) => /^}/.test(l)) + 1;
      expect(length, `${file}:${at + 1} ${lines[at]}`).toBeLessThanOrEqual(longestFunction);
    }
  });

  it('no file has a name that says nothing', () => {
    const empty = /(^|\/)(utils?|helpers?|common|misc|managers?|processors?|handlers?)(\/|\.[a-z]+$)/;
    expect(sources.filter((f) => empty.test(f))).toEqual([]);
  });
});
