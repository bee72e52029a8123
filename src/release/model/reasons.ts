/**
 * Every reason that a person can meet and every sentence they read, in one place. A reason is CamelCase and stable; a
 * sentence may change. Each says what, what was seen, what is needed and what to do. The table in manifests/REASONS.md is
 * made of `reasons` and of cures.ts.
 */

/** Where a reason is met: the answer to a request, or a condition of the Downgrade. */
type Where = 'allow' | 'hold' | 'deny' | 'run';

export const reasons = {
  NotAirflow: ['allow', 'not a workload of Airflow that uses the database'],
  SameImage: ['allow', 'neither an image nor the connection changed'],
  NewRelease: ['allow', 'nothing of the release is stored yet; the controller looks at it once it is'],
  NotKnownYet: [
    'allow',
    'a new workload of which nothing certain is known; the controller looks at it once it is stored',
  ],
  Observed: ['allow', 'it would have been held or denied, but the DowngradePolicy only observes'],
  NothingHeld: ['allow', 'a Job of a release of which nothing is held'],
  NewDatabase: ['allow', 'the database is empty: nothing could be harmed'],
  Fits: ['allow', 'the database is where the image needs it'],
  PreviousImage: ['allow', 'the image that ran before the hold is requested again'],
  Resumed: ['allow', 'downdraft itself takes a hold off: the database is where the image needs it'],
  Upgrade: ['allow', "the database is behind the image: the release's own migration Job takes it forward"],
  DatabaseAhead: ['hold', 'the database is ahead of the image: it is downgraded first'],
  ProviderAhead: ['hold', "a provider's schema is ahead of what the image enforces: it is downgraded first"],
  ImageUnknown: ['hold', "the image's Airflow version or provider schemas are not known: the image is asked"],
  RevisionUnknown: ['hold', 'the database is at a revision that is in no release we know: the running image is asked'],
  DatabaseUnreadable: ['hold', 'the database could not be read: the old pods keep serving, downdraft goes on trying'],
  ConnectionChanged: ['hold', 'the change names another database, which is checked once the change is stored'],
  VersionTableEmptied: ['deny', 'alembic_version is empty or gone although tables of Airflow exist'],
  SeveralHeads: ['deny', 'a version table holds several heads'],
  TargetTooOld: ['deny', 'the target is below Airflow 2.7.0'],
  NotAnAncestor: ['deny', "the target's head is no ancestor of the database's revision"],
  ImagesDisagree: ['deny', 'the containers of one pod need different schemas: it could never start'],
  PodsNotLabelled: ['deny', 'the pods do not carry the label downdraft.dev/release, so they could not be held'],
  PolicyDenies: ['deny', 'the DowngradePolicy of the namespace forbids downgrades'],
  RightsMissing: ['deny', "downdraft's own rights do not suffice for a downgrade here"],
  MigrationHookFirst: [
    'deny',
    'the migration Job is a pre-upgrade hook: it would wait for a downgrade that waits for it',
  ],
  DowngradeUnderWay: ['deny', 'the schema step has begun: no other version can be asked for until the run is over'],
  NewerImageRequested: [
    'hold',
    'the newer image is requested again in the middle of the schema step: the database returns first',
  ],
  ReturnedBefore: ['deny', 'the same downgrade was aborted, or failed and was returned: someone has to decide first'],
  HoldRemoved: ['deny', 'another admission webhook took the hold off again'],
  WaitingForWorkloads: ['run', 'some workloads of the release still ask for another version'],
  ProbeRunning: ['run', 'the target image is being asked for its heads and providers'],
  TargetImageNotStarted: [
    'run',
    'the target image could not be pulled, did not start or, for 5 minutes, did not answer: nothing was touched',
  ],
  RunnerStarting: ['run', 'the runner, a copy of an old pod, is starting'],
  RunnerNotStarted: ['run', 'the runner could not be started: nothing was touched'],
  NoOldPod: ['run', 'no pod of the version that has the reverse scripts is there to copy'],
  RowsUnreadable: ['run', 'rows that the older version cannot read, and that cannot be converted'],
  PausedByOwner: [
    'run',
    'a Deployment was paused, or a StatefulSet has a partition, by its owner: newer pods would stay',
  ],
  ScriptWouldFail: ['run', 'a reverse script would stop on rows that are there, or harm them'],
  AwaitingApproval: ['run', 'someone has to agree to the plan; nothing was touched'],
  BackingUp: ['run', 'a backup of the database is made'],
  OtherDatabase: ['run', 'the workloads name another database than the one that the old pods use'],
  SettingsDiffer: [
    'run',
    'a copy of an old pod sees other settings than the Airflow that runs in it, and the runner can live in no old pod',
  ],
  PolicyUnknown: ['run', 'what the DowngradePolicies say is not known just now: nothing is begun until it is'],
  TagMoved: ['run', 'a tag was pushed again: its image is no longer the one that was asked (an event of the workload)'],
  PodNotOurs: [
    'run',
    'a pod has a name or labels of ours and is not in the record of the run: it is not believed (an event)',
  ],
  KnowledgeNotStored: ['run', 'what an image said could not be kept for later changes (an event of the workload)'],
  ProviderNotReversible: ['run', "a provider's schema is ahead and has no reverse scripts"],
  Blocked: ['run', 'the next act was refused, for example by a missing right or a quota; it is tried again'],
  GateNotProven: ['run', 'that every new pod of the release would be gated can not be proved: no pod is ended'],
  MigrationRunning: [
    'run',
    "a migration Job, an init container or an image's entry point takes the database up: it is never ended by the drain",
  ],
  MigrationHeld: [
    'run',
    'a gated migration Job of an image that is not known to fit is not let go (an event of its pod)',
  ],
  LongMigration: ['run', 'that migration has run for long: someone has to decide'],
  Draining: ['run', 'the old pods are being ended'],
  PodNotTerminating: ['run', 'a pod does not end long after its grace: its node is gone, or a finalizer keeps it'],
  SessionsRemain: ['run', 'other sessions are still on the database'],
  Downgrading: ['run', 'the runner takes the schema back'],
  NoProgress: ['run', 'nothing of the step that runs was seen to progress for long: someone has to decide'],
  LongStep: ['run', 'one step has run for long, and it makes progress: someone has to decide'],
  Late: ['run', 'a step has outrun its estimate (a condition of its own, and an event)'],
  DowngradeFailed: ['run', 'a step failed: the release stays drained and the database where it is'],
  Converting: ['run', 'rows are rewritten to the form that the older version reads'],
  Returning: ['run', 'the newer version is requested again: the database returns to where it was'],
  ReturnFailed: ['run', 'the return to the newer version failed: the release stays drained'],
  Verifying: [
    'run',
    'the heads in the database are compared with what the target image needs, and the rows with what they were',
  ],
  Resuming: ['run', 'the hold is off; the pods of the target are awaited'],
  TargetNotReady: [
    'run',
    'pods of the older version do not start, or crash, although the database is where they need it',
  ],
  Downgraded: ['run', 'the release runs on the older version'],
  Returned: ['run', 'the release runs on the newer version again, and the database is as it was'],
  Canceled: ['run', 'the request was withdrawn, or the release is gone; nothing was downgraded'],
  NotNeeded: ['run', 'no downgrade is needed after all: the database fits, or the policy only observes'],
} as const satisfies Record<string, readonly [Where, string]>;

export type Reason = keyof typeof reasons;

/** API servers cut a warning at 256 characters and advise 120. */
const warningLimit = 256;

/** Cuts a sentence to `limit` characters, marking the cut. */
export function shorten(text: string, limit = warningLimit): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}
