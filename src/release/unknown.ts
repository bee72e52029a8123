/** Looking at values of which nothing is known yet: what is stored past the schema, or by another version. */
/** An object with fields; undefined for anything else. */
export function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Missing, or null as `kubectl edit` may leave it. */
export function absent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** What was found there instead, short enough for a sentence. */
export function text(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 80);
}
