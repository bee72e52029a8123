/**
 * The body of a review: bytes in, without what no webhook reads. Managed fields and kubectl's copy of the object are
 * most of a large object and the dearest part to parse. They read as [] and "", and stay in the object as they are, since
 * the answer is a patch. Only the compact form that API servers send is cut; of any other, everything is kept.
 */
import type { IncomingMessage } from 'node:http';
import { afterBody, afterRefused } from '../../heap/giveback.ts';
import { closes, comma, endOfString, openObject, opens, quote } from '../json-bytes.ts';
import type { Inflow, Reception } from './inflow.ts';
import { Aborted, Busy, TooLarge } from './refusals.ts';

/** Buffers to use again: V8 counts a fresh one against the heap, and would collect all of it every few large bodies. */
const idle: Buffer[] = [];

const [mostIdle, largestIdle, smallest] = [4, 2 * 1024 * 1024, 64 * 1024];

/** A body in a buffer that is used again after `release`. */
export interface Received {
  bytes: Buffer;
  release(): void;
}

/** Reads a body of at most `most` bytes. Throws TooLarge, Busy when there is no room, or Aborted. */
export function receive(body: IncomingMessage, most: number, inflow: Inflow): Promise<Received> {
  const announced = Number(body.headers['content-length'] ?? 0);
  const { promise, resolve, reject } = Promise.withResolvers<Received>();
  let buffer: Buffer | undefined;
  let end = 0;
  let settled = false;
  const release = () => {
    inflow.leave(reception);
    if (!buffer) return;
    if (idle.length < mostIdle && buffer.length <= largestIdle) idle.push(buffer);
    buffer = undefined;
    afterBody(end);
  };
  const refuse = (why: Error) => {
    if (settled) return;
    settled = true;
    release();
    afterRefused(end);
    // Read on, so that the answer is heard; each chunk is memory until it is collected.
    body.off('data', take).on('data', (chunk: Buffer) => afterRefused(chunk.length));
    reject(why);
  };
  const reception: Reception = { from: body.socket?.remoteAddress ?? '', announced, cut: () => refuse(new Busy()) };
  const take = (chunk: Buffer) => {
    const wanted = end + chunk.length;
    if (wanted > most) return refuse(tooLarge(most));
    if (!buffer || wanted > buffer.length) {
      const size = sizeFor(wanted, announced, most);
      if (!inflow.take(reception, size - (buffer?.length ?? 0))) return refuse(new Busy());
      buffer = grown(buffer, end, size);
    }
    end += chunk.copy(buffer, end);
  };
  if (announced > most) refuse(tooLarge(most));
  else body.on('data', take);
  // Every body closes; an error is dear to make, and so is a listener that takes itself off.
  const cut = () => (settled ? undefined : refuse(new Aborted('the body was cut')));
  body.on('error', cut);
  body.on('close', cut);
  body.on('end', () => {
    if (settled) return;
    settled = true;
    reception.complete = true;
    resolve({ bytes: (buffer ?? Buffer.alloc(0)).subarray(0, end), release });
  });
  return promise;
}

function tooLarge(most: number): TooLarge {
  return new TooLarge(`the body is larger than ${most} bytes, more than an AdmissionReview can have`);
}

/** Not simply what is announced: whoever announces much and sends little would take all the room. */
function sizeFor(wanted: number, announced: number, most: number): number {
  if (wanted <= smallest) return smallest;
  const doubled = Math.min(most, 2 ** Math.ceil(Math.log2(wanted)));
  return announced <= largestIdle ? Math.max(wanted, announced) : doubled;
}

function grown(old: Buffer | undefined, end: number, size: number): Buffer {
  const at = idle.findIndex((buffer) => buffer.length >= size);
  const larger = at < 0 ? Buffer.allocUnsafeSlow(size) : idle.splice(at, 1)[0]!;
  if (!old) return larger;
  old.copy(larger, 0, 0, end);
  if (idle.length < mostIdle && old.length <= largestIdle) idle.push(old);
  return larger;
}

/** A key without its first quote, in two: a search goes by the first byte, so it is for the part that begins rarely. */
interface Key {
  head: string;
  tail: string;
}

const fieldsKey: Key = { head: 'mana', tail: 'gedFields":[' };
const copyKey: Key = { head: 'kubectl.kubernetes.io', tail: '/last-applied-configuration":"' };

/** A body of which the unread parts are left out; they need not be well-formed. Overwrites the body. */
export function withoutUnread(body: Buffer): Buffer {
  let end = 0;
  let kept = 0;
  let fields = placeOf(body, fieldsKey, 0);
  let copy = placeOf(body, copyKey, 0);
  while (fields < body.length || copy < body.length) {
    const from = Math.min(fields, copy);
    end = moved(body, end, kept, from);
    kept = fields < copy ? endOfArray(body, from) : Math.min(endOfString(body, from - 1), body.length);
    if (fields <= kept) fields = placeOf(body, fieldsKey, kept);
    if (copy <= kept) copy = placeOf(body, copyKey, kept);
  }
  return body.subarray(0, moved(body, end, kept, body.length));
}

/** Moves what is kept to the front, and answers where it ends. */
function moved(body: Buffer, to: number, from: number, end: number): number {
  if (to !== from) body.copyWithin(to, from, end);
  return to + end - from;
}

/** Where the value of that key begins, at or after `from`; the body's length when there is none. */
function placeOf(body: Buffer, { head, tail }: Key, from: number): number {
  for (let at = body.indexOf(tail, from + head.length); at >= 0; at = body.indexOf(tail, at + tail.length)) {
    const start = at - head.length;
    // Else it is the end of a longer key.
    const whole = body[start - 1] === quote && (body[start - 2] === openObject || body[start - 2] === comma);
    if (whole && body.toString('latin1', start, at) === head) return at + tail.length;
  }
  return body.length;
}

/** Place of the bracket that ends the array which is open at `at`. */
function endOfArray(body: Buffer, at: number): number {
  const end = body.length;
  let depth = 1;
  for (; at < end; at++) {
    const byte = body[at]!;
    if (byte === quote) at = endOfString(body, at);
    else if (opens(byte)) depth++;
    else if (closes(byte) && --depth === 0) return at;
  }
  return end;
}
