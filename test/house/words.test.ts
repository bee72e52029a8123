/** One word for one thing, in everything that a person reads: sentences, settings, comments, documents, names of tests. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** What to say ('Wish' stays a value of the record: a newer controller reads back what an older one wrote), and the words that once stood for it. Some ran both ways: "taken back" was the downgrade and its undoing. */
const words: [say: string, never: RegExp][] = [
  ['downgrade: schemas go down to the target', /\b(?:take[sn]?|taking|took) (?:it )?back\b/i],
  [
    'return: the release goes up to the newer version again',
    /\bways? back\b|\bturn(?:s|ed|ing)? round\b|\bbrought back\b/i,
  ],
  ['abort: a person ends a run', /\bcall(?:s|ed|ing)?[- ](?:it |that )?off\b/i],
  ['request: what a workload asks for', /(?<!')\bwish(?:es|ed|ing)?\b(?!')/i],
];

/** Of others, or about the words themselves. */
const exempt = ['CHANGELOG.md', 'test/REQUIREMENTS.md', 'test/house/words.test.ts'];

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:ts|md|yaml|py)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

const top = readdirSync('.').filter((name) => name.endsWith('.md'));
const files = [...top, ...['src', 'certs', 'manifests', 'test', '.github'].flatMap(filesIn)].filter(
  (file) => !exempt.includes(file),
);

describe('one word for one thing', () => {
  it.each(words)('%s', (_, never) => {
    const found = files.flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, at) => (never.test(line) ? [`${file}:${at + 1}: ${line.trim()}`] : [])),
    );
    expect(found).toEqual([]);
  });
});
