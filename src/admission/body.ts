/**
 * The body of a review: bytes → text, without what no webhook reads. Managed fields and kubectl's copy of the object are
 * most of a large object and the dearest part to parse. They read as [] and "", and stay in the object as they are, since
 * the answer is a patch. Only the compact form that API servers send is cut; of any other, everything is kept.
 */
import type { IncomingMessage } from 'node:http';
import { afterBody } from './quiet.ts';

/** More bytes than a review can have; `statusCode` is what fastify answers. */
export class BodyTooLarge extends Error {
  code = 'FST_ERR_CTP_BODY_TOO_LARGE';
  statusCode = 413;
}

/** Buffers to use again: V8 counts a fresh one against the heap, and would collect all of it every few large bodies. */
const idle: Buffer[] = [];
const [mostIdle, largestIdle, smallest] = [4, 2 * 1024 * 1024, 64 * 1024];

/** Reads a body of at most `most` bytes. Rejects with BodyTooLarge, or with what the connection died of. */
export function receiveText(body: IncomingMessage, most: number): Promise<string> {
  const length = Number(body.headers['content-length'] ?? 0);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  if (length > most) reject(new BodyTooLarge());
  let buffer = idle.pop() ?? Buffer.allocUnsafeSlow(smallest);
  let end = 0;
  body.on('data', (chunk: Buffer) => {
    if (end + chunk.length > most) return reject(new BodyTooLarge());
    if (end + chunk.length > buffer.length)
      buffer = grown(buffer, end, Math.max(Math.min(length, most), end + chunk.length));
    end += chunk.copy(buffer, end);
  });
  body.once('error', reject);
  body.once('end', () => {
    resolve(readText(buffer.subarray(0, end)));
    if (idle.length < mostIdle && buffer.length <= largestIdle) idle.push(buffer);
    afterBody(end);
  });
  return promise;
}

function grown(buffer: Buffer, end: number, wanted: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 2 * buffer.length));
  buffer.copy(larger, 0, 0, end);
  return larger;
}

// Without their first quote: a search goes by the first byte, and quotes are everywhere.
const fieldsKey = 'managedFields":[';
const copyKey = 'kubectl.kubernetes.io/last-applied-configuration":"';

/** The text of a body, of which the unread parts are left out; they need not be well-formed. Overwrites the body. */
export function readText(body: Buffer): string {
  let end = 0;
  let kept = 0;
  let fields = placeOf(body, fieldsKey, 0);
  let copy = placeOf(body, copyKey, 0);
  while (fields < body.length || copy < body.length) {
    const from = Math.min(fields, copy);
    end += body.copy(body, end, kept, from);
    kept = fields < copy ? endOfArray(body, from) : endOfText(body, from);
    if (fields <= kept) fields = placeOf(body, fieldsKey, kept);
    if (copy <= kept) copy = placeOf(body, copyKey, kept);
  }
  end += body.copy(body, end, kept);
  return body.toString('utf8', 0, end);
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Where the value of that key begins, at or after `from`; the body's length when there is none. */
function placeOf(body: Buffer, key: string, from: number): number {
  for (let at = body.indexOf(key, from); at >= 0; at = body.indexOf(key, at + key.length)) {
    // Else it is the end of a longer key.
    const whole = body[at - 1] === quote && (body[at - 2] === openObject || body[at - 2] === comma);
    if (whole) return at + key.length;
  }
  return body.length;
}

/** Place of the quote that ends the text which is open at `at`. */
function endOfText(body: Buffer, at: number): number {
  const end = body.length;
  while (at < end && body[at] !== quote) at += body[at] === backslash ? 2 : 1;
  return Math.min(at, end);
}

/** Place of the bracket that ends the array which is open at `at`. */
function endOfArray(body: Buffer, at: number): number {
  const end = body.length;
  let depth = 1;
  for (; at < end; at++) {
    const byte = body[at];
    if (byte === quote) at = endOfText(body, at + 1);
    else if (byte === openArray || byte === openObject) depth++;
    else if ((byte === closeArray || byte === closeObject) && --depth === 0) return at;
  }
  return end;
}
