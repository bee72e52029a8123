/**
 * Bytes of bodies that are in memory and not parsed yet, over all requests. Anyone can open connections and leave bodies
 * half sent, so there is a bound for all of them together, and a part of it that only small bodies may take.
 */

/** What one body holds. `cut` is called when its room is needed for others. */
export interface Reception {
  cut(): void;
  /** All of it is there: it is in memory until it is parsed, whoever needs the room. */
  complete?: boolean;
}

export interface Inflow {
  /** Takes so many more bytes for this body; false when there is no room. */
  take(reception: Reception, bytes: number): boolean;
  /** Gives all of it back. */
  leave(reception: Reception): void;
}

export interface InflowLimits {
  /** For all bodies. */
  most: number;
  /** Of it, what only bodies up to `small` may take. */
  reserve: number;
  small: number;
  /** A body that is still not there after so long gives way to others. API servers send theirs in milliseconds. */
  patienceMs: number;
}

/** One for a server. */
export function makeInflow({ most, reserve, small, patienceMs }: InflowLimits, now = () => performance.now()): Inflow {
  // In the order in which they began.
  const open = new Map<Reception, { since: number; held: number }>();
  let held = 0;

  function leave(reception: Reception): void {
    held -= open.get(reception)?.held ?? 0;
    open.delete(reception);
  }

  /** The body that has been on its way for longest, if that is too long. */
  function slowest(but: Reception): Reception | undefined {
    for (const [reception, { since }] of open) {
      if (now() - since < patienceMs) return undefined;
      if (reception !== but && !reception.complete) return reception;
    }
    return undefined;
  }

  function take(reception: Reception, bytes: number): boolean {
    const own = open.get(reception) ?? { since: now(), held: 0 };
    const limit = own.held + bytes <= small ? most : most - reserve;
    while (held + bytes > limit) {
      const slow = slowest(reception);
      if (!slow) return false;
      leave(slow);
      slow.cut();
    }
    own.held += bytes;
    held += bytes;
    open.set(reception, own);
    return true;
  }

  return { take, leave };
}
