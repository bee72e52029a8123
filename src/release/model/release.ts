/**
 * The snapshot: what was observed of one release, in our words, frozen before anything is decided.
 *
 * A release is one installed instance of a chart: its workloads, their pods and one metadata database.
 */
import type { DatabaseState, Session } from './database.ts';
import type { ImageKnowledge, ImageUnknown, Learned } from './image.ts';
import type { JobObject, Metadata, PodTemplate } from './kubernetes.ts';
import type { Mode, Rules, SnapshotWay } from './policy.ts';
import type { Proof, Run } from './run.ts';
import type { ProbeState, RunnerState, TriggersState } from './runner.ts';
import type { Pod, ProfileName, Workload } from './workload.ts';

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

/** One template that a workload has had, and what was in it. */
export interface Rollout {
  /** kind/name, as kubectl writes it. */
  workload: string;
  /** Kubernetes' own number: a template that is taken up again gets a new one and keeps the time it was made. */
  revision: number;
  createdAt: string;
  images: { image: string; version?: string }[];
}

/** After how long a person is asked to decide. */
export interface Patience {
  /** Without any movement. */
  noProgressMinutes: number;
  /** Of one step, though it moves. */
  longStepMinutes: number;
}

export const defaultPatience: Patience = { noProgressMinutes: 30, longStepMinutes: 120 };

/** What stands in the way of each of them that the policy wants; [] when nothing is known to. */
export type Outlook = Partial<Record<SnapshotWay, string[]>>;

/** A database that an earlier run left and that is due to be dropped. */
export interface Expired {
  /** Name of the Downgrade. */
  run: string;
  uid: string;
  database: string;
  /** The server it is on; '' where that is not known. */
  cluster: string;
  /** A whole copy, or what was put aside for one; else one that was only begun. */
  verified: boolean;
  /** Of the Downgrade, as it was read. */
  resourceVersion?: string;
  /** Why it could not be dropped, when that was tried. */
  failure?: string;
}

/** A finished record that is not needed any more, as it was read. */
export interface Surplus {
  run: string;
  uid: string;
  resourceVersion?: string;
}

/** A VolumeSnapshot or Backup as the API server stores it. */
export interface BackupObject {
  apiVersion: string;
  kind: string;
  metadata: Metadata & { namespace: string };
  spec: Record<string, unknown>;
  status?: Record<string, unknown>;
}

/** How the pod of one workload came back. */
export interface Trial {
  /** deployment/af-scheduler, as kubectl names it. */
  workload: string;
  /** Which of the gate's selectors catches it. */
  profile: Workload['profile'];
  /** Our webhook was asked: the pod came back with our gate, or a later rule refused it and our warning came along. */
  gated: boolean;
  /** Why it was not taken, in the API server's words. */
  refused?: string;
  /** Refused for want of room in a quota, which the drain itself makes. */
  noRoom?: boolean;
}

/** What is looked at before a gate is written; nothing where it is not looked at. */
export interface Admission {
  trials: Trial[];
  /** Rights that a downgrade here would miss, as "create pods/exec". */
  missingRights: string[];
}
