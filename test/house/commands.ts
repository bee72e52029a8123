/**
 * The commands of the documents, and what is done with each: test/tools/documents.test.ts runs it, or why it does not.
 *
 * A fenced block says what is in it: `sh` is commands, `console` is commands behind `$ ` with what they print, any other
 * word is no command. In a line of prose, what stands in code marks and begins with a program of ours is one.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

export interface Command {
  file: string;
  line: number;
  /** As a shell takes it, with its placeholders. */
  text: string;
}

export interface Block {
  file: string;
  line: number;
  /** Empty: the block does not say. */
  language: string;
  text: string;
}

export interface MarkdownFile {
  file: string;
  text: string;
}

/** Every file of ours that people read, requirements and decisions aside: those name commands, and ask for none. */
export function documents(): MarkdownFile[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.md'], {
    encoding: 'utf8',
  });
  return [...new Set(listed.split('\0'))]
    .filter((file) => file && existsSync(file) && !/(REQUIREMENTS|DECISIONS|CHANGELOG)\.md$/.test(file))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }));
}

const fence = /^```([^\n]*)\n(.*?)^```$/gms;

const lineAt = (text: string, at: number) => text.slice(0, at).split('\n').length;

export function blocksOf({ file, text }: MarkdownFile): Block[] {
  return [...text.matchAll(fence)].map((match) => ({
    file,
    line: lineAt(text, match.index) + 1,
    language: match[1]!.trim(),
    text: match[2]!,
  }));
}

const programs = 'npm|npx|node|git|kubectl|helm|docker|kustomize|psql';
const inCode = new RegExp(`\`((?:(?:${programs}) [^\`\\n]+)|\\.ci/run)\``, 'g');

/** Every command of a document, in its order. */
export function commandsOf(document: MarkdownFile): Command[] {
  const { file, text } = document;
  const fenced = blocksOf(document).flatMap((block) => inBlock(block));
  const prose = text.replaceAll(fence, (block) => block.replaceAll(/[^\n]/g, ' '));
  const inline = [...prose.matchAll(inCode)].map((match) => ({
    file,
    line: lineAt(prose, match.index),
    text: match[1]!,
  }));
  return [...fenced, ...inline].sort((a, b) => a.line - b.line);
}

function inBlock({ file, line, language, text }: Block): Command[] {
  const lines = text.split('\n').map((content, at) => ({ at: line + at, content }));
  if (language === 'console')
    return lines
      .filter(({ content }) => content.startsWith('$ '))
      .map(({ at, content }) => ({ file, line: at, text: content.slice(2) }));
  if (language !== 'sh') return [];
  const commands: Command[] = [];
  let ending: string | undefined;
  let going = false;
  for (const { at, content } of lines) {
    if (going) commands.at(-1)!.text += `\n${content}`;
    else if (content.trim() !== '' && !content.startsWith('#'))
      commands.push({ file, line: at, text: content.replace(/\s+# .*$/, '') });
    ending = ending ?? /<<'?(\w+)'?/.exec(content)?.[1];
    if (content === ending) ending = undefined;
    going = ending !== undefined || content.endsWith('\\');
  }
  return commands;
}
