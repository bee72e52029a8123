/** The gate of a drain, from before it is written to its proof, and what is never ended behind it. */
import { describe, expect, it } from 'vitest';
import type { Writes } from '../../src/controller/ports.ts';
import { gateName } from '../../src/release/model/kubernetes.ts';
import { roleOf } from '../make/containers.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeWorkloads } from '../make/release.ts';
import { makeDeployment } from '../make/workload.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  expectClean,
  goOn,
  isDone,
  Killed,
  killedAt,
  look,
  newer,
  older,
  outcomes,
  record,
  running,
  runningPods,
  shown,
  until,
} from './place.ts';

const stalled = expect.arrayContaining([expect.objectContaining({ type: 'Stalled', status: 'True' })]);
const serving = (world: World) => runningPods(world, newer).filter((p) => !p.metadata.name.endsWith('-runner')).length;

/** Looks until the plan stands and what stops it is said. */
async function stopped(world: World, reason: string): Promise<void> {
  await deploy(world, older);
  await until(world, () => shown(world).reason === reason);
}

async function goesOn(world: World): Promise<void> {
  world.now = new Date(world.now.getTime() + 3_600_000);
  await until(world, isDone(world));
  await goOn(world, 4);
  expect(outcomes(world)).toEqual(['Downgraded']);
  expectClean(world, older);
}

describe('before anything is written for a drain', () => {
  const rule = 'pods "af-scheduler-downdraft-trial" is forbidden: minimum memory usage per Container is 16Mi';
  const hindrances: [string, RegExp, string, (world: World, on: boolean) => void][] = [
    [
      'a rule that refuses the pods of one workload',
      /pod of deployment\/af-scheduler would be refused.*minimum memory usage per Container is 16Mi/,
      'Blocked',
      (world, on) => {
        world.refusesPods = ({ metadata }) => (on && metadata.name === 'af-scheduler' ? rule : undefined);
      },
    ],
    [
      'a right of ours that is missing',
      /downdraft may not: create mutatingwebhookconfigurations\.admissionregistration\.k8s\.io/,
      'Blocked',
      (world, on) => {
        world.rightsMissing = on ? ['create mutatingwebhookconfigurations.admissionregistration.k8s.io'] : [];
      },
    ],
  ];

  it.each(hindrances)(
    '%s is said in its own words: nothing is ended, and it goes on once that is mended',
    async (_, words, reason, set) => {
      const world = running(newer);
      set(world, true);
      await stopped(world, reason);
      await goOn(world, 10);
      expect(shown(world)).toMatchObject({
        phase: 'Planning',
        reason,
        message: expect.stringMatching(words),
        conditions: stalled,
      });
      expect([world.gates.size, serving(world), record(world).drainStartedAt]).toEqual([0, 4, undefined]);
      set(world, false);
      await goesOn(world);
    },
  );

  it('a pod that no selector of the gate would catch is named: what runs is made anew as it was', async () => {
    const world = running(newer);
    // Else its owner would let go of it.
    for (const w of world.workloads) w.spec.selector = { matchLabels: { component: w.metadata.labels!.component } };
    const { labels = {} } = world.pods.find((p) => p.metadata.name.startsWith('af-scheduler'))!.metadata;
    delete labels.release;
    await stopped(world, 'GateNotProven');
    await goOn(world, 4);
    expect(shown(world)).toMatchObject({
      message: expect.stringMatching(/^pod\/af-scheduler-\d+: .*\(tier: airflow, release: af\)/),
      conditions: stalled,
    });
    expect([world.gates.size, serving(world)]).toEqual([0, 4]);
    labels.release = 'af';
    await goesOn(world);
  });

  it('a gate that can not be proved in force is taken away after half a minute, with nothing drained, and is tried again later', async () => {
    const world = running(newer);
    world.gateBroken = true;
    await stopped(world, 'GateNotProven');
    expect(shown(world)).toMatchObject({
      phase: 'Planning',
      message: expect.stringContaining('taken away again'),
      conditions: stalled,
    });
    await goOn(world, 4);
    expect([world.gates.size, serving(world), record(world).drainStartedAt]).toEqual([0, 4, undefined]);
    // Each further try is bounded, too.
    world.now = new Date(world.now.getTime() + 60_000);
    await until(world, () => record(world).gating?.tries === 2);
    await goOn(world, 4);
    expect([world.gates.size, serving(world)]).toEqual([0, 4]);
    world.gateBroken = false;
    await goesOn(world);
  });

  it('a pod that came to wait behind a gate which is taken away again is let go', async () => {
    const world = running(newer);
    world.gateBroken = true;
    await deploy(world, older);
    await until(world, () => world.gates.size > 0);
    const task = makePod({ name: 'af-task', component: 'worker', gated: true, owner: { kind: 'Job', name: 'task' } });
    world.pods.push(task);
    await until(world, () => world.gates.size === 0);
    await goOn(world, 3);
    expect(task.spec.schedulingGates).toEqual([]);
  });
});

it('a run that is aborted, and killed before and after each write while its gate can not be proved, leaves no gate', {
  timeout: 60_000,
}, async () => {
  const run = async (due: number, when: 'before' | 'after') => {
    const world = running(newer);
    world.gateBroken = true;
    await deploy(world, older);
    const count = { n: 0 };
    const writes = killedAt(world.writes, due, when, count);
    const die = (error: unknown) => {
      if (!(error instanceof Killed)) throw error;
    };
    const span = { from: 0, to: 0 };
    for (let i = 0; i < 60; i++) {
      await look(world, { writes }).catch(die);
      world.tick();
      if (!record(world).gating) span.from = count.n;
      if (!record(world).gating?.failedAt || world.gates.size > 0) span.to = count.n;
    }
    expect([due, when, serving(world)]).toEqual([due, when, 4]);
    await deploy(world, newer);
    await until(world, isDone(world), { writes: world.writes });
    await goOn(world, 3);
    expect([due, when, world.gates.size, outcomes(world)]).toEqual([due, when, 0, ['Canceled']]);
    expectClean(world, newer);
    return span;
  };
  const { from, to } = await run(-1, 'before');
  expect(to - from).toBeGreaterThan(3);
  for (let due = from; due < to; due++) for (const when of ['before', 'after'] as const) await run(due, when);
});

it('workloads labelled in two ways are one release: its drain ends, and every pod that is made meanwhile is gated', async () => {
  const extra = makeDeployment({ profile: 'labelled', component: 'worker', name: 'af-extra-worker' });
  const world = running(newer, [...makeWorkloads(), extra]);
  await deploy(world, older);
  await until(world, () => Boolean(record(world).drainedAt));
  const waiting = world.pods.filter((p) => p.metadata.ownerReferences?.length);
  expect(waiting.map((p) => p.spec.schedulingGates)).toEqual(waiting.map(() => [{ name: gateName }]));
  expect(waiting.some((p) => p.metadata.name.startsWith('af-extra-worker'))).toBe(true);
  await goesOn(world);
});

it.each([
  ['', false],
  [', where a mesh keeps the pod of a probe that has answered', true],
])(
  'with room for one more pod in a quota, probe and runner come one after the other, and the run ends%s',
  async (_, meshed) => {
    const world = running(newer);
    world.meshed = meshed;
    world.triggers = [
      {
        class: 'airflow.triggers.temporal.DateTimeTrigger',
        arguments: ['moment'],
        tasks: 1,
        watchers: 0,
        callbacks: 0,
      },
    ];
    const { createPod } = world.writes;
    const refusals: string[] = [];
    const helpers = () =>
      world.pods.filter((p) => roleOf(p) && !['Succeeded', 'Failed'].includes(p.status?.phase ?? '')).length;
    world.writes.createPod = async (pod) => {
      if (helpers() === 0) return createPod(pod);
      refusals.push(pod.metadata.name);
      throw Object.assign(new Error(`pods "${pod.metadata.name}" is forbidden: exceeded quota`), { status: 403 });
    };
    await deploy(world, older);
    for (let i = 0; i < 100 && !isDone(world)(); i++) {
      // Twice, since the probe does not end between two looks.
      for (const _ of [1, 2]) await look(world).catch((error) => expect(String(error)).toContain('exceeded quota'));
      expect(helpers()).toBeLessThan(2);
      world.tick();
    }
    await goOn(world, 4);
    expect(refusals.some((name) => name.endsWith('-runner'))).toBe(true);
    expect([outcomes(world), record(world).backup?.way]).toEqual([['Downgraded'], 'ServerCopy']);
    expectClean(world, older);
  },
);

describe('a migration that runs', () => {
  /** Starts right after a write. */
  const moments: [string, (write: string, patch: unknown) => boolean][] = [
    ['when the plan is made', (write) => write === 'createDowngrade'],
    ['when the gate is written', (write) => write === 'createGate'],
    ['when the drain begins', (_, patch) => JSON.stringify(patch ?? '').includes('drainStartedAt')],
  ];
  it.each(moments)('%s is never ended: it is waited for, and named', async (_, begins) => {
    const world = running(newer);
    const pod = makeMigrationPod({ image: newer, name: 'af-migrate-1', phase: 'Running' });
    world.busy.add('af-migrate-1');
    const act = Object.entries(world.writes).map(([name, write]) => [
      name,
      async (...args: unknown[]) => {
        const answer = await (write as (...a: unknown[]) => Promise<unknown>)(...args);
        if (!world.pods.includes(pod) && begins(name, args[2])) {
          pod.metadata.creationTimestamp = world.now.toISOString();
          world.pods.push(pod);
        }
        return answer;
      },
    ]);
    world.writes = Object.fromEntries(act) as unknown as Writes;
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'MigrationRunning');
    await goOn(world, 10);
    expect(shown(world).message).toContain(
      'pod/af-migrate-1 of job/af-run-airflow-migrations (container run-airflow-migrations) is migrating the database up',
    );
    expect(pod.metadata.deletionTimestamp).toBeUndefined();
    world.now = new Date(world.now.getTime() + 16 * 60_000);
    await goOn(world, 3);
    expect(shown(world)).toMatchObject({ reason: 'LongMigration', conditions: stalled });
    expect([pod.metadata.deletionTimestamp, world.gates.size]).toEqual([undefined, 0]);
    world.busy.clear();
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(world.harm).toEqual([]);
  });
});
