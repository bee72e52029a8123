/**
 * npm run documents: writes the tables of the documents that are made from code, between their markers. What a row says
 * stands in src/release/model/reasons.ts, src/release/model/cures.ts and src/config.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { configHelp } from '../../src/config.ts';
import { cures } from '../../src/release/model/cures.ts';
import { type Reason, reasons } from '../../src/release/model/reasons.ts';

/** A table of a document: where it stands, and its text between the markers. */
export interface Generated {
  file: string;
  name: string;
  text: string;
}

const row = (...cells: string[]) => `|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell} `)).join('|')}|`;

function tableOf(head: string[], rows: string[][]): string {
  return [row(...head), row(...head.map(() => '---')), ...rows.map((cells) => row(...cells))].join('\n');
}

/** Every table that is made from code. */
export function generated(): Generated[] {
  const told = Object.entries(reasons).map(([reason, [place, meaning]]) => [
    `\`${reason}\``,
    place,
    meaning,
    cures[reason as Reason],
  ]);
  const line = /^ {2}(DOWNDRAFT_\w+) +(.*?)(?: \(default: (.*)\))?$/gm;
  const settings = [...configHelp().matchAll(line)].map(([, variable, meaning = '', initial = '']) => [
    `\`${variable}\``,
    meaning,
    initial,
  ]);
  return [
    {
      file: 'manifests/REASONS.md',
      name: 'reasons',
      text: tableOf(['reason', 'place', 'meaning', 'what to do'], told),
    },
    {
      file: 'manifests/README.md',
      name: 'settings',
      text: tableOf(['variable', 'meaning', 'default'], settings),
    },
  ];
}

/** The document with its table as it should be. Throws where the markers are missing. */
export function withTable(document: string, { name, text, file }: Generated): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [document.indexOf(open), document.indexOf(close)];
  if (from < 0 || to < from) throw new Error(`${file} has no table marked ${name}`);
  return `${document.slice(0, from)}${open}\n${text}\n${document.slice(to)}`;
}

if (process.argv[1] === import.meta.filename)
  for (const table of generated()) {
    const before = readFileSync(table.file, 'utf8');
    const after = withTable(before, table);
    if (after !== before) writeFileSync(table.file, after);
    console.log(`${table.file}: ${table.name} ${after === before ? 'stays' : 'written'}`);
  }
