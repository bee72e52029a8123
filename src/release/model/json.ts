/** JSON values: equality, and what an unknown one is. */

/**
 * Whether two JSON values say the same. The API server gives the keys of a stored object back in an order of its own, so
 * comparing texts would find a difference for ever. A key that is undefined counts as missing, as it is once stored.
 */
export function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [one, other] = [a, b] as Record<string, unknown>[];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => same(one![key], other![key]));
}

/** The merge patch that puts `to` in the place of `from`: a key that is in `from` alone is taken off. */
export function replacing(from: unknown, to: object): object {
  const old = record(from) ?? {};
  const gone = Object.keys(old).filter((key) => (to as Record<string, unknown>)[key] === undefined);
  const kept = Object.entries(to).map(([key, value]) => [key, record(value) ? replacing(old[key], value) : value]);
  return Object.fromEntries([...gone.map((key) => [key, null]), ...kept]);
}

/** Whether a value of which nothing is known yet, a stranger's or another version's, is an object with fields. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object with fields; undefined for anything else. */
export function record(value: unknown): Record<string, unknown> | undefined {
  return isRecord(value) ? value : undefined;
}

/** Missing, or null as `kubectl edit` may leave it. */
export function absent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** What was found there instead, short enough for a sentence. */
export function text(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 80);
}
