/** Kubernetes' history of a workload counts only as far as it can be told that it ran: who may create such objects makes none. */
import { describe, expect, it } from 'vitest';
import { isHistoryOf, type Revision, templateBefore } from '../../src/release/kubernetes/history.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeDeployment, makeHold, makeStatefulSet } from '../make/workload.ts';

const newer = 'apache/airflow:3.2.1';
const older = 'apache/airflow:3.1.8';
const since = '2026-11-21T12:00:00Z';
const before = '2026-11-20T09:00:00Z';
const number = 'deployment.kubernetes.io/revision';

function held(object: WorkloadObject, from = newer): WorkloadObject {
  const annotations = {
    ...object.metadata.annotations,
    'downdraft.dev/hold': JSON.stringify(makeHold({ since, from })),
    [number]: '2',
  };
  return { ...object, metadata: { ...object.metadata, uid: 'uid-own', annotations } };
}

const deployment = held(makeDeployment({ image: older, held: true }));
const { matchLabels } = deployment.spec.selector as { matchLabels: Record<string, string> };

interface Shape {
  revision?: number;
  image?: string;
  hash?: string;
  owner?: { kind?: string; uid?: string; controller?: boolean };
  createdAt?: string;
  /** What the forger wants to run. */
  command?: string;
  labels?: Record<string, string>;
  selected?: string;
}

function replicaSet({
  revision = 2,
  image = newer,
  hash = `h${revision}`,
  owner = {},
  createdAt = before,
  command = 'airflow',
  ...shape
}: Shape = {}): Revision {
  const labels = shape.labels ?? { ...deployment.spec.template.metadata!.labels, 'pod-template-hash': hash };
  return {
    metadata: {
      name: `af-scheduler-${hash}`,
      creationTimestamp: createdAt,
      labels: { 'pod-template-hash': hash },
      annotations: { [number]: String(revision) },
      ownerReferences: [{ kind: 'Deployment', name: 'af-scheduler', uid: 'uid-own', controller: true, ...owner }],
    },
    spec: {
      selector: { matchLabels: { ...matchLabels, 'pod-template-hash': shape.selected ?? hash } },
      template: { metadata: { labels }, spec: { containers: [{ name: 'scheduler', image, command: [command] }] } },
    },
  };
}

const genuine = replicaSet();
const commandIn = (template: ReturnType<typeof templateBefore>) => template?.spec.containers[0]?.command;

describe('a ReplicaSet is history', () => {
  it('that the Deployment made before the hold', () => {
    expect(isHistoryOf(deployment, genuine)).toBe(true);
    expect(isHistoryOf(deployment, replicaSet({ createdAt: since }))).toBe(true);
  });

  it.each<[string, Shape]>([
    ['of another owner', { owner: { uid: 'uid-other' } }],
    ['of an owner of another kind', { owner: { kind: 'Rollout' } }],
    ['whose owner does not control it', { owner: { controller: false } }],
    ['without the hash that the Deployment gives its pods', { labels: matchLabels }],
    ['with another hash in its selector', { selected: 'other' }],
    ['whose pods the Deployment would not select', { labels: { 'pod-template-hash': 'h2' } }],
    ['made since the hold, in which a Deployment makes none', { createdAt: '2026-11-21T12:01:00Z' }],
  ])('not one %s', (_, shape) => {
    expect(isHistoryOf(deployment, replicaSet(shape))).toBe(false);
  });

  it('not one that belongs to nothing, keeps no template, or to a workload without a uid', () => {
    const { ownerReferences: _, ...metadata } = genuine.metadata;
    expect(isHistoryOf(deployment, { ...genuine, metadata })).toBe(false);
    expect(isHistoryOf(deployment, { ...genuine, spec: {} })).toBe(false);
    const { uid: __, ...nameless } = deployment.metadata;
    expect(isHistoryOf({ ...deployment, metadata: nameless }, genuine)).toBe(false);
  });
});

describe('what is put back', () => {
  it.each<[string, Shape]>([
    ['above the number that the Deployment has given', { revision: 9, command: 'forged' }],
    [
      'of an image that nobody knows to have run',
      { revision: 2, hash: 'x', image: 'evil/airflow:3.2.1', command: 'forged' },
    ],
    ['of an older image that ran before', { revision: 1, image: 'apache/airflow:2.7.3', command: 'forged' }],
    ['that is from after the hold', { revision: 2, hash: 'x', createdAt: '2026-11-21T13:00:00Z', command: 'forged' }],
  ])('is never a template %s', (_, shape) => {
    const forged = replicaSet(shape);
    expect(commandIn(templateBefore(deployment, [forged, genuine], [newer]))).toEqual(['airflow']);
    expect(templateBefore(deployment, [forged], [newer])).toBeUndefined();
  });

  it('where no hold says what ran: only of an image that is known to have run in the release', () => {
    const damaged = held(makeDeployment({ image: older, held: true }), '');
    expect(templateBefore(damaged, [genuine], [newer])).toBeDefined();
    expect(templateBefore(damaged, [genuine], ['apache/airflow:3.2.0'])).toBeUndefined();
    expect(templateBefore(damaged, [genuine], [])).toBeDefined();
  });

  it('of a StatefulSet is the revision that it says its pods are made from', () => {
    const stateful = held(makeStatefulSet({ image: older, held: true }));
    const labels = stateful.spec.template.metadata!.labels!;
    const revision = (name: string, image: string): Revision => ({
      metadata: {
        name,
        creationTimestamp: before,
        ownerReferences: [{ kind: 'StatefulSet', name: 'x', uid: 'uid-own', controller: true }],
      },
      data: { spec: { template: { metadata: { labels }, spec: { containers: [{ name: 'triggerer', image }] } } } },
      revision: 1,
    });
    const at = { ...stateful, status: { currentRevision: 'a' } };
    expect(templateBefore(at, [revision('b', newer), revision('a', newer)], [])?.spec.containers[0]?.image).toBe(newer);
    expect(templateBefore(at, [revision('b', newer)], [])).toBeUndefined();
    expect(templateBefore(at, [revision('a', 'evil/airflow:3.2.1')], [])).toBeUndefined();
  });

  it('of a held StatefulSet is never the revision that it asks for, which its controller makes at the moment of the hold', () => {
    const stateful = held(makeStatefulSet({ image: older, held: true }));
    const revision = (name: string): Revision => ({
      metadata: {
        name,
        creationTimestamp: since,
        ownerReferences: [{ kind: 'StatefulSet', name: 'x', uid: 'uid-own', controller: true }],
      },
      data: { spec: { template: stateful.spec.template } },
    });
    const at = { ...stateful, status: { currentRevision: 'a', updateRevision: 'b' } };
    expect(['a', 'b'].map((name) => isHistoryOf(at, revision(name)))).toEqual([true, false]);
    const settled = { ...stateful, status: { currentRevision: 'b', updateRevision: 'b' } };
    expect(isHistoryOf(settled, revision('b'))).toBe(true);
  });
});
