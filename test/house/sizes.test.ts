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

describe('what one can hold in the head', () => {
  it.each(code)('%s is short', (file) => {
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.length - 1).toBeLessThanOrEqual(longestFile);
    const starts = /^(?:export )?(?:async )?function |^def |^ {4}def /;
    const ends = file.endsWith('.py') ? /^\S|^ {4}\S/ : /^}/;
    for (let at = 0; at < lines.length; at++) {
      if (!starts.test(lines[at]!)) continue;
      const length = lines.slice(at + 1).findIndex((line) => ends.test(line)) + 1;
      if (!file.endsWith('.py')) expect(length, `${file}:${at + 1} ${lines[at]}`).toBeLessThanOrEqual(longestFunction);
    }
  });

  it('no file has a name that says nothing', () => {
    const empty = /(^|\/)(utils?|helpers?|common|misc|managers?|processors?|handlers?)(\/|\.[a-z]+$)/;
    expect(sources.filter((f) => empty.test(f))).toEqual([]);
  });
});
