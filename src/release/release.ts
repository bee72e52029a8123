/**
 * The snapshot: what was observed of one release, in our words, frozen before anything is decided.
 *
 * A release is one installed instance of a chart: its workloads, their pods and one metadata database.
 */
import type { Rollout } from './age.ts';
import type { Inspection, Progress } from './inspection.ts';
import type { Learned } from './keeping.ts';
import type { JobObject, PodObject, PodTemplate, WorkloadObject } from './objects.ts';
import type { Patience, ServerActivity } from './pace.ts';
import type { Outlook } from './places.ts';
import type { ProfileName } from './profiles.ts';
import type { Proof } from './proof.ts';
import type { Expired, Surplus } from './retention.ts';
import type { Rules } from './rules.ts';
import type { Run } from './run.ts';
import type { BackupObject } from './snapshots.ts';
import type { Admission } from './trials.ts';
import type { TakeUp } from './triggers.ts';

/**
 * What is known of an Airflow image. `source` says how: a probe has run the image, tag and registry are its maker's word, an
 * annotation is that of whoever wrote it.
 */
export interface ImageKnowledge {
  image: string;
  source: 'probe' | 'tag' | 'registry' | 'annotation';
  version: string;
  /** The one core head of its scripts; missing when only a version is known that our table lacks. */
  coreHead?: string;
  /** The provider schemas that this image enforces at start; missing means not known, [] means none. */
  managers?: ManagerHead[];
  /** Kubelet's digest of what was probed. */
  imageID?: string;
  /** It was asked for the very change that is judged, so which providers it enforces is as the configuration says now. */
  fresh?: true;
}

/** Not knowing is a result of its own: never a direction. */
export interface ImageUnknown {
  image: string;
  source: 'unknown';
  why: string;
}

/** What a DowngradePolicy says for a namespace: hold a change that needs a downgrade, refuse it, or only say so. */
export type Mode = 'Hold' | 'Deny' | 'Observe';

export interface ManagerHead {
  class: string;
  versionTable: string;
  heads: string[];
}

export type DatabaseState = DatabaseRead | { state: 'unreadable'; why: string };

export interface DatabaseRead {
  state: 'read';
  /** Every table named alembic_version% in Airflow's schema, with all its rows. */
  versionTables: Record<string, string[]>;
  /** Whether tables of Airflow itself exist (told from an empty database). */
  airflowTables: boolean;
  identity: DatabaseIdentity;
}

/** Which database it really is, so that a step never runs on another one. */
export interface DatabaseIdentity {
  database: string;
  oid: string;
  cluster: string;
}

export interface Session {
  pid: number;
  user: string;
  application: string;
  client: string;
  state: string;
}

/** Undone by resume; written at admission into the annotation downdraft.dev/hold. */
export interface Hold {
  since: string;
  by: string;
  /** Main image before the first held change; '' where it is not known. */
  from: string;
  /** Fingerprint of the connection's environment before that change. */
  connection?: string;
  /** `gated`: the pod template got our scheduling gate, where no field stops new pods. */
  before: { paused?: boolean | null; partition?: number | null; gated?: boolean };
}

export interface Workload {
  kind: 'Deployment' | 'StatefulSet';
  namespace: string;
  name: string;
  release: string;
  component: string;
  /** Which chart's conventions it follows. */
  profile: ProfileName;
  /** The main container and the image it will run. */
  container: string;
  image: string;
  /** Images of all containers that open the database, the main one's first. */
  images: string[];
  /** Fingerprint of the environment that names the database. */
  connection: string;
  /** downdraft.dev/airflow-version, for images whose name does not say. */
  declaredVersion?: string;
  replicas: number;
  hold?: Hold;
  /** Whether the fields that hold it are really set. */
  stopped: boolean;
  /** All pods are of the desired template and Ready. */
  settled: boolean;
  object: WorkloadObject;
}

export interface Pod {
  name: string;
  uid: string;
  /** What made it: the workload, Job or nothing. */
  owner: { kind: string; name: string; uid?: string } | undefined;
  component: string;
  image: string;
  gated: boolean;
  terminating: boolean;
  /** Succeeded or Failed: it will not run again. */
  ended: boolean;
  /** `stray`: it says that it is our runner or probe, and is none that was made for the run. */
  role: 'airflow' | 'runner' | 'probe' | 'stray';
  object: PodObject;
}

/** The gate on every pod of a release that is being drained; `written` says why it is not known to be in force, `refused` that it can't be told. */
export type GateState = 'absent' | 'inForce' | { written: string; refused?: true };

export interface Release {
  namespace: string;
  name: string;
  profile: ProfileName;
  /** What the namespace's DowngradePolicy says; of a run that is drained, what its record keeps (frozen.ts). */
  mode: Mode;
  rules: Rules;
  /** Why that is not known just now; mode and rules are then the most careful ones. */
  policyUnknown?: string;
  /** Only workloads whose pods use the database. */
  workloads: Workload[];
  pods: Pod[];
  database: DatabaseState;
  images: Record<string, ImageKnowledge | ImageUnknown>;
  /** Images of which pods run another digest than the one that was asked. */
  moved: ImageKnowledge[];
  /** What was learned for this release and is of use now. */
  used: Learned[];
  run: Run | undefined;
  /** Names of its runs that are over. */
  past: readonly string[];
  gate: GateState;
  /** What dry runs and our own rights say of new pods here; only looked at before a gate is written. */
  admission: Admission;
  probe: ProbeState;
  triggers: TriggersState;
  runner: RunnerState;
  /** What came of comparing the copy that stands with the pod that it was made of; undefined once that is in the record. */
  proof: Proof | undefined;
  sessions: Session[];
  /** Why they could not be seen. */
  sessionsUnseen?: string;
  /** Pod templates from before the hold, by kind/name; only read when they are to be put back. */
  templates: Record<string, PodTemplate> | Unread;
  /** What ran before, from Kubernetes' own history; only read until the plan knows since when. */
  rollouts: Rollout[] | Unread;
  /** The end of what pods of the target printed that don't get Ready, by pod; only read while resuming. */
  lastLogs: Record<string, LastLog> | Unread;
  /** Jobs by name, of gated pods that do not fit; only read while the gate opens. */
  jobs: Record<string, JobObject>;
  /** Access modes of the volume claims that old pods mount, as far as they are known; only read while a runner is to start. */
  claims: Record<string, string[]>;
  /** What is known to stand in the way of backups that others make; only asked while a plan is made. */
  outlook: Outlook;
  /** The backup that was asked of others in this drain, as it is stored; undefined when there is none. */
  asked: BackupObject | undefined | Unread;
  /** What an earlier run left on the database's server and is due to be dropped. */
  expired: Expired | undefined;
  /** A record that nobody needs any more. */
  surplus: Surplus | undefined;
  /** After how long of a step a person is asked. */
  patience: Patience;
  now: Date;
}

/** It was not looked at in this look, so nothing follows from it: neither that it is there nor that it is not. */
export type Unread = 'unread';

/** The end of a container's log, or why it can't be had. */
export type LastLog = { read: string } | { unread: string };

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

export type { ChainLink, Inspection, Plan, PlanStep, Progress } from './inspection.ts';
export type { Backup, Counted, ReturnBy, Run, RunSpec, RunStatus } from './run.ts';
