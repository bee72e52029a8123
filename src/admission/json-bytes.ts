/** JSON's punctuation as bytes, for texts that are looked through and not parsed. Nothing here makes an object. */

export const [quote, comma, colon] = [0x22, 0x2c, 0x3a];
const backslash = 0x5c;
export const openObject = 0x7b;
const [openArray, closeArray, closeObject] = [0x5b, 0x5d, 0x7d];

export function opens(byte: number): boolean {
  return byte === openArray || byte === openObject;
}

export function closes(byte: number): boolean {
  return byte === closeArray || byte === closeObject;
}

/** Where the string that begins at `start` has its last quote; the end of the text or more when it has none. */
export function endOfString(text: Buffer, start: number): number {
  const end = text.length;
  let at = start + 1;
  while (at < end && text[at] !== quote) at += text[at] === backslash ? 2 : 1;
  return at;
}
