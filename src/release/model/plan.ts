/** The plan of a downgrade. */
import type { DatabaseIdentity } from './database.ts';
import type { BackupWay } from './policy.ts';
import type { Reason } from './reasons.ts';

export interface Plan {
  identity: DatabaseIdentity;
  steps: PlanStep[];
  /** Rows that are rewritten for the older version, by column. */
  conversions: { table: string; column: string; count: number }[];
  /** What the older schema has no room for, in words with their numbers. */
  losses: { what: string; count: number; upTo?: number }[];
  /** What a person should know before: limits of the server, who is in the way, how long it may take. */
  notes: string[];
  /** What stands in the way; a plan with blockers is not carried out. */
  blockers: { reason: Reason; message: string }[];
  backup: PlannedBackup;
  /** Of what consent is asked and given: changes when steps or losses do. */
  hash: string;
}

/** How the database as it is now is kept, and why the ways before that one did not do. */
export interface PlannedBackup {
  way: BackupWay | 'None';
  /** What a person named: where the backup is, or on whose word there is none. */
  named?: string;
  /** Where it will be, or of what it is made, in words. */
  place?: string;
  why: string[];
}

export type PlanStep =
  | { kind: 'convert'; rows: number; command: string }
  | { kind: 'core'; from: string; toRevision: string; revisions: number; command: string }
  | {
      kind: 'manager';
      class: string;
      versionTable: string;
      from: string;
      toRevision: string;
      revisions: number;
      command: string;
    }
  | { kind: 'repair'; crossed: string[]; command: string }
  | VerifyStep;

/** The rows are compared with what they were, as far as the reversed scripts leave them alone. */
export interface VerifyStep {
  kind: 'verify';
  /** Core revisions that are reversed, the newest first; of managers by class. */
  crossed: string[];
  managers: Record<string, string[]>;
  /** Rows by id of the hazards that were found on the way; null: there are some, and they could not be counted. */
  counted: Record<string, number | null>;
  /** No row may be left that the older version can't read. */
  readable: boolean;
  command: string;
}

export type Blocker = Plan['blockers'][number];

/** A reason not to begin, with the sentence that says what a person can do. */
export function blocker(reason: Reason, message: string): Blocker {
  return { reason, message };
}
