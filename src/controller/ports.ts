/**
 * What the controller needs of the world, split into looking and acting: only a function of Writes can change anything,
 * so a test that wraps every one of them has found every write there is.
 */
import type { DigestAnswer, RegistryAnswer } from '../release/airflow/images.ts';
import type { DowngradeObject } from '../release/kubernetes/downgrade.ts';
import type { DatabaseState, Session } from '../release/model/database.ts';
import type { Learned, Owner } from '../release/model/image.ts';
import type { JobObject, PodObject, PodTemplate, WorkloadObject } from '../release/model/kubernetes.ts';
import type { Mode, Rules, SnapshotWay } from '../release/model/policy.ts';
import type { BackupObject, Trial } from '../release/model/release.ts';
import type { RunStatus } from '../release/model/run.ts';
import type { Digests } from '../release/model/runner.ts';
import type { Workload } from '../release/model/workload.ts';

/** The copy of a run, by the name of its database. */
export interface CopyToDrop {
  name: string;
  /** Uid of the run. */
  run: string;
  /** The server it was made on; '' where that is not known. */
  cluster: string;
}

/** A template of a workload's history: kind/name as kubectl writes it, its number, its images. */
export interface StoredRollout {
  workload: string;
  /** Uid of that workload. */
  owner: string;
  revision: number;
  createdAt: string;
  images: string[];
  /** What its pods carry as pod-template-hash or controller-revision-hash; and container → image. */
  hash?: string;
  containers?: Record<string, string>;
}

export interface Reads {
  /** Deployments and StatefulSets of one namespace, live. */
  workloads(namespace: string): Promise<WorkloadObject[]>;
  /** As far as they are judged, see release/kubernetes/kept-fields.ts; those that ended and tell nothing any more are left out. */
  pods(namespace: string): Promise<PodObject[]>;
  /** One pod, whole; undefined when there is none. */
  pod(namespace: string, name: string): Promise<PodObject | undefined>;
  /** Maps each ReplicaSet of the namespace to the Deployment that owns it. */
  replicaSetOwners(namespace: string): Promise<Record<string, string>>;
  downgrades(namespace: string): Promise<DowngradeObject[]>;
  /** A Job; undefined when there is none. */
  job(namespace: string, name: string): Promise<JobObject | undefined>;
  /** Whether the gate's webhook configuration exists for this release, and says that it is that. */
  gateExists(namespace: string, release: string): Promise<boolean>;
  /** Dry-run CREATEs of a pod of each of these workloads; of a bare pod of the release where there is none. Never throws. */
  tryPods(namespace: string, release: string, workloads: readonly Workload[]): Promise<Trial[]>;
  /** Which rights a downgrade in this namespace would miss, as "create pods/exec". */
  missingRights(namespace: string): Promise<string[]>;
  /** The end of a container's log; `previous`: of the run of it before the one that is there. */
  podLog(namespace: string, pod: string, container: string, previous?: boolean): Promise<string>;
  /** What the newest warning event of a pod says, by its uid; undefined when there is none. */
  podWarning(namespace: string, uid: string): Promise<string | undefined>;
  /** Access modes of these volume claims; one that is not there, or may not be read, is missing. */
  claimModes(namespace: string, claims: readonly string[]): Promise<Record<string, string[]>>;
  /**
   * Texts of files in a container, in one exec; undefined where there is none. The last path is a pid file: its text
   * comes back only while that process lives. Throws when it can't be told.
   */
  runnerFiles(namespace: string, pod: string, container: string, paths: string[]): Promise<(string | undefined)[]>;
  /** Where the schema is, by the stored workload's own connection. Never throws: unreadable is an answer. */
  database(workload: WorkloadObject, container: string): Promise<DatabaseState>;
  /** Sessions on that database, without our own. */
  sessions(workload: WorkloadObject, container: string): Promise<Session[]>;
  /** What stands in the way of a backup that others make; [] when nothing is known to. */
  obstacles(way: SnapshotWay, source: { name: string; namespace: string }): Promise<string[]>;
  /** The object by which such a backup was asked for; undefined when there is none. */
  backupObject(way: SnapshotWay, namespace: string, name: string): Promise<BackupObject | undefined>;
  /** What was learned for this very release. */
  learnedImages(of: Owner): Promise<Learned[]>;
  /** Where the schema is, asked inside a running pod of the release, with the sessions it sees. Never throws. */
  askPod(namespace: string, pod: string, container: string): Promise<{ database: DatabaseState; sessions?: Session[] }>;
  /**
   * Digests of the settings by which a downgrade goes, keyed by `key`, as Airflow resolves them in a pod with the environment
   * of the Airflow that runs there, or with that of our runner. Never throws: a fault is an answer.
   */
  digestSettings(
    namespace: string,
    pod: string,
    container: string,
    of: 'airflow' | 'runner',
    key: string,
  ): Promise<{ told: Digests } | { fault: string }>;
  /** What the image's config in its registry says; undefined: not asked. Never throws. */
  registry(image: string, workload: WorkloadObject): Promise<RegistryAnswer>;
  /** Which digest the image's name has in its registry now; undefined: not asked. Never throws. */
  digest(image: string, workload: WorkloadObject): Promise<DigestAnswer>;
  /** The images of the main containers that Kubernetes' history has for each of these workloads, by kind/name. */
  ranBefore(namespace: string, workloads: readonly WorkloadObject[]): Promise<Record<string, string[]>>;
  /** What the DowngradePolicies say for a namespace. Throws while they, or the namespaces, are not known or not told anew. */
  policy(namespace: string): Promise<{ mode: Mode; rules: Rules }>;
  /** The same, asked of the API server itself. Throws an error with status 404 where the cluster has no such kind. */
  policyNow(namespace: string): Promise<{ mode: Mode; rules: Rules }>;
  /** The templates that the workloads of a namespace have had, by Kubernetes' own history. */
  rollouts(namespace: string): Promise<StoredRollout[]>;
  /** Pod templates from before the hold, by kind/name; one that is not known any more, or of no image that is, is missing. */
  templatesBefore(
    namespace: string,
    workloads: readonly WorkloadObject[],
    known: readonly string[],
  ): Promise<Record<string, PodTemplate>>;
}

export interface Writes {
  /** There already is fine, as long as it is the same request and not over. */
  createDowngrade(object: DowngradeObject): Promise<void>;
  /**
   * Merge patch of the status, bound to the version that was read: changed since, by a person or by another leader, it is a
   * conflict (an error with status 409). Answers the new version.
   */
  patchDowngradeStatus(
    namespace: string,
    name: string,
    status: Record<string, unknown>,
    read: { resourceVersion?: string },
  ): Promise<string | undefined>;
  /** Bound to what was read: changed since is a conflict. Gone already is fine. */
  deleteDowngrade(namespace: string, name: string, read: { uid: string; resourceVersion?: string }): Promise<void>;
  /** The pod as it was stored; undefined where there is another of that name. */
  createPod(pod: PodObject): Promise<PodObject | undefined>;
  /** Deletes by uid, with the pod's own grace. Gone already is fine. */
  deletePod(namespace: string, name: string, uid: string): Promise<void>;
  /** Takes our scheduling gate off. */
  ungatePod(namespace: string, name: string, uid: string): Promise<void>;
  /** Merge patch of labels (null takes one off), bound to the uid. */
  labelPod(namespace: string, name: string, uid: string, labels: Record<string, string | null>): Promise<void>;
  /** Merge patch; carries metadata.resourceVersion, so a change in between is a conflict. */
  patchWorkload(workload: WorkloadObject, patch: Record<string, unknown>): Promise<void>;
  /** Puts a whole pod template back; a change in between is a conflict. */
  restoreTemplate(workload: WorkloadObject, template: PodTemplate): Promise<void>;
  createGate(namespace: string, release: string): Promise<void>;
  /** Leaves a configuration that does not say that it is this release's gate. */
  deleteGate(namespace: string, release: string): Promise<void>;
  /** Deletes by uid, with its pods. Gone already is fine. */
  deleteJob(namespace: string, name: string, uid: string): Promise<void>;
  /** Writes a file in a container, whole or not at all. */
  writeFile(namespace: string, pod: string, container: string, path: string, text: string): Promise<void>;
  /** Starts a command in a container that outlives the stream. */
  startDetached(namespace: string, pod: string, container: string, command: string[]): Promise<void>;
  /** Drops what an earlier run left, by the stored workload's own connection. Throws CopyKept with why it stays. */
  dropCopy(workload: WorkloadObject, container: string, copy: CopyToDrop): Promise<void>;
  /** Asks for a backup by others. There already is fine. Throws BackupRefused when the API server does not take it. */
  createBackup(object: BackupObject): Promise<void>;
  /** Keeps it for its release, in place of what was learned by that name before. */
  learnImage(learned: Learned): Promise<void>;
  /** Forgets what was learned of an image reference for one release. */
  forgetImage(of: Owner, image: string): Promise<void>;
  event(event: {
    object: { apiVersion: string; kind: string; namespace: string; name: string; uid?: string };
    type: 'Normal' | 'Warning';
    reason: string;
    message: string;
  }): Promise<void>;
}

export interface ActSettings {
  /** Where the reverse scripts run. */
  runner: 'Copy' | 'OldPod';
  /** argv of the programs of src/inside that are run in pods of ours. */
  commands: { probe: string[]; triggers: string[]; runner: string[] };
  /** Fencing token of this leadership. */
  token: number;
}

/** How an act reaches the world: it writes, and reads whole what it copies. */
export interface Ways {
  reads: Pick<Reads, 'pod' | 'downgrades'>;
  writes: Writes;
}

/** Keeps facts in the record of the run, bound to its version that the decision was made by. */
export type Recording = (status: Partial<RunStatus>) => Promise<void>;
