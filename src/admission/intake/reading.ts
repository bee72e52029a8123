/** From a request's bytes to a parsed review, within the limits of memory that all requests share. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import type { FastifyBodyParser } from 'fastify';
import { MalformedReview } from '../review.ts';
import { type Received, receive, withoutUnread } from './body.ts';
import { makeInflow } from './inflow.ts';
import { TooLarge } from './refusals.ts';
import { makeRoom } from './room.ts';
import { mostDepth, mostValues, shapeOf, weightOf, worstWeight } from './shape.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * API servers take objects of up to 3 MiB; a review carries the object and the old object, and 1 MiB is left for who asks
 * and for the options: 2 × 3 + 1. fastify's own limit of 1 MiB would refuse ordinary large objects.
 */
const bodyLimit = 7 * MiB;

/** Together with what a replica has at rest they stay under the memory limit of manifests/deployment.yaml. */
const inflowLimits = { most: 12 * MiB, reserve: 4 * MiB, small: 256 * KiB, patienceMs: 1_000 };

const roomLimits = { most: 30 * MiB, reserve: 6 * MiB, small: 1 * MiB, patienceMs: 3_000, mostWaiting: 100 };

/** Reads the body of a request; `leave` must be called when the answer is made. */
export type Read = (request: IncomingMessage) => Promise<{ body: unknown; leave(): void }>;

/** One for a server. `careful` parses what may hold a key "__proto__", and drops that. */
export function makeReader(careful: FastifyBodyParser<string>): Read {
  const inflow = makeInflow(inflowLimits);
  const enter = makeRoom(roomLimits);
  return async (request) => {
    const received = await receive(request, bodyLimit, inflow);
    try {
      const text = withoutUnread(received.bytes);
      const leave = await enter(checked(text));
      try {
        return { body: await parsed(text, received, request, careful), leave };
      } catch (error) {
        leave();
        throw error;
      }
    } finally {
      received.release();
    }
  };
}

/** Most reviews are no longer. To count what is in them would cost a tenth of the whole review. */
const uncounted = 32 * KiB;

/** The weight of a text that a review could be. */
function checked(text: Buffer): number {
  if (text.length <= uncounted) return worstWeight(text.length);
  const shape = shapeOf(text);
  if (shape.values > mostValues)
    throw new TooLarge(`the body holds ${shape.values} values; a review is read with up to ${mostValues}`);
  if (shape.depth > mostDepth)
    throw new TooLarge(`the body is nested ${shape.depth} deep; a review is read with up to ${mostDepth}`);
  return weightOf(text.length, shape);
}

async function parsed(bytes: Buffer, received: Received, request: IncomingMessage, careful: FastifyBodyParser<string>) {
  const text = bytes.toString();
  received.release();
  // A key "__proto__", also a masked one, is rare; the slower parser drops it: the patch is made of the rest.
  if (/__proto__|\\u00(?:5f|6f|7[024])/i.test(text)) return promisify(careful)(request as never, text);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new MalformedReview('the body is no JSON');
  }
}
