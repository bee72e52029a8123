/**
 * What a review needs of the world; main passes it in. All of it only looks: a review changes nothing (sideEffects: None).
 *
 * Every function takes the signal of the review's time budget and may be abandoned when that fires. What is known already is
 * told at once: a promise for each would be a good part of what a review costs.
 */
import type { DigestAnswer, RegistryAnswer } from '../release/airflow/images.ts';
import type { DatabaseState } from '../release/model/database.ts';
import type { ImageKnowledge, Owner } from '../release/model/image.ts';
import type { WorkloadObject } from '../release/model/kubernetes.ts';
import type { Mode } from '../release/model/policy.ts';
import type { ReturnedRun, Run } from '../release/model/run.ts';

/** What may be known already. */
export type Told<T> = T | Promise<T>;

export interface Ports {
  /** The Deployment or StatefulSet as the API server has it stored, before this change; undefined when there is none. */
  storedWorkload(
    kind: 'Deployment' | 'StatefulSet',
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Told<WorkloadObject | undefined>;
  /** The stored Deployments and StatefulSets of a release, `kind` filled in; [] when there are none. */
  releaseWorkloads(namespace: string, release: string, signal: AbortSignal): Told<WorkloadObject[]>;
  /** Where the schema is, by that stored workload's own connection. */
  database(workload: WorkloadObject, container: string, signal: AbortSignal): Promise<DatabaseState>;
  /** The release's unfinished Downgrade. */
  run(namespace: string, release: string, signal: AbortSignal): Told<Run | undefined>;
  /** The release's last Downgrade, if it was returned by a person or the policy and none is under way. */
  returned(namespace: string, release: string, signal: AbortSignal): Told<ReturnedRun | undefined>;
  /** What images have told of themselves, for this very release; nothing that was told elsewhere. */
  learnedImages(of: Owner, signal: AbortSignal): Told<readonly ImageKnowledge[]>;
  /** Which digest the image's name has in its registry now; undefined: not asked. */
  digest(image: string, workload: WorkloadObject, signal: AbortSignal): Promise<DigestAnswer>;
  /** The images that Kubernetes' own history has for a stored workload, read live. */
  ranBefore(workload: WorkloadObject, signal: AbortSignal): Promise<string[]>;
  /** What the image's config in its registry says, with the pull secrets of that stored workload; undefined: not asked. */
  registry(image: string, workload: WorkloadObject, signal: AbortSignal): Promise<RegistryAnswer>;
  /** What the DowngradePolicies say for a namespace. */
  policy(namespace: string, signal: AbortSignal): Told<{ mode: Mode; by: string[] }>;
  /** Rights for a downgrade that we lack in a namespace, in words; [] when none is missing. */
  missingRights(namespace: string, signal: AbortSignal): Promise<string[]>;
  /** The name under which the API server knows downdraft's own writes. */
  ownAccount(signal: AbortSignal): Promise<string>;
  /** Why this replica can't judge yet, for /readyz; undefined when it can. */
  notReady(): string | undefined;
  /** Whether the API server is told to ask us; false: our webhook configurations are gone. Missing: not told. */
  guarded?(): boolean;
  now(): Date;
  /** Takes what callers are not told, for our own log. The server gives each review one. */
  unsaid?(detail: string): void;
  settings: {
    /** Callers have shown a certificate of the API server's: they may be told everything. */
    callersKnown: boolean;
    /** Repositories of images whose tag is the Airflow version. */
    repositories: readonly string[];
    /** Time for everything that leaves the process, per review. Shorter than the webhook's own timeoutSeconds. */
    budgetMs: number;
  };
}
