/** Deferred tasks whose trigger the older image can't take up: asked in Planning, told in the plan, agreed to by a person. */
import { describe, expect, it } from 'vitest';
import type { WaitingTrigger } from '../../src/release/model/runner.ts';
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
  shown,
  until,
} from './place.ts';

const waiting = (name: string, tasks = 3): WaitingTrigger => ({
  class: name,
  arguments: ['moment'],
  tasks,
  watchers: 0,
  callbacks: 0,
});

const made = (world: World) => world.pods.filter((p) => p.metadata.name.includes('-triggers-'));
const plan = (world: World) => (shown(world).plan as string[]).join('\n');

async function held(triggers: WaitingTrigger[], missing: string[] = []): Promise<World> {
  const world = running(newer);
  Object.assign(world, { triggers, missing: new Set(missing) });
  await deploy(world, older);
  return world;
}

async function agree(world: World): Promise<void> {
  world.downgrades[0]!.spec.approved = shown(world).planHash as string;
}

describe('the target image', () => {
  it('is not asked where nothing waits', async () => {
    const world = await held([]);
    const names: string[] = [];
    await until(world, (w) => {
      names.push(...made(w).map((p) => p.metadata.name));
      return isDone(w)();
    });
    expect(names).toEqual([]);
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('takes all of them up: nobody is asked, and nothing of it is in the plan', async () => {
    const world = await held([waiting('x.Moment')]);
    await until(world, isDone(world));
    expect(record(world).triggers).toEqual([{ class: 'x.Moment', arguments: ['moment'] }]);
    expect(plan(world)).not.toMatch(/x\.Moment/);
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('lacks a class: a loss, which somebody has to agree to before anything is touched', async () => {
    const world = await held([waiting('x.Moment'), waiting('x.Gone', 2)], ['x.Gone']);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    expect(shown(world).losses).toEqual([
      expect.stringMatching(
        /^2 deferred tasks wait for x\.Gone, which 3\.1\.8 can't import \(no such module\): there /,
      ),
    ]);
    expect(record(world).drainStartedAt).toBeUndefined();
    await agree(world);
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  it('is asked by a pod like the triggerer, with an end of its own', async () => {
    const world = await held([waiting('x.Moment')]);
    await until(world, () => made(world).length > 0);
    expect(made(world)[0]!.spec).toMatchObject({
      containers: [{ name: 'triggerer', image: older, command: ['triggers'], env: expect.any(Array) }],
      activeDeadlineSeconds: 110,
      restartPolicy: 'Never',
    });
  });

  it('is asked again about what came while somebody had to agree', async () => {
    const world = await held([waiting('x.Gone')], ['x.Gone', 'y.Gone']);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    world.triggers.push(waiting('y.Gone', 1));
    await until(world, () => (shown(world).losses as string[]).length === 2);
    expect(record(world).triggers?.map((one) => one.class)).toEqual(['x.Gone', 'y.Gone']);
    await agree(world);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

describe('not known, which stops nothing', () => {
  it('a class that came after the drain: a note, and no pod in the outage', async () => {
    const world = await held([waiting('x.Moment')]);
    await until(world, () => Boolean(record(world).drainStartedAt));
    world.triggers.push(waiting('y.Late', 1));
    world.missing.add('y.Late');
    await until(world, () => Boolean(record(world).schemaStartedAt));
    expect(made(world).map((p) => p.metadata.name)).toEqual([expect.stringMatching(/-triggers-0$/)]);
    expect(plan(world)).toMatch(
      /note: not known: whether 3\.1\.8 can take up y\.Late, for which 1 deferred tasks wait/,
    );
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('a pod that never starts is waited for, then said in a note', async () => {
    const world = await held([waiting('x.Moment')]);
    await until(world, () => world.downgrades.length > 0);
    world.crashing.add(`${world.downgrades[0]!.metadata.name}-triggers-0`);
    await until(world, () => made(world).length > 0);
    await goOn(world, 10);
    expect(shown(world)).toMatchObject({ reason: 'ProbeRunning', message: expect.stringMatching(/about triggers/) });
    await until(world, () => Boolean(record(world).drainStartedAt));
    expect(plan(world)).toMatch(/not known: whether 3\.1\.8 can take up x\.Moment.*about triggers/);
  });

  it('a pod that the API server does not take is said in a note, at once', async () => {
    const world = await held([waiting('x.Moment')]);
    const { createPod } = world.writes;
    world.writes.createPod = async (pod) => {
      if (!pod.metadata.name.includes('-triggers-')) return createPod(pod);
      throw Object.assign(new Error('exceeded quota: pods'), { status: 403 });
    };
    await until(world, isDone(world));
    expect(plan(world)).toMatch(/not known: whether 3\.1\.8 can take up x\.Moment.*exceeded quota/);
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it.each([
    ['says nothing', 'killed', /said nothing: ended with exit code 0/],
    [
      'can not be asked',
      'DOWNDRAFT-TRIGGERS {"error": "no module airflow", "kind": "ImportError"}',
      /no module airflow/,
    ],
  ])('a pod that %s', async (_, log, words) => {
    const world = await held([waiting('x.Moment')]);
    const { podLog } = world.reads;
    world.reads.podLog = async (...asked) => (asked[1].includes('-triggers-') ? log : podLog(...asked));
    await until(world, isDone(world));
    expect(plan(world)).toMatch(words);
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

it('killed before and after every write until the drain, with a loss to agree to: the same plan, made once', {
  timeout: 120_000,
}, async () => {
  const run = async (due: number, when: 'before' | 'after') => {
    const world = await held([waiting('x.Moment'), waiting('x.Gone')], ['x.Gone']);
    const count = { n: 0 };
    const writes = killedAt(world.writes, due, when, count);
    for (let i = 0; i < 50 && !record(world).drainStartedAt; i++) {
      await look(world, { writes }).catch((error) => {
        if (!(error instanceof Killed)) throw error;
      });
      if (shown(world).reason === 'AwaitingApproval') await agree(world);
      world.tick();
    }
    expect([due, when, record(world).drainStartedAt]).toEqual([due, when, expect.any(String)]);
    expect(record(world).triggers?.map(({ class: name, lacks }) => [name, lacks])).toEqual([
      ['x.Moment', undefined],
      ['x.Gone', 'no such module'],
    ]);
    expect(made(world)).toHaveLength(1);
    return count.n;
  };
  const writes = await run(-1, 'before');
  for (let due = 0; due < writes; due++) for (const when of ['before', 'after'] as const) await run(due, when);
});
