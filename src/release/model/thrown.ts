/** What was thrown, in its own words. */
export function wordsOfThrown(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
