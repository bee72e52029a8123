/**
 * The members of a JSON object as raw bytes, by name, without parsing them: for 16 MiB of brackets JSON.parse takes
 * seconds, this milliseconds.
 */
import { closes, colon, comma, endOfString, opens, quote } from '../json-bytes.ts';

/** Colons and commas between members; a record has eight members. */
const mostSeparators = 100;

/** So far the object may begin behind white space. */
const mostLead = 1024;

/** What is no object has none; what is malformed inside a member shows when that is parsed. */
export function membersOf(json: Buffer): Map<string, Buffer> {
  const members = new Map<string, Buffer>();
  if (json.toString('latin1', 0, mostLead).trimStart()[0] !== '{') return members;
  let name = '';
  let start = json.indexOf('{') + 1;
  for (let count = 0; count < mostSeparators; count++) {
    const end = endOfPart(json, start);
    if (end === json.length) break;
    if (json[end] === colon) name = nameIn(json, start, end);
    else members.set(name, json.subarray(start, end));
    if (closes(json[end]!)) return members;
    start = end + 1;
  }
  return new Map();
}

/** The next colon, comma or closing bracket of the object itself; the text's length when there is none. */
function endOfPart(json: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === quote) at = endOfString(json, at);
    else if (opens(byte)) depth++;
    else if (depth === 0 && ends(byte)) return at;
    else if (closes(byte)) depth--;
  }
  return json.length;
}

function ends(byte: number): boolean {
  return byte === comma || byte === colon || closes(byte);
}

/** A member's name without its quotes; '' for one that is longer than any we look for. */
function nameIn(json: Buffer, start: number, end: number): string {
  return end - start > 64 ? '' : json.toString('latin1', start, end).trim().slice(1, -1);
}
