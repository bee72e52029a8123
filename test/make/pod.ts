/** Pods as the official chart's workloads and Jobs make them. */
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { gateName, label } from '../../src/release/model/kubernetes.ts';
import { makeEnvironment } from './workload.ts';

export interface PodShape {
  name?: string;
  namespace?: string;
  release?: string;
  component?: string;
  /** Name of the main container; default as the component's. */
  container?: string;
  image?: string;
  uid?: string;
  labels?: Record<string, string>;
  owner?: { kind: string; name: string };
  role?: 'runner' | 'probe';
  gated?: boolean;
  terminating?: boolean;
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
}

/** A running pod af-scheduler-0 of release af in namespace air, owned by the ReplicaSet af-scheduler-rs. */
export function makePod(shape: PodShape = {}): PodObject {
  const { component = 'scheduler', release = 'af', namespace = 'air', image = 'apache/airflow:3.2.1' } = shape;
  const { name = `${release}-${component}-0`, phase = shape.gated ? 'Pending' : 'Running' } = shape;
  const owner = shape.owner ?? { kind: 'ReplicaSet', name: `${release}-${component}-rs` };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: shape.uid ?? `uid-${name}`,
      labels: {
        tier: 'airflow',
        component,
        release,
        ...(shape.role ? { [label.role]: shape.role } : {}),
        ...(shape.gated ? { [label.gated]: 'true' } : {}),
        ...shape.labels,
      },
      ownerReferences: [{ ...owner, uid: `uid-${owner.name}`, controller: true }],
      ...(shape.terminating ? { deletionTimestamp: '2026-11-21T12:00:30Z' } : {}),
    },
    spec: {
      terminationGracePeriodSeconds: 10,
      containers: [{ name: shape.container ?? component, image, env: makeEnvironment(release) }],
      ...(shape.gated ? { schedulingGates: [{ name: gateName }] } : {}),
    },
    status: { phase },
  };
}

/** The pod of the migration Job, as the Job controller creates it. */
export function makeMigrationPod(shape: PodShape = {}): PodObject {
  const component = 'run-airflow-migrations';
  const owner = { kind: 'Job', name: `${shape.release ?? 'af'}-${component}` };
  return makePod({ component, owner, phase: 'Pending', ...shape });
}
