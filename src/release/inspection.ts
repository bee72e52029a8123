/** What the running image told of itself, what was planned from it, and how far the runner is. */
import type { DatabaseIdentity, DatabaseRead } from './release.ts';

export interface Plan {
  identity: DatabaseIdentity;
  steps: PlanStep[];
  /** What stands in the way; a plan with blockers is not carried out. */
  blockers: { reason: string; message: string }[];
  /** What this version of downdraft does not do, in plain words, where it matters to this run. */
  notYet: string[];
}

export type PlanStep =
  | { kind: 'core'; from: string; toRevision: string; revisions: number; command: string }
  | {
      kind: 'manager';
      class: string;
      versionTable: string;
      from: string;
      toRevision: string;
      revisions: number;
      command: string;
    };

/** Where the runner is, from its progress file. */
export interface Progress {
  step: number;
  steps: number;
  kind: 'core' | 'manager';
  done: number;
  of: number;
  revision: string;
  message: string;
}

/** What the running image says of its own scripts and of the database (src/inside/runner.py, inspect.json). */
export interface Inspection {
  /** When it looked, ISO 8601, by the runner's own clock. */
  at: string;
  /** The mark with which it was asked to look once more; clocks of two machines can't be compared. */
  look?: string;
  airflowVersion: string;
  core: { heads: string[]; chain: ChainLink[] };
  managers: {
    class: string;
    versionTable: string;
    heads: string[];
    chain: ChainLink[];
    command: 'fab-db' | 'db-manager' | null;
    canDowngrade: boolean;
  }[];
  database: Omit<DatabaseRead, 'state'> & { backend: string };
  /** Rows that versions before 3.2 can't read. */
  rows: { table: string; column: string; count: number; examples: (string | number)[] }[];
}

export interface ChainLink {
  revision: string;
  down: string | string[] | null;
}
