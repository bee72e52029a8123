/**
 * The items of a list, one at a time, as its bytes come: a page of 500 objects may be many megabytes, and ten times that
 * once it is parsed, so it is never held whole. Everything but the items is small and is parsed at the end.
 */
import type { Readable } from 'node:stream';
import { afterPage } from '../../heap/giveback.ts';

export interface ListHead {
  apiVersion?: string;
  kind?: string;
  metadata?: { resourceVersion?: string; continue?: string };
}

const [quote, backslash] = [0x22, 0x5c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * Gives each item to `take`, with what the list says of itself before its items, and answers with all that it says. Throws
 * what `take` and the stream throw, a SyntaxError when the text ends early or is no JSON.
 */
export async function readItems(
  stream: Readable,
  take: (item: unknown, head: ListHead) => void,
  signal: AbortSignal,
): Promise<ListHead> {
  stream.setEncoding('utf8');
  const scan = scanner();
  let head: ListHead | undefined;
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      length += chunk.length;
      scan.push(chunk, (item) => {
        head ??= JSON.parse(`${scan.around()}]}`) as ListHead;
        take(JSON.parse(item), head);
      });
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    afterPage(length);
  }
  return JSON.parse(scan.around()) as ListHead;
}

/** Splits the text of one list. What it keeps between two chunks is at most one unfinished item. */
function scanner() {
  /** Of the text around the items, and of the item under way. */
  let around = '';
  let item = '';
  let [depth, inString, escaped, inItems] = [0, false, false, false];
  /** The last string of the list itself: its key, when a colon follows. */
  let key = '';

  /** One character outside of strings; says what it means for the split. */
  const step = (code: number): 'begins' | 'ends' | 'itemsBegin' | 'itemsEnd' | undefined => {
    if (code === openBrace || code === openBracket) {
      depth++;
      if (inItems && depth === 3) return 'begins';
      if (depth !== 2 || code !== openBracket || key !== 'items') return undefined;
      inItems = true;
      return 'itemsBegin';
    }
    if (code !== closeBrace && code !== closeBracket) return undefined;
    depth--;
    if (inItems && depth === 2) return 'ends';
    if (!inItems || depth !== 1) return undefined;
    inItems = false;
    return 'itemsEnd';
  };

  const push = (chunk: string, found: (item: string) => void): void => {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const code = chunk.charCodeAt(at);
      if (inString) {
        if (escaped) escaped = false;
        else if (code === backslash) escaped = true;
        else if (code === quote) inString = false;
        else if (depth === 1) key += chunk[at];
        continue;
      }
      if (code === quote) {
        inString = true;
        if (depth === 1) key = '';
        continue;
      }
      const what = step(code);
      if (what === 'itemsBegin') {
        around += chunk.slice(from, at + 1);
        from = at + 1;
      } else if (what === 'begins' || what === 'itemsEnd') from = at;
      else if (what === 'ends') {
        const text = item + chunk.slice(from, at + 1);
        item = '';
        from = at + 1;
        found(text);
      }
    }
    if (!inItems) around += chunk.slice(from);
    else if (depth > 2) item += chunk.slice(from);
  };
  return { push, around: () => around };
}
