/** Bodies in memory that are not parsed yet. */
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { receive } from '../../src/admission/body.ts';
import { makeInflow } from '../../src/admission/inflow.ts';
import { Busy } from '../../src/admission/refusals.ts';

const KiB = 1024;
const patienceMs = 1000;

const half = Buffer.alloc(100 * KiB, 'x');

function bodyOf(...chunks: Buffer[]) {
  const body = Object.assign(new PassThrough(), { headers: { 'content-length': `${half.length}` } });
  for (const chunk of chunks) body.write(chunk);
  return body;
}

it('one that is there as a whole keeps its room until it is parsed, one that is still on its way gives it up', async () => {
  let now = 0;
  const inflow = makeInflow({ most: 250 * KiB, reserve: 0, small: 0, patienceMs }, () => now);
  const taken = (body: PassThrough) => receive(body as unknown as IncomingMessage, 1024 * KiB, inflow);
  const whole = await taken(bodyOf(half).end());
  const slow = taken(bodyOf(half.subarray(1)));
  await new Promise(setImmediate);
  now += patienceMs;
  const next = taken(bodyOf(half).end());
  await expect(slow).rejects.toThrow(Busy);
  await next;
  now += patienceMs;
  // What is in memory now is all that may be.
  await expect(taken(bodyOf(half).end())).rejects.toThrow(Busy);
  whole.release();
  await taken(bodyOf(half).end());
});
