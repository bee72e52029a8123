/** What the running image told of itself, what was planned from it, and how far the runner is. */
import type { WhatWasFound } from './hazards.ts';
import type { DatabaseIdentity, DatabaseRead } from './release.ts';
import type { BackupWay } from './rules.ts';
import type { WaitingTrigger } from './triggers.ts';

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
  blockers: { reason: string; message: string }[];
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

/** Where the runner is, from its progress file. */
export interface Progress {
  step: number;
  steps: number;
  kind: string;
  done: number;
  of: number;
  revision: string;
  message: string;
}

/** What the running image says of its own scripts and of the database (src/inside/runner.py, inspect.json). */
export interface Inspection extends WhatWasFound {
  /** When it looked, ISO 8601, by the runner's own clock. */
  at: string;
  /** The steps that it can carry out; missing where the runner is an older one. */
  kinds?: string[];
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
    /** Tables of core that it takes for its own. */
    coreTables?: string[];
  }[];
  database: Omit<DatabaseRead, 'state'> & { backend: string };
  /** Rows that versions before 3.2 can't read. */
  rows: { table: string; column: string; count: number; examples: (string | number)[] }[];
  /** Those that can't be rewritten for them: no key opens them, or a class is missing. */
  unconvertible: { table: string; column: string; count: number; ids: string; why: string }[];
  /** What waits for a trigger; missing where the runner was an older one. */
  triggers?: WaitingTrigger[];
  /** Fingerprints of the running image's Fernet keys, the one that encrypts first; null when the environment gives none. */
  fernetKeys?: string[] | null;
  /** By table the number of rows that only a Fernet key opens; null where they could not be counted. */
  encrypted?: Record<string, number | null>;
  /** Whether the server can copy the database; missing where it is none of PostgreSQL. */
  copy?: { possible: boolean; why: string[]; notes: string[]; bytes: number };
  /** Whether a dump can be made; null, and missing in older records, where the runner has no volume for it. */
  dump?: {
    possible: boolean;
    why: string[];
    notes: string[];
    /** Such as "pg_dump 15.14"; null where there is none. */
    program: string | null;
    needBytes: number | null;
    freeBytes: number | null;
  } | null;
}

export interface ChainLink {
  revision: string;
  down: string | string[] | null;
}
