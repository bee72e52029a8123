/** The parts of a world in memory, and what can be done to it. */
import type { Reads, StoredRollout, Writes } from '../../src/controller/ports.ts';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import type { DatabaseState, Session } from '../../src/release/model/database.ts';
import type { ImageKnowledge } from '../../src/release/model/image.ts';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import type { Mode, Rules } from '../../src/release/model/policy.ts';
import type { BackupObject, Outlook } from '../../src/release/model/release.ts';
import type { Digests, WaitingTrigger } from '../../src/release/model/runner.ts';

export interface World {
  reads: Reads;
  writes: Writes;
  workloads: WorkloadObject[];
  pods: PodObject[];
  downgrades: DowngradeObject[];
  gates: Set<string>;
  /** The API server does not take the gate up, or nobody answers at its door. */
  gateBroken: boolean;
  /** Why the API server takes no new pod of a workload. */
  refusesPods: (workload: WorkloadObject) => string | undefined;
  rightsMissing: string[];
  /** What was learned, by image; the store of a world serves one release. */
  learned: Record<string, ImageKnowledge>;
  /** The registry's digest of a name can't be had. */
  registryLost: boolean;
  events: { reason: string; message: string; about: string }[];
  /** Images that can't be pulled. */
  broken: Set<string>;
  /** Image reference → Airflow version in it, where its tag does not tell. Changing it is pushing the tag anew. */
  contents: Record<string, string>;
  /** The registry says which Airflow is in an image. */
  registryTells: boolean;
  /** Rows in the new form that the runner finds when it looks. */
  unreadableRows: number;
  /** Rows that none of the runner's keys opens. */
  undecipherable: number;
  /** What waits for a trigger. */
  triggers: WaitingTrigger[];
  /** Classes of triggers that no image has. */
  missing: Set<string>;
  /** Copies of databases on the server: the version tables in them. */
  copies: Record<string, Record<string, string[]>>;
  /** Why the server can't copy. */
  copyImpossible: string | undefined;
  /** The next copy fails with this. */
  copyFails: string | undefined;
  /** Dumps on the volume claim, by folder: the version tables in them. */
  dumps: Record<string, Record<string, string[]>>;
  /** Why the runner can't dump; undefined where it has the volume and can. */
  dumpImpossible: string | undefined;
  /** Volume claims that are not there: a pod with one can't be scheduled. */
  claimsMissing: Set<string>;
  /** Access modes of volume claims, and the newest warning of a pod, by its uid. */
  claimModes: Record<string, string[]>;
  warnings: Record<string, string>;
  /** Why the API server takes no pod of ours like this one; undefined where it does. */
  admits: (pod: PodObject) => string | undefined;
  /** A mesh's proxy goes on in every pod, whose phase never ends. */
  meshed: boolean;
  /** What a mirror's webhook makes of the name of an image in a pod. */
  mirror: (image: string) => string;
  /** VolumeSnapshots and Backups that were asked for, and the status that their maker writes. */
  backups: BackupObject[];
  maker: ((object: BackupObject) => Record<string, unknown>) | undefined;
  /** What stands in the way of either, and why the API server takes none. */
  outlook: Outlook;
  refuses: string | undefined;
  /** Why the server can't drop a copy. */
  copyKept: string | undefined;
  /** The next step that the runner begins fails with this. */
  stepFails: string | undefined;
  /** Counting the rows fails with this. */
  countFails: string | undefined;
  /** Rows by table; `lostRows`: those that are otherwise after the schema step. */
  rows: Record<string, number>;
  lostRows: Record<string, number>;
  /** Pods that crash as soon as they start, and what they print. */
  crashing: Set<string>;
  lastLog: string;
  /** Templates that the workloads have had. */
  history: StoredRollout[];
  /** Pods of Jobs that do not end by themselves. */
  busy: Set<string>;
  /** Pods that a finalizer keeps, however often they are deleted. */
  stuck: Set<string>;
  /** Whoever ran a main container of this image while the database was not at its head. */
  harm: string[];
  /** The database of the Secrets af-metadata and af-config-envs. */
  database: DatabaseState;
  /** The others, by the Secret with the connection; one is made for a Secret that is not there. */
  databases: Record<string, DatabaseState>;
  backend: string;
  /** Why no database can be read from outside. */
  outside: string | undefined;
  sessions: Session[];
  /** Pods of a newer image wait for the migration, which then is done. */
  migrates: boolean;
  /** What was dialled: `database af-metadata`, `pod af-scheduler-1`, `registry acme/airflow@sha256:…`. */
  dialled: string[];
  /** What the process in a pod was told, by setting, or why it does not tell. */
  settings: (pod: PodObject, of: 'airflow' | 'runner') => Partial<Digests> | string;
  /** With which keys pods were asked for digests. */
  keys: string[];
  /** What the namespace's DowngradePolicy says. */
  mode: Mode;
  rules: Rules;
  now: Date;
  tick(): void;
}
