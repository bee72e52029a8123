/**
 * Bytes of bodies that are in memory and not parsed yet, over all requests. Anyone can open connections and leave bodies
 * half sent, so there is a bound for all of them together, a part of it that only small bodies may take, and whoever
 * holds most gives way to one who holds less.
 */

/** What one body holds. `cut` is called when its room is needed for others. */
export interface Reception {
  /** The caller's address. */
  from: string;
  /** Bytes, as its headers say; 0 where they don't. */
  announced: number;
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
  /** Of it, what only bodies up to `small` may take, which also announce no more. */
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

  /** The oldest body on its way from the address that holds most, if that will still be more than this one's then. */
  function ofMost(reception: Reception, bytes: number): Reception | undefined {
    const byAddress = new Map<string, number>();
    for (const [{ from }, body] of open) byAddress.set(from, (byAddress.get(from) ?? 0) + body.held);
    const own = (byAddress.get(reception.from) ?? 0) + bytes;
    let most: Reception | undefined;
    for (const [other] of open) {
      const more = byAddress.get(other.from)! > (most ? byAddress.get(most.from)! : own);
      if (more && !other.complete && other.from !== reception.from) most = other;
    }
    return most;
  }

  function take(reception: Reception, bytes: number): boolean {
    const own = open.get(reception) ?? { since: now(), held: 0 };
    const isSmall = Math.max(own.held + bytes, reception.announced) <= small;
    while (held + bytes > (isSmall ? most : most - reserve)) {
      const gives = slowest(reception) ?? ofMost(reception, bytes);
      if (!gives) return false;
      leave(gives);
      gives.cut();
    }
    own.held += bytes;
    held += bytes;
    open.set(reception, own);
    return true;
  }

  return { take, leave };
}
