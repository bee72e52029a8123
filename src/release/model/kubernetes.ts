/**
 * The few fields of Kubernetes objects that a decision needs, in the API's own names.
 * Structural on purpose: what a review carries, what the client reads and what a test builds all fit.
 */

export interface Metadata {
  name: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  generation?: number;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
}

export interface EnvironmentVariable {
  name: string;
  value?: string;
  valueFrom?: {
    secretKeyRef?: { name?: string; key: string; optional?: boolean };
    configMapKeyRef?: { name?: string; key: string; optional?: boolean };
    [other: string]: unknown;
  };
}

export interface EnvironmentSource {
  prefix?: string;
  secretRef?: { name?: string; optional?: boolean };
  configMapRef?: { name?: string; optional?: boolean };
}

export interface ContainerSpec {
  name: string;
  image?: string;
  env?: EnvironmentVariable[];
  envFrom?: EnvironmentSource[];
  restartPolicy?: string;
  volumeMounts?: { name: string; [other: string]: unknown }[];
  [other: string]: unknown;
}

export interface PodSpec {
  containers: ContainerSpec[];
  initContainers?: ContainerSpec[];
  ephemeralContainers?: { name: string; image?: string }[];
  imagePullSecrets?: { name?: string }[];
  serviceAccountName?: string;
  schedulingGates?: { name: string }[];
  volumes?: { name: string; [other: string]: unknown }[];
  nodeName?: string;
  terminationGracePeriodSeconds?: number;
  [other: string]: unknown;
}

export interface PodTemplate {
  metadata?: Partial<Metadata>;
  spec: PodSpec;
}

/** Of a Job that somebody else made, only what tells whose it is. */
export interface JobObject {
  metadata: Partial<Metadata>;
  spec?: { template?: PodTemplate };
}

export interface WorkloadObject {
  apiVersion?: string;
  kind?: string;
  metadata: Metadata;
  spec: {
    replicas?: number;
    paused?: boolean;
    selector?: unknown;
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number; [other: string]: unknown } };
    template: PodTemplate;
    [other: string]: unknown;
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    currentRevision?: string;
    updateRevision?: string;
    [other: string]: unknown;
  };
}

export interface ContainerStatus {
  name: string;
  image?: string;
  imageID?: string;
  ready?: boolean;
  restartCount?: number;
  state?: {
    waiting?: { reason?: string; message?: string };
    running?: { startedAt?: string };
    terminated?: { exitCode: number; reason?: string; message?: string };
  };
  lastState?: { terminated?: { exitCode: number; reason?: string; message?: string } };
}

export interface PodObject {
  apiVersion?: string;
  kind?: string;
  metadata: Metadata;
  spec: PodSpec;
  status?: {
    phase?: string;
    podIP?: string;
    reason?: string;
    message?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

export const annotation = {
  hold: 'downdraft.dev/hold',
  version: 'downdraft.dev/airflow-version',
  /** Name of the main container, where the label downdraft.dev/release is used and no known name tells it. */
  container: 'downdraft.dev/container',
} as const;

export const label = {
  /** Release of a workload that no chart's labels tell; a label, because the gate must select pods by it. */
  release: 'downdraft.dev/release',
  /** On the runner and the probe, so that the gate does not catch them. */
  role: 'downdraft.dev/role',
  /** On namespaces with a release of Airflow. */
  airflow: 'downdraft.dev/airflow',
  /** On every gated pod, so that they can be watched. */
  gated: 'downdraft.dev/gated',
} as const;

/** Our scheduling gate's name. */
export const gateName = 'downdraft.dev/hold';

/** Ours, so that it can be told which run a pod belongs to. */
export const runLabel = 'downdraft.dev/run';

/** deployment/af-scheduler, as kubectl names it. */
export function nameOf(workload: { kind: string; name: string }): string {
  return `${workload.kind.toLowerCase()}/${workload.name}`;
}
