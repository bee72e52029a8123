/** Workloads and pods of a release, as far as decisions need them. */
import type { PodObject, WorkloadObject } from './kubernetes.ts';

export const profileNames = ['official', 'community', 'labelled'] as const;
export type ProfileName = (typeof profileNames)[number];

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
