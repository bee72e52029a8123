/** A line of sh taken apart as far as it must be to put another program in the place of one command. Pure. */

export interface Word {
  start: number;
  end: number;
  /** As it stands, quotes and all. */
  raw: string;
}

/** A simple command: its words without redirections, the operator that stands behind it, and where that is. */
export interface ShellCommand {
  words: Word[];
  start: number;
  end: number;
  operator: string;
  stop: number;
}

const longestLine = 32_768;
const deepest = 20;
const operators = ['&&', '||', ';;', '|&', ';', '&', '|', '\n', '(', ')'];

/**
 * The simple commands of a line in their order; undefined for what is not read here: documents in place (<<), functions,
 * case, quotes that don't end.
 */
export function commandsOf(line: string): ShellCommand[] | undefined {
  if (line.length > longestLine) return undefined;
  const commands: ShellCommand[] = [];
  let words: Word[] = [];
  let at = 0;
  const close = (operator: string) => {
    const [first] = words;
    if (first) commands.push({ words, start: first.start, end: words.at(-1)!.end, operator, stop: at });
    words = [];
  };
  while (at < line.length) {
    const token = tokenAt(line, at);
    if (!token) return undefined;
    if (token.kind === 'operator') {
      if (isBeyond(token.operator, words)) return undefined;
      close(token.operator);
    } else if (token.kind === 'word') words.push({ start: at, end: token.end, raw: line.slice(at, token.end) });
    at = token.end;
  }
  close('');
  return commands.some(({ words: [first] }) => ['case', 'function', 'select'].includes(first?.raw ?? ''))
    ? undefined
    : commands;
}

/** name() { … } and what ends a case. */
function isBeyond(operator: string, before: Word[]): boolean {
  return operator === ';;' || (operator === '(' && before.length > 0);
}

/** What stands between words counts for nothing: blanks, a comment, a redirection with its file. */
type Token = { kind: 'operator'; operator: string; end: number } | { kind: 'word' | 'between'; end: number };

/** What begins here; undefined when it is not read here or does not end. */
function tokenAt(line: string, at: number): Token | undefined {
  const rest = line.slice(at);
  const blank = /^(?:[ \t]|\\\n)+|^#[^\n]*/.exec(rest)?.[0];
  if (blank) return { kind: 'between', end: at + blank.length };
  const redirection = /^(?:\d*(?:<<|[<>][<>&|]?)|&>>?)[ \t]*/.exec(rest)?.[0];
  if (redirection) return redirectionAt(line, at, redirection);
  const operator = operators.find((one) => line.startsWith(one, at));
  if (operator) return { kind: 'operator', operator, end: at + operator.length };
  const end = endOfWord(line, at);
  return end === undefined || end === at ? undefined : { kind: 'word', end };
}

function redirectionAt(line: string, at: number, redirection: string): Token | undefined {
  if (redirection.includes('<<')) return undefined;
  const end = endOfWord(line, at + redirection.length);
  return end === undefined ? undefined : { kind: 'between', end };
}

/** Where the word that begins here ends; undefined when a quote or a substitution in it does not. */
function endOfWord(line: string, start: number): number | undefined {
  let at = start;
  while (at < line.length && !/[\s;&|()<>]/.test(line[at]!) && !line.startsWith('\\\n', at)) {
    const end = endOfPart(line, at);
    if (end === undefined) return undefined;
    at = end;
  }
  return at;
}

/** The end of one part of a word: a quoted text, a substitution, a character. */
function endOfPart(line: string, at: number, depth = 0): number | undefined {
  const char = line[at];
  if (char === '\\') return Math.min(at + 2, line.length);
  if (char === "'") return after(line.indexOf("'", at + 1));
  if (char === '`') return endOf(line, at + 1, '`', depth);
  if (char === '"') return endOf(line, at + 1, '"', depth);
  if (line.startsWith('$(', at)) return endOf(line, at + 2, ')', depth);
  if (line.startsWith('${', at)) return endOf(line, at + 2, '}', depth);
  return at + 1;
}

function endOf(line: string, start: number, closing: string, depth: number): number | undefined {
  if (depth > deepest) return undefined;
  let at = start;
  while (at < line.length) {
    const char = line[at]!;
    if (char === closing) return at + 1;
    // Within double quotes a single one is itself; within a substitution quotes and parentheses nest.
    const inner =
      closing === '"' && char === "'"
        ? at + 1
        : closing === ')' && char === '('
          ? endOf(line, at + 1, ')', depth + 1)
          : endOfPart(line, at, depth + 1);
    if (inner === undefined) return undefined;
    at = inner;
  }
  return undefined;
}

function after(index: number): number | undefined {
  return index < 0 ? undefined : index + 1;
}
