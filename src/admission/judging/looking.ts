/** Looking at the world within one budget of time. */
import { shorten } from '../../release/model/reasons.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Ports, Told } from '../ports.ts';
import { said } from '../said.ts';

export interface Look {
  <T>(what: string, looking: (signal: AbortSignal) => Promise<T>, patienceMs?: number): Promise<T>;
  <T>(what: string, looking: (signal: AbortSignal) => Told<T>, patienceMs?: number): Told<T>;
}

/**
 * Answers at once what is told at once. Waits for the other looks until the one budget ends, also when a port does not
 * listen to the signal. `done` must be called.
 */
export function looker(ports: Ports): { look: Look; done(): void } {
  const { budgetMs } = ports.settings;
  const controller = new AbortController();
  const { signal } = controller;
  const budget = timer(budgetMs, controller);
  const failed = (what: string, error: unknown) =>
    new Error(said(ports, `${what} can't be read: ${firstLine(error)}`, `${what} can't be read`));
  const waited = async <T>(what: string, telling: Promise<T>, patienceMs: number): Promise<T> => {
    const time = patienceMs < budgetMs ? timer(patienceMs) : budget;
    try {
      // What nobody waits for any more may go on until the budget ends: a signal of its own would be dearer.
      return await Promise.race(time === budget ? [telling, budget.end] : [telling, time.end, budget.end]);
    } catch (error) {
      if (error === tooLate) throw new Error(`${what} was not read within ${Math.min(patienceMs, budgetMs) / 1000} s`);
      throw failed(what, error);
    } finally {
      if (time !== budget) time.done();
    }
  };
  const look = <T>(what: string, looking: (signal: AbortSignal) => Told<T>, patienceMs = budgetMs): Told<T> => {
    try {
      const telling = looking(signal);
      return telling instanceof Promise ? waited(what, telling, patienceMs) : telling;
    } catch (error) {
      return Promise.reject(failed(what, error));
    }
  };
  return { look: look as Look, done: budget.done };
}

const tooLate = new Error('too late');

/** One end for all who wait: a listener for each look would be a good part of what a review costs. */
function timer(ms: number, controller?: AbortController): { end: Promise<never>; done(): void } {
  const { promise: end, reject } = Promise.withResolvers<never>();
  end.catch(() => undefined);
  const ending = setTimeout(() => {
    reject(tooLate);
    controller?.abort(tooLate);
  }, ms);
  return { end, done: () => clearTimeout(ending) };
}

/** One line of an error's own words. */
export function firstLine(error: unknown): string {
  const text = wordsOfThrown(error);
  return shorten(text.split('\n', 1)[0] ?? '', 160);
}
