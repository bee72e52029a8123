/** Lines for a terminal: cut to its width, times in words, colours only where it has them. */
import { stripVTControlCharacters, styleText } from 'node:util';

/** Never wider than this, so that a wide terminal stays readable. */
const WIDEST = 100;

type Style = Parameters<typeof styleText>[0];

/** The text in this style, or as it is where output is no terminal or NO_COLOR is set. */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** Whether what is shown may be shown anew in the same place: on a terminal that a person looks at. */
export function isLive(): boolean {
  return process.stdout.isTTY === true && process.env.CI === undefined;
}

/** Columns that a line may take. */
export function width(stream: { columns?: number } = process.stdout): number {
  return Math.min(WIDEST, stream.columns ?? WIDEST);
}

/** The line, its end replaced by … where it has more than `columns`. It must not be styled. */
export function cut(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}

/** The text in lines of at most `columns`, broken at blanks; a longer word stays whole, to be copied. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** 7 s, 1 min 5 s, 12 min 0 s. */
export function inWords(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The one line that says most of an error: a tool's own last "Error: …", else its first line. Not cut. */
export function gist(error: unknown): string {
  const text = stripVTControlCharacters(error instanceof Error ? error.message : String(error));
  const lines = text.split('\n').map((line) => line.trim());
  const said = lines.findLast((line) => /^error\b/i.test(line)) ?? lines.find(Boolean) ?? 'unknown error';
  return said.replace(/^error: /i, '');
}
