/**
 * Room for parsed reviews. What is small goes straight in. The rest comes one after another, the smallest first and one in
 * each turn of the event loop, so that many large reviews neither fill the heap nor keep a small one waiting.
 */
import { Busy } from './refusals.ts';

export interface RoomLimits {
  /** Weight of all reviews that are in at once. */
  most: number;
  /** Of it, what only reviews up to `small` may take. */
  reserve: number;
  small: number;
  /** How long one waits at most, and how many. */
  patienceMs: number;
  mostWaiting: number;
}

/** Waits until there is room for that weight; answers with what must be called when it is no longer needed. Throws Busy. */
export type Enter = (weight: number) => Promise<() => void>;

interface Waiting {
  weight: number;
  enter(): void;
}

/** One for a server. */
export function makeRoom({ most, reserve, small, patienceMs, mostWaiting }: RoomLimits): Enter {
  // The smallest first.
  const queue: Waiting[] = [];
  let taken = 0;
  let turn: NodeJS.Immediate | undefined;

  const fits = (weight: number) => taken + weight <= (weight <= small ? most : most - reserve);

  function occupy(weight: number): () => void {
    taken += weight;
    return () => {
      taken -= weight;
      weight = 0;
      next();
    };
  }

  function next(): void {
    if (turn || !queue[0] || !fits(queue[0].weight)) return;
    turn = setImmediate(() => {
      turn = undefined;
      const [first] = queue;
      if (first && fits(first.weight)) first.enter();
      next();
    });
  }

  return async (weight) => {
    if (weight <= small && fits(weight)) return occupy(weight);
    if (queue.length >= mostWaiting || weight > most - reserve) throw new Busy();
    const { promise, resolve, reject } = Promise.withResolvers<() => void>();
    const leaveQueue = () => void queue.splice(queue.indexOf(waiting), 1);
    const late = setTimeout(() => {
      leaveQueue();
      reject(new Busy());
    }, patienceMs);
    const waiting: Waiting = {
      weight,
      enter: () => {
        clearTimeout(late);
        leaveQueue();
        resolve(occupy(weight));
      },
    };
    const place = queue.findIndex((other) => other.weight > weight);
    queue.splice(place < 0 ? queue.length : place, 0, waiting);
    next();
    return promise;
  };
}
