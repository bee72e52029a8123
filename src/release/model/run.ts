/** A run: one Downgrade object in our words, and what its record keeps. */
import type { ImageKnowledge } from './image.ts';
import type { Plan } from './plan.ts';
import type { BackupWay, DumpPlace, Rules } from './policy.ts';
import type { Progress, TakeUp } from './runner.ts';

/** One unfinished Downgrade object, in our words. */
export interface Run {
  name: string;
  uid: string;
  generation: number;
  release: string;
  /** Desired image. */
  to: string;
  spec: RunSpec;
  /** What the record shows; only compared, to see whether it must be shown anew. */
  shownPhase: string;
  createdAt: string;
  /** Of the object that was read: whatever is written is bound to it. */
  resourceVersion?: string;
  status: RunStatus;
}

/** What people write into a Downgrade; the right to do so is checked at admission. */
export interface RunSpec {
  /** Hash of the plan that is agreed to. */
  approved?: string;
  approvedUntil?: string;
  abort?: boolean;
  /** Rows that are not as they were are told, and stop nothing. */
  acceptRows?: boolean;
  /** `copyAgain`: the copy that failed is tried again; how often it had failed when that was asked. */
  backup?: { reference?: string; waivedBy?: string; copyAgain?: number };
}

/** Who asked for the return: a person, the workloads that ask for the newer image again, or the policy. */
export type ReturnBy = 'Abort' | 'Wish' | 'Failure';

/** Facts and intents that the record keeps. The phase is derived from them and never read back. */
export interface RunStatus {
  /** Image, digest and version that ran when the change was held. */
  from?: { image: string; imageID?: string; version?: string };
  toVersion?: string;
  /** The pods that were made for this run; no other is believed. */
  pods?: Partial<Record<PodPart, OwnPod>>;
  /** Ends the names of further pods, once somebody else's had the name of one of ours. */
  podMark?: string;
  /** What the probe learned of the target image, in this run. */
  target?: ImageKnowledge;
  /** What the target said of the triggers that it was asked about, in this run. */
  triggers?: TakeUp[];
  /** Fingerprints of the target's Fernet keys; missing when the probe could not tell. */
  targetKeys?: string[];
  /** Since when a version newer than the target has run here. */
  newerSince?: NewerSince;
  /** What came of comparing the copy with the pod that it was made of. */
  proof?: Proof;
  plan?: Plan;
  /** The gate before it is proved to be in force; `failedAt`: it could not be, and is taken away until the next try. */
  gating?: Gating | null;
  drainStartedAt?: string | null;
  /** The rules in force when it was drained; by them the run goes on (frozen.ts). */
  rules?: Rules;
  drainedAt?: string | null;
  backup?: Backup;
  /** What the rows were before the schema step. */
  counted?: Counted | null;
  schemaStartedAt?: string;
  /** All version tables when the schema step began: where the return ends. */
  before?: Record<string, string[]>;
  /** Fencing token of the last orders. */
  token?: number;
  progress?: Progress | null;
  failure?: Failure | null;
  verifiedAt?: string;
  /** What was read when it was verified. */
  versionTables?: Record<string, string[]>;
  /** What came of comparing the rows, for people. */
  compared?: string;
  returnStartedAt?: string;
  returnBy?: ReturnBy;
  returnedAt?: string;
  resumeStartedAt?: string;
  completedAt?: string;
  outcome?: 'Downgraded' | 'Returned' | 'Canceled' | 'NotNeeded';
  outageSeconds?: number;
}

/** Rows by schema.table while nobody wrote, after one drain. */
export interface Counted {
  /** The drain: its time. */
  of: string;
  /** A list, since a merge patch replaces lists whole. Missing with `why`. */
  rows?: [table: string, rows: number][];
  /** Tables that could not be counted, and why. */
  uncounted?: [table: string, why: string][];
  why?: string;
}

export interface Gating {
  since: string;
  failedAt?: string | null;
  failure?: string | null;
  /** How often it could not be proved. */
  tries?: number;
}

/** What the runner said when a step failed. */
export interface Failure {
  /** The runner's word for its kind. */
  reason: string;
  message: string;
  at: string;
}

/** How the database as it was is kept. */
export interface Backup {
  way: BackupWay | 'None';
  /** Of a copy: its database. Of a dump: its folder. Of those that others make: their object. */
  name?: string | null;
  /** Of an object: where it is. */
  namespace?: string | null;
  /** Of a dump: the volume, which the runner must have again on a return, and the path in the runner. */
  volume?: DumpPlace | null;
  path?: string | null;
  /** Of the others: what a person named. */
  named?: string | null;
  startedAt: string;
  /** Why it could not be made. */
  failure?: string | null;
  /** How often making it has failed, by whatever way. */
  tries?: number;
  /** Why each way that was tried in this run could not be taken. */
  failed?: Partial<Record<BackupWay, string>>;
  /** The database of a copy that was begun before another way was taken. */
  left?: string;
  /** From then on it counts; a person's word does at once. */
  verifiedAt?: string | null;
  /** The release served again since it was made: it is dropped and made anew. */
  stale?: boolean | null;
  bytes?: number | null;
  tables?: number | null;
  rows?: number | null;
  /** Until then the copy, or what was put aside for it, is kept. */
  keepUntil?: string | null;
  /** When dropping it was tried in vain; `failure` says why. */
  triedAt?: string;
  /** When it was taken away. */
  droppedAt?: string;
}

/** `at` is missing when it can't be told; with `orBefore` the history may be cut off there. */
export interface NewerSince {
  at?: string;
  orBefore?: boolean;
}

/** A change that was returned: the same one would only do it all again. */
export interface ReturnedRun {
  name: string;
  to: string;
  /** By a person; else by the policy, after a failure. */
  aborted: boolean;
}

/** What a pod is for. */
export type PodPart = 'probe' | 'triggers' | 'runner';

/** A pod as the API server stored it when it was made. */
export interface OwnPod {
  name: string;
  uid: string;
  /** Of its main container; cluster operators may have it rewritten at admission. */
  image: string;
  /** Of a copy: the old pod that it was made of. */
  copied?: CopiedPod;
}

/** What tells an old pod from others, and its like: the workload that owns it, and its image. */
export interface CopiedPod {
  uid: string;
  owner?: string;
  digest?: string;
}

/** What came of comparing a copy with the pod that it was made of. */
export interface Proof {
  /** Uid of the copy, and its name. */
  of: string;
  copy: string;
  /** The old pod that answered. */
  pod?: string;
  /** Settings that are others in the copy: [] is the proof. Missing where it is not known. */
  differ?: string[];
  /** Why it is not known. */
  why?: string;
}
