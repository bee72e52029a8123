/** What nobody changes still becomes due: a release is looked at again when the term of a copy that one of its runs left is over. */
import { dropDue } from '../release/downgrade/retention.ts';
import type { DowngradeObject } from '../release/kubernetes/downgrade.ts';

type Enqueue = (key: { namespace: string; name: string }) => void;

/** Longest wait of one timer, in milliseconds; Node's own limit is 24.8 days, and a copy may be kept for years. */
const longestMs = 24 * 3_600_000;

/** A timer may ring a little before the clock is there, and nobody would look a second time. */
const marginMs = 1000;

/**
 * A function to be called with every Downgrade that is seen, changed or deleted. Its release is enqueued as soon as there
 * is something to drop; seen again after a controller's restart, at once where that is overdue. Ends with the signal.
 */
export function wakeWhenDue(
  enqueue: Enqueue,
  signal: AbortSignal,
): (object: DowngradeObject, deleted: boolean) => void {
  const timers = new Map<string, NodeJS.Timeout>();
  signal.addEventListener('abort', () => {
    for (const timer of timers.values()) clearTimeout(timer);
  });
  const set = (object: DowngradeObject, deleted: boolean) => {
    const { namespace, name } = object.metadata;
    const id = `${namespace}/${name}`;
    clearTimeout(timers.get(id));
    timers.delete(id);
    const due = deleted || signal.aborted ? undefined : dropDue(object);
    if (!due) return;
    const left = Math.max(0, due.getTime() - Date.now()) + marginMs;
    const ring = () => (left > longestMs ? set(object, false) : enqueue({ namespace, name: object.spec.release }));
    timers.set(id, setTimeout(ring, Math.min(left, longestMs)));
  };
  return set;
}
