import { describe, expect, it } from 'vitest';
import { heldPartition, hold, holdOf, isStopped, resumePatch } from '../../src/release/hold.ts';
import type { WorkloadObject } from '../../src/release/objects.ts';
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
