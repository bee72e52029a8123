/** What the pods of a downgrade answer: the contract with src/inside. */
import type { DatabaseRead } from './database.ts';
import type { ImageKnowledge } from './image.ts';

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

/** What the running image says of its own scripts and of the database (src/inside/downdraft/runner.py, inspect.json). */
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

/** What was found on the way down, of one row of src/inside/downdraft/inspect/hazards.json, with that row's own words. */
export interface FoundHazard {
  id: string;
  /** The revision whose reverse script has the effect. */
  crosses: string;
  effect: 'refuses' | 'breaks' | 'loses' | 'repaired' | 'unchecked';
  /** Of loses and breaks: the tables whose rows are counted, with the column where only that is lost. */
  tables?: string[];
  /** A sentence with {count}; for breaks and loses what it is that is counted. */
  what: string;
  remedy?: string;
  /** null: nothing to count, or, with `error`, not counted. */
  count: number | null;
  examples?: string[];
  error?: string;
}

/** The database's size, and its biggest tables; `rows` of a large one is the server's own estimate. */
export interface DatabaseSizes {
  databaseBytes: number;
  tables: { table: string; rows: number | null; bytes: number; estimated?: boolean }[];
}

/** Who could keep a step waiting: a prepared transaction (no pid), an idle session, the holder of a lock. */
export interface Obstacle {
  what: string;
  pid: number | null;
  user: string | null;
  application: string | null;
  seconds: number | null;
}

/** The part of an inspection that is looked at here; each is missing where the runner was an older one. */
export interface WhatWasFound {
  hazards?: FoundHazard[];
  sizes?: DatabaseSizes;
  /** Time limits of the role's sessions by their name in PostgreSQL, in milliseconds; 0 is none. */
  limits?: Record<string, number>;
  /** null: this kind of database doesn't tell. */
  obstacles?: Obstacle[] | null;
}

/** The part `server` of progress.json. Sizes in bytes since the revision began; what the role may not see is missing. */
export interface ServerActivity {
  state: 'working' | 'waiting' | 'still' | 'unknown';
  /** In this state. */
  seconds: number;
  /** Since something of ours was last seen to move. */
  quietSeconds: number;
  why?: string;
  /** What our active sessions wait for, in the server's words; `processor` when they compute. */
  events?: string[];
  pid?: number;
  /** The first words of our statement, without values. */
  statement?: string;
  statementSeconds?: number;
  part?: { what: string; percent: number | null; remainingSeconds?: number };
  /** Of the whole server. */
  wal?: number;
  databaseBytes?: number;
  locksNotGranted?: number | null;
  replicas?: { name: string; bytes: number | null }[];
  slots?: { name: string; active: boolean; bytes: number }[];
}

/** Where runner and controller exchange files, inside the container. */
export const runnerFolder = '/tmp/downdraft';

/** Under the names that Airflow's configuration has for them; host and credentials are those of the connection. */
export const digested = [
  'sql_alchemy_conn',
  'host',
  'credentials',
  'sql_alchemy_schema',
  'fernet_key',
  'auth_manager',
  'external_db_managers',
  'sql_engine_collation_for_ids',
] as const;

/** By setting; null where nothing is given. */
export type Digests = Record<(typeof digested)[number], string | null>;

/** What the running image found in its database (src/inside/downdraft/inspect/waiting.py). */
export interface WaitingTrigger {
  /** Path of the class; null for all that were too many to list. */
  class: string | null;
  /** Names of its arguments, sorted; null where they could not be read. */
  arguments: string[] | null;
  /** How many wait for triggers of this kind. */
  tasks: number;
  watchers: number;
  callbacks: number;
}

/** A class and the names of its arguments. */
export interface AskedTrigger {
  class: string;
  arguments: string[];
}

/** What the target image said of one (src/inside/downdraft/triggers.py); with nothing but the question in it, it takes it up. */
export interface TakeUp extends AskedTrigger {
  /** Why its class can't be imported there. */
  lacks?: string;
  /** Arguments that the class does not take there. */
  refuses?: string[];
  /** Arguments without which it can't be made there. */
  needs?: string[];
  /** Why it can't be told. */
  notKnown?: string;
}

/** The pod that asks the target image; its answer is kept in the run. */
export type ProbeState =
  | { state: 'absent' }
  | { state: 'starting'; message: string }
  | { state: 'failed'; message: string; at: string }
  | { state: 'told'; knowledge: ImageKnowledge; fernetKeys?: string[] };

/** The pod that asks the target image about the triggers that it was not asked about yet. */
export type TriggersState =
  | { state: 'absent' }
  | { state: 'waiting'; message: string; since: string }
  | { state: 'failed'; message: string }
  | { state: 'told'; takeUps: TakeUp[] };

/** The pod in which the reverse scripts run: a copy of an old pod, or an old pod itself. */
export type RunnerState =
  | { state: 'absent' }
  | { state: 'starting'; message: string }
  | { state: 'failed'; message: string; at: string }
  | {
      state: 'ready';
      pod: string;
      container: string;
      image: string;
      imageID?: string;
      inspection: Inspection;
      progress?: RunnerProgress;
      result?: RunnerResult;
    };

/** All times are seconds of the runner's own clock. */
export interface RunnerProgress extends Progress {
  token: number;
  run: string;
  at?: number;
  /** When the step began, and the revision that runs. */
  begun?: number;
  since?: number;
  server?: ServerActivity;
  blockedBy?: string[];
  /** Run of other orders that the runner has seen and takes up when these end. */
  newer?: string;
}

export type RunnerResult = { token: number; run: string } & (
  | { ok: true; versionTables: Record<string, string[]>; facts?: (Record<string, unknown> | null)[] }
  | { ok: false; error: { kind: string; message: string }; versionTables: Record<string, string[]> }
);
