/** S2-14: the term of a copy ends without anybody changing anything. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { wakeWhenDue } from '../../src/controller/retention-timer.ts';
import { type DowngradeObject, newDowngrade } from '../../src/release/kubernetes/downgrade.ts';
import type { Backup } from '../../src/release/model/run.ts';

const now = '2026-11-21T12:00:00Z';
const ending = new AbortController();
const hours = (n: number) => n * 3_600_000;
let woken: string[];
let tell: (object: DowngradeObject, deleted: boolean) => void;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(now) });
  woken = [];
  tell = wakeWhenDue(({ namespace, name }) => woken.push(`${namespace}/${name}`), ending.signal);
});
afterEach(() => {
  vi.useRealTimers();
});

function made(backup: Partial<Backup>, completedAt: string | undefined = now): DowngradeObject {
  const object = newDowngrade({ namespace: 'air', release: 'af', to: 'x', heldSince: now });
  const copy: Backup = { way: 'ServerCopy', name: 'c', startedAt: now, verifiedAt: now, ...backup };
  return { ...object, status: { record: { ...(completedAt ? { completedAt } : {}), backup: copy } } };
}

const week = { keepUntil: '2026-11-28T12:00:00Z' };

it('looks when the term is over, also after more days than a timer can wait', () => {
  tell(made({ keepUntil: '2027-11-21T12:00:00Z' }), false);
  vi.advanceTimersByTime(hours(24 * 365) - 1);
  expect(woken).toEqual([]);
  vi.advanceTimersByTime(5000);
  expect(woken).toEqual(['air/af']);
});

it('looks at once when that was over before the controller started, once', () => {
  tell(made({ keepUntil: '2026-11-20T12:00:00Z' }), false);
  vi.advanceTimersByTime(hours(50));
  expect(woken).toEqual(['air/af']);
});

it('looks again after a failure, as soon as that is written down', () => {
  const due = { keepUntil: now };
  tell(made(due), false);
  vi.advanceTimersByTime(1000);
  tell(made({ ...due, triedAt: now, failure: 'x' }), false);
  vi.advanceTimersByTime(hours(1 / 6) - 1000);
  expect(woken).toHaveLength(1);
  vi.advanceTimersByTime(5000);
  expect(woken).toHaveLength(2);
});

it.each<[string, DowngradeObject, boolean]>([
  ['dropped', made({ ...week, droppedAt: now }), false],
  ['deleted', made(week), true],
  ['under way again', made(week, ''), false],
])('not when it is %s in between', (_, object, deleted) => {
  tell(made(week), false);
  tell(object, deleted);
  vi.advanceTimersByTime(hours(1000));
  expect(woken).toEqual([]);
});

it('not after the signal', () => {
  tell(made(week), false);
  ending.abort();
  vi.advanceTimersByTime(hours(1000));
  expect(woken).toEqual([]);
});
