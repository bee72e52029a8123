/** large.json: what `npm run test:matrix -- --large` measured last. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DatabaseSizes } from '../../src/release/model/runner.ts';

/** Seconds by the clock, and seconds of processor of the runner and PostgreSQL, which no other work on the machine changes. */
export interface Spent {
  seconds: number;
  processor: number;
}

/** One downgrade of that database. */
export interface LargeDowngrade {
  to: string;
  /** Its revisions, newest first. */
  crossed: string[];
  /** Of the inspection, the copy on the server, and each step of the plan. */
  seconds: Record<string, number>;
  /** Of each reverse script that took 0.5 s or more; several quick ones after it may be counted with it. */
  byRevision: Record<string, Spent>;
  /** Of all reverse scripts of the core together. */
  core: Spent;
}

export interface Large {
  about: string;
  machine: string;
  from: string;
  rows: Record<string, number>;
  /** As the inspection tells them. */
  sizes: DatabaseSizes;
  downgrades: LargeDowngrade[];
}

export const largeFile = fileURLToPath(new URL('large.json', import.meta.url));

/** Throws where it was never measured. */
export function readLarge(): Large {
  return JSON.parse(readFileSync(largeFile, 'utf8')) as Large;
}
