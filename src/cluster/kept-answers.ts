/** Answers of the API server that count for a moment, so that those who ask together, or soon again, ask once. */

/** Long enough that a deploy of six workloads asks once, short enough that what was mended counts at the next try. */
const keptMs = 20_000;

/** Answers that are kept at most; the oldest goes first. */
const mostKept = 500;

interface Kept<T> {
  at: number;
  answer: Promise<T>;
}

/** Asks by `ask` where nothing is kept under the key. An answer that failed is not kept. */
export function keptAnswers<T>(): (key: string, ask: () => Promise<T>) => Promise<T> {
  const kept = new Map<string, Kept<T>>();
  return (key, ask) => {
    const now = performance.now();
    for (const [old, { at }] of kept) if (now - at >= keptMs || kept.size >= mostKept) kept.delete(old);
    const known = kept.get(key);
    if (known) return known.answer;
    const entry = { at: now, answer: ask() };
    kept.set(key, entry);
    entry.answer.catch(() => kept.get(key) === entry && kept.delete(key));
    return entry.answer;
  };
}
