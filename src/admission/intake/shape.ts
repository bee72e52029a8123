/**
 * How much a JSON text will be once it is parsed, told from its bytes. 7 MiB of `{},{},…` become some 150 MB of objects,
 * more than the whole heap, so what no review can be is refused before anything is made of it.
 */
import { closes, colon, comma, endOfString, opens, quote } from '../json-bytes.ts';

/** Values are counted by what stands before or between them: brackets, commas, colons. */
export interface Shape {
  values: number;
  depth: number;
}

/** Some 20,000 environment variables, in the object and in the old one: more than a process can be started with. */
export const mostValues = 200_000;

/** A pod template is some 12 deep; a schema that nests itself is in no workload. */
export const mostDepth = 1_000;

/** Of what V8 makes of a text: a value of the dearest kind (an object with a key of its own), and a character of it twice. */
const [bytesOfValue, bytesOfCharacter] = [80, 2];

/** Counts; the text need not be well-formed. */
export function shapeOf(text: Buffer): Shape {
  const end = text.length;
  let [values, depth, deepest] = [0, 0, 0];
  for (let at = 0; at < end; at++) {
    const byte = text[at]!;
    if (byte === quote) at = endOfString(text, at);
    else if (byte === comma || byte === colon) values++;
    else if (opens(byte)) {
      values++;
      if (++depth > deepest) deepest = depth;
    } else if (closes(byte)) depth--;
  }
  return { values, depth: deepest };
}

/** The dearest text by its length is `{},{},…`: a value every three bytes. */
const bytesToAValue = 3;

/** The same where nothing was counted: what a text of that length could hold. */
export function worstWeight(bytes: number): number {
  return weightOf(bytes, { values: Math.ceil(bytes / bytesToAValue), depth: 0 });
}

/** Bytes of memory that the parsed text takes at most. */
export function weightOf(bytes: number, { values }: Shape): number {
  return bytes * bytesOfCharacter + values * bytesOfValue;
}
