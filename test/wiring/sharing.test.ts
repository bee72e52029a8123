import { describe, expect, it } from 'vitest';
import { atMost, sharing } from '../../src/wiring/sharing.ts';

/** An act that ends when it is told to. */
function acts() {
  const begun: ((value: number) => void)[] = [];
  return { begun, act: () => new Promise<number>((resolve) => void begun.push(resolve)) };
}

describe('who asks the same at the same time', () => {
  it('shares the next act, which begins when the one under way has ended', async () => {
    const { begun, act } = acts();
    const share = sharing<number>();
    const first = share('a', act);
    const late = [share('a', act), share('a', act)];
    expect(begun).toHaveLength(1);
    begun[0]!(1);
    expect(await first).toBe(1);
    await expect.poll(() => begun.length).toBe(2);
    const later = share('a', act);
    begun[1]!(2);
    expect(await Promise.all(late)).toEqual([2, 2]);
    await expect.poll(() => begun.length).toBe(3);
    begun[2]!(3);
    expect(await later).toBe(3);
  });

  it('waits for nobody who asks something else, and not for what failed', async () => {
    const { begun, act } = acts();
    const share = sharing<number>();
    const failed = share('a', () => Promise.reject(new Error('no')));
    const next = share('a', act);
    void share('b', act);
    await expect(failed).rejects.toThrow('no');
    await expect.poll(() => begun.length).toBe(2);
    begun[1]!(7);
    expect(await next).toBe(7);
  });
});

it('at most so many in a second', () => {
  let now = 0;
  const may = atMost(3, () => now);
  expect([may(), may(), may(), may()]).toEqual([true, true, true, false]);
  now = 1000;
  expect(may()).toBe(true);
});
