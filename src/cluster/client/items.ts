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
  const scan = new Scanner();
  let head: ListHead | undefined;
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      length += chunk.length;
      scan.push(chunk, (item) => {
        head ??= JSON.parse(`${scan.around}]}`) as ListHead;
        take(JSON.parse(item), head);
      });
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    afterPage(length);
  }
  return JSON.parse(scan.around) as ListHead;
}

/** Splits the text of one list. What it keeps between two chunks is at most one unfinished item. */
class Scanner {
  /** The text around the items. */
  around = '';
  /** The text of the item under way. */
  #item = '';
  /** The last string of the list itself: its key, when a colon follows. */
  #key = '';
  #depth = 0;
  #inString = false;
  #escaped = false;
  #inItems = false;

  /** Reads on; gives each item that ends in this chunk to `found`. */
  push(chunk: string, found: (item: string) => void): void {
    /** What stands before it is kept already, or is between two items. */
    let from = 0;
    for (let at = this.#inString ? this.#string(chunk, 0) + 1 : 0; at < chunk.length; at++) {
      const code = chunk.charCodeAt(at);
      if (code === quote) at = this.#beginString(chunk, at);
      else if (code === openBrace || code === openBracket) from = this.#open(chunk, from, at);
      else if (code === closeBrace || code === closeBracket) from = this.#close(chunk, from, at, found);
    }
    if (!this.#inItems) this.around += chunk.slice(from);
    else if (this.#depth > 2) this.#item += chunk.slice(from);
  }

  #beginString(chunk: string, at: number): number {
    this.#inString = true;
    if (this.#depth === 1) this.#key = '';
    return this.#string(chunk, at + 1);
  }

  /** Goes through the string under way; answers where its last quote is, or the chunk's length. */
  #string(chunk: string, start: number): number {
    const isKey = this.#depth === 1;
    for (let at = start; at < chunk.length; at++) {
      const code = chunk.charCodeAt(at);
      if (this.#escaped) this.#escaped = false;
      else if (code === backslash) this.#escaped = true;
      else if (code === quote) {
        this.#inString = false;
        return at;
      } else if (isKey) this.#key += chunk[at];
    }
    return chunk.length;
  }

  /** An item or the list of them may begin; answers from where on the text is not kept yet. */
  #open(chunk: string, from: number, at: number): number {
    this.#depth++;
    if (this.#inItems) return this.#depth === 3 ? at : from;
    if (this.#depth !== 2 || this.#key !== 'items' || chunk.charCodeAt(at) !== openBracket) return from;
    this.#inItems = true;
    this.around += chunk.slice(from, at + 1);
    return at + 1;
  }

  /** An item or the list of them may end; answers from where on the text is not kept yet. */
  #close(chunk: string, from: number, at: number, found: (item: string) => void): number {
    this.#depth--;
    if (!this.#inItems || this.#depth > 2) return from;
    if (this.#depth === 1) {
      this.#inItems = false;
      return at;
    }
    const text = this.#item + chunk.slice(from, at + 1);
    this.#item = '';
    found(text);
    return at + 1;
  }
}
