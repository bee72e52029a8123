/** Bodies in memory that are not parsed yet. */
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { receive } from '../../src/admission/intake/body.ts';
import { makeInflow } from '../../src/admission/intake/inflow.ts';
import { Busy } from '../../src/admission/intake/refusals.ts';

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

/** What was cut, in its order, of bodies that take so many KiB each from their address. */
function cutOf(
  limits: { most: number; reserve?: number; small?: number },
  bodies: [from: string, KiB: number, announced?: number][],
) {
  const inflow = makeInflow({ reserve: 0, small: 0, patienceMs, ...limits }, () => 0);
  const cut: string[] = [];
  const letIn = bodies.map(([from, size, announced = 0], at) =>
    inflow.take({ from, announced, cut: () => void cut.push(`${from} ${at}`) }, size),
  );
  return { cut, letIn };
}

it('of what is on its way, the address that holds most gives way, its oldest first, to one that holds less', () => {
  const { cut, letIn } = cutOf({ most: 10 }, [
    ['a', 2],
    ['b', 4],
    ['b', 4],
    ['c', 3],
  ]);
  expect([cut, letIn]).toEqual([['b 1'], [true, true, true, true]]);
});

it('nobody takes the room of one that holds no more than would be held by itself', () => {
  expect(
    cutOf({ most: 10 }, [
      ['a', 5],
      ['b', 5],
      ['c', 5],
    ]),
  ).toEqual({ cut: [], letIn: [true, true, false] });
  expect(
    cutOf({ most: 10 }, [
      ['a', 5],
      ['a', 5],
      ['a', 1],
    ]),
  ).toEqual({ cut: [], letIn: [true, true, false] });
});

it('one that announces more than a small body never takes of the room for small ones, however little has come', () => {
  const limits = { most: 10, reserve: 4, small: 2 };
  expect(
    cutOf(limits, [
      ['a', 2, 9],
      ['a', 2, 9],
      ['a', 2, 9],
      ['a', 2, 9],
      ['a', 2],
    ]).letIn,
  ).toEqual([true, true, true, false, true]);
});
