/** Which day it is, for what takes turns in CI: a part of it each day. */
const dayMs = 86_400_000;

/** Days since the first of January, in UTC. */
export function dayOfYear(now: Date): number {
  return Math.floor((now.getTime() - Date.UTC(now.getUTCFullYear(), 0, 1)) / dayMs);
}
