import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks again and again until `condition` answers something other than undefined or false, and answers that.
 * Throws after `timeoutMs`, saying what was waited for and the last error; an error of `condition` means "not yet".
 */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  everyMs = 100,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await condition();
      if (seen !== undefined && seen !== false) return seen;
      last = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() >= deadline) {
      const why = last instanceof Error ? `: ${last.message}` : '';
      throw new Error(`${what}: not there after ${timeoutMs / 1000} s${why}`, { cause: last });
    }
    await delay(everyMs);
  }
}

/** Thrown by a condition that can never become true, to end the wait at once. */
export class Hopeless extends Error {}
