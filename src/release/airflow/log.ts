/**
 * Last words: what a container printed before it ended, as one line for people. What is a known error of an Airflow on a
 * database that does not fit it is explained; all else is shown as it is. Pure.
 */
import { knownErrors } from './errors.ts';

/** A traceback's last lines are what counts; what was said long before is no cause. */
const linesOfTheEnd = 60;

const longestWords = 300;

/** `said` is the line itself, without secrets; `means` what it is and what to do, where that is known. */
export interface LastWords {
  said: string;
  means?: string;
}

/** The last error in the end of a log, else its last line; undefined when it has no line at all. */
export function lastWordsOf(log: string): LastWords | undefined {
  const lines = lastTraceback(log.split('\n').map(plain).filter(isOwnWord).slice(-linesOfTheEnd)).reverse();
  const explains = lines.filter(explanation);
  const line = explains.find((one) => anError.test(one)) ?? explains[0];
  const known = line === undefined ? undefined : explanation(line);
  if (line !== undefined && known)
    return { said: bounded(masked(line.slice(line.length > longestWords ? known.at : 0))), means: known.means };
  const said = lines.find((line) => anError.test(line)) ?? lines[0];
  return said === undefined ? undefined : { said: bounded(masked(said)) };
}

/** From the last traceback on, with those that it says led to it: an error from before them was survived. */
function lastTraceback(lines: string[]): string[] {
  const isFirst = (line: string, at: number) => aTraceback.test(line) && !aChain.test(lines[at - 1] ?? '');
  const begins = lines.findLastIndex(isFirst);
  return begins < 0 ? lines : lines.slice(begins);
}

/** The same in a sentence's part: `it says "…", that is: …`; '' when nothing was printed. */
export function lastWordsInWords(log: string): string {
  const words = lastWordsOf(log);
  if (!words) return '';
  return `it says "${words.said}"${words.means ? `, that is: ${words.means}` : ''}`;
}

/** An error's own sentence, with what it means behind it where that is known. */
export function explained(message: string): string {
  const known = explanation(message);
  return known ? `${message}, that is: ${known.means}` : message;
}

function explanation(line: string): { means: string; at: number } | undefined {
  for (const { says, means } of knownErrors) {
    const found = says.exec(line);
    if (found) return { at: found.index, means: means.replaceAll(/\$(\d)/g, (_, n) => found[Number(n)] ?? '') };
  }
  return undefined;
}

const aTraceback = /Traceback \(most recent call last\)/;
const aChain = /^(?:During handling of the above exception|The above exception was the direct cause)/;

/** Python's last line of a traceback: a class, and mostly a colon with what it says. */
const anError = /^(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Exit|Violation|Interrupt|Token|Warning)\b/;

/** Without colours, and without the time that would make each restart's words look new. */
function plain(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal begin with one
  const shown = line.replaceAll(/\u001b\[[\d;]*m/g, '');
  return shown.replace(/^\[?\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?\]?\s*/, '').trim();
}

/** SQLAlchemy's and PostgreSQL's further lines hold rows' values and statements; Python's mark where a line failed. */
function isOwnWord(line: string): boolean {
  return (
    line !== '' && !/^(?:\[SQL: |\[parameters: |DETAIL:|HINT:|LINE \d+:|\(Background on this error|\^|~)/.test(line)
  );
}

/** Text without what may be a secret: passwords in URLs and settings, tokens, and long runs that look like a key. */
export function masked(text: string): string {
  return text
    .replaceAll(/(:\/\/[^:/@\s]*):\S*@/g, '$1:***@')
    .replaceAll(/((?:password|passwd|pwd|token|secret|key)["']?\s*[=:]\s*["']?)[^\s&'",;)]{4,}/gi, '$1***')
    .replaceAll(/\b(bearer|basic) [\w.~+/=-]{8,}/gi, '$1 ***')
    .replaceAll(/\beyJ[\w-]+\.[\w.-]+/g, '***')
    .replaceAll(/[\w+-]{32,}={0,2}/g, (run) => (looksLikeKey(run) ? '***' : run));
}

/** Letters of both sizes and digits mixed: names of tables and modules are not so. */
function looksLikeKey(run: string): boolean {
  return [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(run)) || /^[\da-f]{40,}$/i.test(run);
}

/** A stranger's words (a termination message, an event) as they may be shown: without secrets, short, on one line. */
export function inShort(text: string): string {
  return bounded(masked(text.slice(0, 4096).replaceAll(/\s+/g, ' ').trim()));
}

function bounded(text: string): string {
  return text.length > longestWords ? `${text.slice(0, longestWords)}…` : text;
}
