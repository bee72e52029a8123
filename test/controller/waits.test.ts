/** Nobody waits for ever unnamed: whatever stands still, the run ends, asks a person, or is Stalled and says by what. */
import { describe, expect, it } from 'vitest';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import { reasons } from '../../src/release/model/reasons.ts';
import { type WaitReason, waits } from '../../src/release/model/waits.ts';
import type { World } from '../make/world-parts.ts';
import { deploy, look, makeMaps, newer, older, outcomes, record, running, shown } from './place.ts';

/** From now on these pods are in this state, whatever else happens. */
function frozen(world: World, which: (pod: PodObject) => boolean, status: PodObject['status']): void {
  const { tick } = world;
  world.tick = () => {
    tick();
    for (const pod of world.pods.filter(which)) pod.status = structuredClone(status);
  };
}

const creating = {
  phase: 'Pending',
  containerStatuses: [{ name: 'x', state: { waiting: { reason: 'ContainerCreating' } } }],
} as PodObject['status'];
const runs = {
  phase: 'Running',
  containerStatuses: [{ name: 'scheduler', state: { running: {} } }],
} as typeof creating;
const named = (end: string) => (pod: PodObject) => pod.metadata.name.endsWith(end);
const ofTarget = ({ metadata, spec }: PodObject) =>
  metadata.labels?.[label.role] === undefined && spec.containers[0]!.image === older;

/** What stands still from the beginning, and what may be said of it. */
const stills: [string, (world: World) => void, WaitReason[]][] = [
  ['the probe does not start', (w) => frozen(w, named('-probe'), creating), ['ProbeRunning', 'TargetImageNotStarted']],
  ['the probe does not end', (w) => frozen(w, named('-probe'), runs), ['ProbeRunning', 'TargetImageNotStarted']],
  ['the runner does not start', (w) => frozen(w, named('-runner'), creating), ['RunnerStarting', 'RunnerNotStarted']],
  [
    'the runner does not answer',
    (w) => Object.assign(w.reads, { runnerFiles: async () => [undefined, undefined, undefined, '1'] }),
    ['RunnerStarting', 'RunnerNotStarted'],
  ],
  [
    'the runner cannot be asked',
    (w) => Object.assign(w.reads, { runnerFiles: () => Promise.reject(new Error('no route to the kubelet')) }),
    ['RunnerStarting', 'RunnerNotStarted'],
  ],
  [
    'the runner does not take up its orders',
    (w) => Object.assign(w.writes, { writeFile: async () => undefined }),
    ['RunnerStarting', 'RunnerNotStarted'],
  ],
  ['an old pod does not end', (w) => w.stuck.add(w.pods.at(-1)!.metadata.name), ['Draining', 'PodNotTerminating']],
  [
    'the gate is not in force',
    (w) => {
      w.gateBroken = true;
    },
    ['Draining', 'GateNotProven'],
  ],
  ['the pods of the target do not start', (w) => frozen(w, ofTarget, creating), ['Resuming', 'TargetNotReady']],
  [
    'no workload controller makes a pod of the target',
    (w) => {
      const { tick } = w;
      w.tick = () => {
        tick();
        if (record(w).resumeStartedAt) w.pods = w.pods.filter((pod) => !ofTarget(pod));
      };
    },
    ['Resuming', 'TargetNotReady'],
  ],
  [
    'the database is not read, from outside or inside',
    (w) => {
      w.outside = 'connection refused';
      const unreadable = { state: 'unreadable' as const, why: 'connection refused' };
      w.reads.askPod = async () => ({ database: unreadable });
    },
    ['DatabaseUnreadable'],
  ],
];

describe('while it stands still', () => {
  it.each(stills)('%s', async (_, still, expected) => {
    const world = running(newer);
    world.rules = { ...world.rules, approval: 'Never' };
    const maps = makeMaps();
    still(world);
    await deploy(world, older);
    for (let minute = 0; minute < 45; minute++) {
      for (let i = 0; i < 4; i++) {
        await look(world, { maps });
        world.tick();
      }
      world.now = new Date(world.now.getTime() + 56_000);
    }
    expect(world.harm).toEqual([]);
    if (world.downgrades.length === 0) {
      expect(world.events.map(({ reason }) => reason)).toEqual(expect.arrayContaining(expected));
      return;
    }
    expect(outcomes(world)).toEqual([undefined]);
    expect(expected).toContain(shown(world).reason);
    expect(shown(world).message).not.toBe('');
    expect(shown(world).conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }));
    expect(shown(world).conditions).toContainEqual(expect.objectContaining({ type: 'Reconciling', status: 'False' }));
  });
});

describe('each reason to wait', () => {
  it.each(Object.entries(waits))('%s is a run’s or a hold’s, and says what it is to people', (reason, wait) => {
    expect(['run', 'hold', 'deny']).toContain(reasons[reason as WaitReason][0]);
    if (typeof wait === 'string') return expect(['stalled', 'asked']).toContain(wait);
    expect(wait.minutes).toBeGreaterThan(0);
    expect(wait.minutes).toBeLessThanOrEqual(30);
    return expect(wait.advice).not.toBe('');
  });
});
