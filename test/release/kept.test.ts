/** What is left of an object of a list is enough to judge it, and little enough to keep very many. */
import { describe, expect, it } from 'vitest';
import { keptPod, keptWorkload } from '../../src/release/kubernetes/kept-fields.ts';
import { readPod, releaseOfPod } from '../../src/release/kubernetes/pods.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { Metadata, PodObject } from '../../src/release/model/kubernetes.ts';
import { annotation } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

const lastApplied = { 'kubectl.kubernetes.io/last-applied-configuration': '{}' };
/** As stored: with who wrote which field, and what kubectl wrote last. */
const stored = <T extends { metadata: Metadata }>(object: T): T => {
  const managedFields = [{ manager: 'kubectl', fieldsV1: { 'f:spec': {} } }];
  const annotations = { ...object.metadata.annotations, ...lastApplied, [annotation.version]: '3.2.1' };
  return { ...object, metadata: { ...object.metadata, managedFields, annotations } };
};

const task = {
  component: 'worker',
  container: 'base',
  owner: { kind: 'none', name: 'none' },
  labels: { dag_id: 'd', task_id: 't', run_id: 'r', try_number: '1', kubernetes_executor: 'True' },
};
const standing: [string, PodObject][] = [
  ['a pod of a Deployment', makePod()],
  ['a gated pod', makePod({ gated: true })],
  ['a pod that ends', makePod({ terminating: true })],
  ['a task of KubernetesExecutor that runs', makePod(task)],
  ['a pod of a workload that was evicted', makePod({ phase: 'Failed' })],
  ['the runner', makePod({ role: 'runner' })],
  ['a probe that has ended', makePod({ role: 'probe', phase: 'Succeeded', owner: { kind: 'none', name: 'none' } })],
];

describe('what is kept of a pod', () => {
  it.each(standing)('tells the same of %s', (_, pod) => {
    const kept = keptPod(stored(pod))!;
    const { object: __, ...read } = readPod(kept, { 'af-scheduler-rs': 'af-scheduler' });
    expect(read).toEqual({ ...readPod(pod, { 'af-scheduler-rs': 'af-scheduler' }), object: undefined });
    expect(releaseOfPod(kept)).toBe(releaseOfPod(pod));
    expect(kept.status).toEqual(pod.status);
    expect(kept.spec.terminationGracePeriodSeconds).toBe(pod.spec.terminationGracePeriodSeconds);
    expect(kept.metadata.annotations).toEqual({ [annotation.version]: '3.2.1' });
  });

  it.each(['Succeeded', 'Failed'] as const)('is nothing of a task or Job that is %s', (phase) => {
    expect(keptPod(makePod({ ...task, phase }))).toBeUndefined();
    expect(keptPod(makePod({ phase, owner: { kind: 'Job', name: 'af-run-airflow-migrations' } }))).toBeUndefined();
  });

  it('is small, whatever its environment and its notes are', () => {
    const pod = stored(makePod(task));
    const env = Array.from({ length: 500 }, (_, at) => ({ name: `V${at}`, value: 'x'.repeat(100) }));
    pod.spec.containers = pod.spec.containers.map((container) => ({ ...container, env }));
    expect(JSON.stringify(keptPod(pod)).length).toBeLessThan(1500);
  });

  it('of its volumes are the claims: by them it is known whether it can be copied', () => {
    const pod = makePod();
    const claim = { name: 'dags', persistentVolumeClaim: { claimName: 'dags' } };
    pod.spec.volumes = [claim, { name: 'config', configMap: { name: 'af' } }];
    expect(keptPod(pod)!.spec.volumes).toEqual([claim]);
  });

  it('is all of one that downdraft made: its volumes are looked at', () => {
    const pod = makePod({ role: 'runner' });
    pod.spec.volumes = [{ name: 'downdraft-backup', persistentVolumeClaim: { claimName: 'dumps' } }];
    expect(keptPod(pod)).toEqual(pod);
  });
});

describe('what is kept of a workload', () => {
  it.each([makeDeployment({ held: true }), makeStatefulSet()])(
    'is all but the notes of those who wrote it',
    (object) => {
      const kept = keptWorkload(stored(object))!;
      expect(readWorkload(kept)).toMatchObject({ ...readWorkload(object), declaredVersion: '3.2.1', object: kept });
      expect(kept.spec).toEqual(object.spec);
      expect(JSON.stringify(kept)).not.toContain('managedFields');
    },
  );

  it('is nothing of one that is none of Airflow', () => {
    expect(keptWorkload(makeDeployment({ component: 'flower' }))).toBeUndefined();
  });
});
