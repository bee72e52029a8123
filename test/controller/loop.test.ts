/** How soon a release is looked at again, by what it waits for. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startLoop } from '../../src/controller/loop.ts';
import { isProgress, type WaitReason, waits } from '../../src/release/model/waits.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pollMs = 500;
const idleMs = 10_000;

/** Looks within one idle time while a release waits for this. */
async function looksWhile(reason: WaitReason): Promise<number> {
  const ending = new AbortController();
  let looks = 0;
  const loop = startLoop({
    reconcile: async () => {
      looks++;
      return { act: 'wait', reason, message: '' };
    },
    pollMs,
    idleMs,
    workers: 1,
    signal: ending.signal,
    log: () => {},
  });
  loop.enqueue({ namespace: 'air', name: 'af' });
  await vi.advanceTimersByTimeAsync(idleMs);
  ending.abort();
  return looks;
}

it.each(Object.keys(waits) as WaitReason[])(
  '%s: at every poll while it gets on by itself, ever more rarely while a person is needed',
  async (reason) => {
    const looks = await looksWhile(reason);
    if (isProgress(reason)) expect(looks).toBeGreaterThanOrEqual(idleMs / pollMs);
    else expect(looks).toBeLessThan(7);
  },
);

it.each<WaitReason>(['Draining', 'BackingUp', 'Downgrading', 'Returning', 'Resuming'])(
  '%s is progress: people are without Airflow meanwhile',
  (reason) => expect(isProgress(reason)).toBe(true),
);
