/** What dry runs of new pods mean, and the pods that are tried. */
import { describe, expect, it } from 'vitest';
import { trialPod } from '../../src/cluster/drain-webhook.ts';
import { gateStateOf, unadmitted } from '../../src/release/downgrade/trials.ts';
import { gateName } from '../../src/release/model/kubernetes.ts';
import type { Trial } from '../../src/release/model/release.ts';
import { makeRelease } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

const trial = (workload: string, shape: Partial<Trial> = {}): Trial => ({
  workload,
  profile: 'official',
  gated: false,
  ...shape,
});
const caught = trial('deployment/a', { gated: true });
const free = trial('deployment/b');
const refused = trial('deployment/c', { refused: '403 not here' });
const full = trial('deployment/d', { refused: '403 exceeded quota', noRoom: true });
const elsewhere = trial('deployment/e', { profile: 'labelled', refused: '403 not here' });

describe('the gate', () => {
  const states: [string, Trial[], string, string][] = [
    ['all are caught', [caught, { ...full, gated: true }], 'inForce', 'inForce'],
    ['one is not caught yet', [caught, free], 'waiting', 'waiting'],
    ['one is refused before it is caught', [caught, refused], "can't prove", 'inForce'],
    ['one of another selector is refused', [caught, elsewhere], "can't prove", "can't prove"],
    ['nothing was tried', [], 'no pod', 'no pod'],
  ];
  it.each(states)('when %s', (_, trials, strict, later) => {
    const words = (state: ReturnType<typeof gateStateOf>) => (typeof state === 'string' ? state : state.written);
    expect(words(gateStateOf(trials, true))).toContain(strict);
    expect(words(gateStateOf(trials, false))).toContain(later);
  });
});

it('want of room alone is no reason against a drain, which makes room; a rule is, and its words are bounded', () => {
  const says = (...trials: Trial[]) => unadmitted(makeRelease({ admission: { trials, missingRights: [] } }));
  expect(says(free, full)).toBeUndefined();
  expect(says(free, full, refused)).toMatchObject({
    reason: 'Blocked',
    message: expect.stringMatching(/deployment\/c would be refused.*403 not here$/),
  });
  expect(says({ ...refused, refused: 'x'.repeat(5000) })!.message).toHaveLength(1000);
});

it('a workload whose pod template lacks the labels of every selector is named, and so is a missing right', () => {
  const bare = makeDeployment({ component: 'worker' });
  bare.spec.template.metadata = { labels: { component: 'worker' } };
  const labelled = makeDeployment({ profile: 'labelled', component: 'extra' });
  const objects = [makeDeployment(), labelled, bare];
  expect(unadmitted(makeRelease({ objects }))).toMatchObject({
    reason: 'GateNotProven',
    message: expect.stringMatching(/^deployment\/af-worker: without the labels/),
  });
  const admission = { trials: [], missingRights: ['get secrets'] };
  expect(unadmitted(makeRelease({ admission }))).toMatchObject({
    reason: 'Blocked',
    message: expect.stringContaining('may not: get secrets'),
  });
});

describe('a pod that is tried', () => {
  it('is as the workload makes it, under a name that stays the same, less our own gate in a held template', () => {
    const object = makeDeployment({ podLabels: { team: 'data' }, podAnnotations: { note: 'x' } });
    object.spec.template.spec.schedulingGates = [{ name: gateName }, { name: 'other.dev/wait' }];
    const { metadata, spec } = trialPod(object);
    expect(metadata).toEqual({
      name: 'af-scheduler-downdraft-trial',
      namespace: 'air',
      labels: { tier: 'airflow', component: 'scheduler', release: 'af', team: 'data' },
      annotations: { note: 'x' },
    });
    expect(spec).toEqual({ ...object.spec.template.spec, schedulingGates: [{ name: 'other.dev/wait' }] });
  });

  it('has the volumes that the claims of a StatefulSet bring', () => {
    const object = makeStatefulSet();
    object.spec.volumeClaimTemplates = [{ metadata: { name: 'logs' } }];
    expect(trialPod(object).spec.volumes).toEqual([{ name: 'logs', emptyDir: {} }]);
  });
});
