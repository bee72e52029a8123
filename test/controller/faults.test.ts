/** What breaks in the middle of a run, and what a person reads of it. On the real node: test/stories/faults.test.ts. */
import { describe, expect, it } from 'vitest';
import type { makeWorld } from '../make/world.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  expectClean,
  goOn,
  isDone,
  newer,
  older,
  outcomes,
  record,
  running,
  runningPods,
  shown,
  until,
} from './place.ts';

type Status = ReturnType<typeof makeWorld>['pods'][number]['status'];

/** The pod of the runner ends as kubelet tells it of a container that had no memory left. */
function outOfMemory(world: World): void {
  const runner = world.pods.find((p) => p.metadata.name.endsWith('-runner'))!;
  const name = runner.spec.containers[0]!.name;
  const finishedAt = world.now.toISOString();
  const state = { terminated: { exitCode: 137, reason: 'OOMKilled', finishedAt } };
  runner.status = { phase: 'Failed', containerStatuses: [{ name, state }] } as Status;
  const { podLog } = world.reads;
  world.reads.podLog = async (namespace, pod, ...more) =>
    pod === runner.metadata.name
      ? 'a line\ndowndraft-runner: 1d66 -> 888b: drop things\n'
      : podLog(namespace, pod, ...more);
}

describe('the runner', () => {
  it.each([
    ['while it copies', (w: World) => record(w).progress?.kind === 'copy', 'Downgraded'],
    ['in the schema step', (w: World) => record(w).progress?.kind === 'core', 'Downgraded'],
    ['on a return', (w: World) => Boolean(record(w).returnStartedAt), 'Returned'],
  ])(
    'is evicted %s (kubectl drain --force, a node upgrade): a new one goes on from where the database is',
    async (_, then, end) => {
      const world = running(newer);
      await deploy(world, older);
      const back = end === 'Returned';
      if (back) {
        await until(world, (w) => record(w).progress?.kind === 'core');
        world.downgrades[0]!.spec.abort = true;
      }
      await until(world, then);
      const before = record(world).pods!.runner!.uid;
      const runner = world.pods.find((p) => p.metadata.uid === before)!;
      runner.metadata.deletionTimestamp = world.now.toISOString();
      await until(world, isDone(world));
      await goOn(world, 4);
      expect(record(world).pods!.runner!.uid).not.toBe(before);
      expect(outcomes(world)).toEqual([end]);
      expectClean(world, back ? newer : older);
    },
  );

  it.each([
    ['while it copies', (w: World) => shown(w).phase === 'BackingUp', 'RunnerNotStarted'],
    ['in the schema step', (w: World) => Boolean(record(w).schemaStartedAt), 'DowngradeFailed'],
  ])(
    'has no memory left %s: it is said, with its last words, and a new one goes on by itself',
    async (_, then, reason) => {
      const world = running(newer);
      await deploy(world, older);
      await until(world, then);
      outOfMemory(world);
      await until(world, () => /OOMKilled/.test(String(shown(world).message)));
      expect(shown(world)).toMatchObject({ reason, step: expect.stringContaining('OOMKilled') });
      expect(shown(world).message).toMatch(
        /^pod\/af-\w+-runner ended: OOMKilled with exit code 137; it says "downdraft-runner: 1d66 -> 888b: drop things"(; it is tried again in 20 s)?$/,
      );
      await goOn(world, 10);
      expect(runningPods(world, newer)).toEqual([]);
      await until(world, isDone(world));
      await goOn(world, 4);
      expect(outcomes(world)).toEqual(['Downgraded']);
      expect(record(world).failure).toBeUndefined();
      expectClean(world, older);
    },
  );

  it('can’t be asked: that is said, it is let alone, and the run goes on once it can', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, (w) => Boolean(record(w).schemaStartedAt));
    const { runnerFiles } = world.reads;
    const { uid } = world.pods.find((p) => p.metadata.name.endsWith('-runner'))!.metadata;
    // No log can be read either: that of the probe, which has told all it knows, must not stand in the way.
    const { podLog } = world.reads;
    world.reads.runnerFiles = world.reads.podLog = async () => {
      throw new Error('exec: connection reset by peer');
    };
    await goOn(world, 30);
    expect(shown(world).message).toMatch(
      /^pod\/af-\w+-runner can't be asked how far it is: exec: connection reset by peer$/,
    );
    expect(world.pods.map((p) => p.metadata.uid)).toContain(uid);
    Object.assign(world.reads, { runnerFiles, podLog });
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

describe('a copy that could not be made', () => {
  it('is tried again when someone asks for it as told, each time anew', async () => {
    const world = running(newer);
    const asked = async (tries: number) => {
      await until(world, () => shown(world).reason === 'AwaitingApproval');
      await goOn(world, 8);
      expect(runningPods(world, newer).length).toBeGreaterThanOrEqual(4);
      const told = /try the copy again, once .* is gone: kubectl -n air patch downgrade \S+ --type merge -p '(.*?)'/;
      const { spec } = JSON.parse(told.exec(String(shown(world).message))![1]!);
      expect(spec).toEqual({ backup: { copyAgain: tries } });
      Object.assign(world.downgrades.at(-1)!.spec, spec);
    };
    world.copyFails = 'could not extend file: No space left on device';
    await deploy(world, older);
    await asked(1);
    world.copyFails = 'could not extend file: No space left on device';
    await until(world, () => shown(world).phase === 'BackingUp');
    await asked(2);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(record(world).backup).toMatchObject({ way: 'ServerCopy', verifiedAt: expect.any(String) });
    expect(record(world).backup?.failure).toBeUndefined();
  });
});

it('a question stands until it is answered, however often the rows are looked at meanwhile', async () => {
  const world = running(newer);
  world.copyImpossible = 'role airflow may not create databases';
  await deploy(world, older);
  await until(world, () => shown(world).reason === 'AwaitingApproval');
  const said = world.events.length;
  const phases = new Set<unknown>();
  for (let minute = 0; minute < 3; minute++) {
    await goOn(world, 70);
    phases.add(shown(world).phase);
  }
  expect([...phases, world.events.length - said]).toEqual(['AwaitingApproval', 0]);
});

describe('the pods of the older version', () => {
  it('end again and again: the Downgrade names one with its own last words, and goes on once the cause is mended', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => shown(world).phase === 'Resuming');
    const { podLog } = world.reads;
    const previous: unknown[] = [];
    world.reads.podLog = async (_, __, ___, before) => {
      previous.push(before);
      return 'Traceback\n  …\nValueError: no such executor, by postgresql://airflow:secret@db/airflow\nsome warning\n';
    };
    const terminated = { exitCode: 1, reason: 'Error' };
    const status = { name: 'scheduler', restartCount: 2, lastState: { terminated }, state: { running: {} } };
    const { tick } = world;
    world.tick = () => {
      tick();
      for (const p of world.pods)
        if (p.metadata.name.startsWith('af-scheduler') && p.spec.containers[0]!.image === older && p.status)
          p.status = {
            phase: 'Running',
            conditions: [{ type: 'Ready', status: 'False' }],
            containerStatuses: [status],
          };
    };
    await until(world, () => /ended with/.test(String(shown(world).message)));
    expect(shown(world).message).toMatch(
      /deployment\/af-scheduler not Ready: pod\/af-scheduler-\S+: scheduler ended with exit code 1; it says "ValueError: no such executor, by postgresql:\/\/airflow:\*\*\*@db\/airflow"/,
    );
    expect(previous).toContain(true);
    Object.assign(world, { tick });
    world.reads.podLog = podLog;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});
