/** What was read of images, kept for a while, so that many reviews of one image ask its registry once. */
import type { ReadOptions } from './read.ts';

export interface Keeping {
  /** How many images at most; the one longest unused goes first. */
  entries: number;
  /** For what a tag named; what a digest names is kept for ever. */
  ttlMs: number;
  /** For what could not be read. */
  failureTtlMs: number;
  /** Milliseconds, never going back. */
  now: () => number;
}

type Read<T> = (image: string, options: ReadOptions) => Promise<T | Unknown>;

interface Unknown {
  unknown: string;
}

interface Kept<T> {
  result: T | Unknown;
  until: number;
}

/**
 * Keeps what `read` answers, by image, credentials and platform. Whoever asks for what is being read waits for the same
 * reading; each waits no longer than its own `timeoutMs` and `signal`, while the reading goes on to its end and is kept.
 * What throws is not kept.
 */
export function cachedImages<T extends object>(read: Read<T>, keeping: Keeping): Read<T> {
  const kept = new Map<string, Kept<T>>();
  const under = new Map<string, Promise<T | Unknown>>();

  const start = async (key: string, image: string, options: ReadOptions) => {
    try {
      const result = await read(image, { ...options, signal: undefined });
      keep(kept, key, { result, until: keeping.now() + lifeOf(image, result, keeping) }, keeping.entries);
      return result;
    } finally {
      under.delete(key);
    }
  };

  return async (image, options) => {
    const key = keyOf(image, options);
    const known = kept.get(key);
    if (known && keeping.now() < known.until) {
      keep(kept, key, known, keeping.entries);
      return known.result;
    }
    let reading = under.get(key);
    if (!reading) {
      reading = start(key, image, options);
      under.set(key, reading);
    }
    return await within(reading, options);
  };
}

function keyOf(image: string, { credentials, platform }: ReadOptions): string {
  const who = credentials.map((credential) => credential.identity);
  return JSON.stringify([image, who, platform?.os, platform?.architecture]);
}

function lifeOf(image: string, result: object, { ttlMs, failureTtlMs }: Keeping): number {
  if ('unknown' in result) return failureTtlMs;
  return image.includes('@') ? Number.POSITIVE_INFINITY : ttlMs;
}

/** Puts an entry last, which is where the newest are, and lets the oldest go. */
function keep<T>(kept: Map<string, Kept<T>>, key: string, entry: Kept<T>, most: number): void {
  kept.delete(key);
  kept.set(key, entry);
  for (const oldest of kept.keys()) {
    if (kept.size <= most) return;
    kept.delete(oldest);
  }
}

async function within<T>(reading: Promise<T>, { timeoutMs, signal }: ReadOptions): Promise<T | Unknown> {
  const waiting = Promise.withResolvers<Unknown>();
  const stop = () => waiting.resolve({ unknown: 'the reading was given up' });
  const timer = setTimeout(
    () => waiting.resolve({ unknown: `no answer within ${Math.round(timeoutMs)} ms` }),
    timeoutMs,
  );
  if (signal?.aborted) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([reading, waiting.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}
