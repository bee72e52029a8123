import { describe, expect, it } from 'vitest';
import { heldPartition, hold, holdOf, holdPatch, isStopped, resumePatch } from '../../src/release/kubernetes/hold.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { merge } from '../make/merge.ts';
import { makeDeployment, makeHold, makeStatefulSet } from '../make/workload.ts';

const record = makeHold();

describe('hold and resume', () => {
  const shapes: [string, string, WorkloadObject][] = [
    ['a Deployment', 'Deployment', makeDeployment()],
    ['a Deployment that its owner had paused', 'Deployment', makeDeployment({ paused: true })],
    ['a StatefulSet', 'StatefulSet', makeStatefulSet()],
    [
      'a StatefulSet with a partition of its own',
      'StatefulSet',
      makeStatefulSet({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } }),
    ],
    ['an OnDelete StatefulSet', 'StatefulSet', makeStatefulSet({ updateStrategy: { type: 'OnDelete' } })],
  ];

  it.each(shapes)('%s comes back as it was', (_, kind, object) => {
    const held = hold(kind, object, undefined, record);
    expect(isStopped(kind, held)).toBe(true);
    expect(holdOf(held)).toMatchObject({ since: record.since, by: 'jane' });
    expect(merge(held, resumePatch(kind, held))).toEqual(object);
  });

  it.each(shapes)('%s held twice is the same as held once', (_, kind, object) => {
    const once = hold(kind, object, undefined, record);
    expect(hold(kind, once, once, makeHold({ since: '2026-11-21T13:00:00Z', by: 'mallory' }))).toEqual(once);
  });

  it('a tool that puts paused back meets the same hold, with what was there before the first one', () => {
    const held = hold('Deployment', makeDeployment(), undefined, record);
    const resumed = { ...held, spec: { ...held.spec, paused: false } };
    expect(hold('Deployment', resumed, held, makeHold({ by: 'argocd' }))).toEqual(held);
  });

  it('replicas are never part of a hold', () => {
    const held = hold('Deployment', makeDeployment({ replicas: 3 }), undefined, record);
    expect(held.spec.replicas).toBe(3);
    expect(JSON.stringify(resumePatch('Deployment', held))).not.toContain('replicas');
  });

  it('a StatefulSet keeps what else its rolling update says', () => {
    const object = makeStatefulSet({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 2 } } });
    const held = hold('StatefulSet', object, undefined, record);
    expect(held.spec.updateStrategy?.rollingUpdate).toEqual({ maxUnavailable: 2, partition: heldPartition });
  });

  it('a damaged annotation still means held', () => {
    expect(holdOf(makeDeployment({ annotations: { 'downdraft.dev/hold': 'yes' } }))).toMatchObject({ before: {} });
  });
});

describe('held by a gate in the pod template', () => {
  const gate = { name: 'downdraft.dev/hold' };
  const quota = { name: 'example.org/quota' };
  const gates = (object: WorkloadObject) => object.spec.template.spec.schedulingGates;
  const onDelete = (own?: { name: string }[]) => {
    const object = makeStatefulSet({ updateStrategy: { type: 'OnDelete' } });
    if (own) object.spec.template.spec.schedulingGates = own;
    return object;
  };

  it('OnDelete, since a lost pod would come back from the new template', () => {
    const held = hold('StatefulSet', onDelete(), undefined, record);
    expect(gates(held)).toEqual([gate]);
    expect(held.spec.updateStrategy).toEqual({ type: 'OnDelete' });
    expect(isStopped('StatefulSet', onDelete())).toBe(false);
  });

  it('a new StatefulSet, which has no older revision for a partition to keep', () => {
    const created = hold('StatefulSet', makeStatefulSet(), undefined, record, true);
    expect(gates(created)).toEqual([gate]);
    expect(created.spec.updateStrategy).toEqual(makeStatefulSet().spec.updateStrategy);
    expect(merge(created, resumePatch('StatefulSet', created))).toEqual(makeStatefulSet());
  });

  it('a new Deployment is paused like any other: it makes no ReplicaSet', () => {
    const created = hold('Deployment', makeDeployment(), undefined, record, true);
    expect([created.spec.paused, gates(created)]).toEqual([true, undefined]);
  });

  it('gates of others stay, before, during and after', () => {
    const held = hold('StatefulSet', onDelete([quota]), undefined, record);
    expect(gates(held)).toEqual([quota, gate]);
    expect(merge(held, resumePatch('StatefulSet', held))).toEqual(onDelete([quota]));
  });

  it('a tool that renders the template without the gate meets it again, also when OnDelete is rendered no more', () => {
    const held = hold('StatefulSet', onDelete(), undefined, record);
    const rendered = makeStatefulSet({ annotations: held.metadata.annotations! });
    const again = hold('StatefulSet', rendered, held, makeHold({ by: 'argocd' }));
    expect(gates(again)).toEqual([gate]);
    expect(holdOf(again)).toEqual(holdOf(held));
    expect(isStopped('StatefulSet', again)).toBe(true);
    expect(merge(again, resumePatch('StatefulSet', again))).toEqual(makeStatefulSet());
  });

  it('a gate that someone left without our record is taken off by a resume', () => {
    const left = makeStatefulSet({ held: true });
    left.spec.template.spec.schedulingGates = [gate];
    expect(resumePatch('StatefulSet', left).spec).toEqual({ template: { spec: { schedulingGates: null } } });
  });
});

describe('holding what is stored already', () => {
  const stored: [string, string, WorkloadObject][] = [
    ['a Deployment', 'Deployment', makeDeployment()],
    ['a Deployment that its owner had paused', 'Deployment', makeDeployment({ paused: true })],
    ['a StatefulSet', 'StatefulSet', makeStatefulSet()],
    ['an OnDelete StatefulSet', 'StatefulSet', makeStatefulSet({ updateStrategy: { type: 'OnDelete' } })],
    [
      'a StatefulSet with further settings',
      'StatefulSet',
      makeStatefulSet({
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1, maxUnavailable: 2 } },
      }),
    ],
    [
      'one with annotations of its own',
      'Deployment',
      makeDeployment({ annotations: { 'meta.helm.sh/release-name': 'af' } }),
    ],
  ];

  it.each(stored)('%s: the patch holds it, and the resume’s patch gives the object back', (_, kind, object) => {
    const held = merge(object, holdPatch(kind, object, record)) as WorkloadObject;
    expect(holdOf(held)).toMatchObject({ since: record.since, by: 'jane', from: record.from });
    expect(isStopped(kind, held)).toBe(true);
    expect(held.spec.replicas).toBe(object.spec.replicas);
    expect(merge(held, resumePatch(kind, held))).toEqual(object);
  });

  it.each(stored)(
    '%s: both patches carry the resourceVersion, so that a change in between is a conflict',
    (_, kind, object) => {
      expect(holdPatch(kind, object, record).metadata).toMatchObject({ resourceVersion: '100' });
      expect(resumePatch(kind, object).metadata).toMatchObject({ resourceVersion: '100' });
    },
  );

  it('the patch says nothing of containers, replicas or anything else that a tool renders', () => {
    for (const [, kind, object] of stored) {
      const { metadata, spec } = holdPatch(kind, object, record) as { metadata: object; spec: object };
      expect(Object.keys(metadata).sort()).toEqual(['annotations', 'resourceVersion']);
      expect(Object.keys(spec)).toHaveLength(1);
      expect(JSON.stringify(spec)).not.toMatch(/containers|replicas|image/);
    }
  });

  it('the connection before the hold is kept, and a record from before that had none is read as well', () => {
    const held = hold('Deployment', makeDeployment(), undefined, makeHold({ connection: 'abc' }));
    expect(holdOf(held)!.connection).toBe('abc');
    expect(holdOf(makeDeployment({ held: true }))).not.toHaveProperty('connection');
  });
});
