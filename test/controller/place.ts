/** One release in a world in memory, and a controller that looks at it. */
import { expect } from 'vitest';
import type { Answer } from '../../src/admission/review.ts';
import type { Reads, Writes } from '../../src/controller/ports.ts';
import { type ReconcileSettings, reconcile } from '../../src/controller/reconcile.ts';

import { hold } from '../../src/release/kubernetes/hold.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { Act } from '../../src/release/model/act.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { annotation } from '../../src/release/model/kubernetes.ts';
import { defaultRules, type Rules } from '../../src/release/model/policy.ts';
import { apply } from '../make/door.ts';
import { makeDatabase, makeWorkloads } from '../make/release.ts';
import { makeHold } from '../make/workload.ts';
import { makeWorld } from '../make/world.ts';
import type { World } from '../make/world-parts.ts';
import { asStored } from '../make/writes.ts';

export const newer = 'apache/airflow:3.2.1' as const;
export const older = 'apache/airflow:3.1.8' as const;

export type Maps = Pick<ReconcileSettings, 'told' | 'failed' | 'unanswered' | 'examined' | 'asked'>;

export interface Options {
  runner?: 'Copy' | 'OldPod';
  reads?: Reads;
  writes?: Writes;
  release?: string;
  /** What a controller keeps in memory; without them each look is that of a controller that has just started. */
  maps?: Maps;
}

export function makeMaps(): Maps {
  return { told: new Map(), failed: new Map(), unanswered: new Map(), examined: new Map(), asked: new Map() };
}

/** With an old pod as runner no copy can be made, and somebody has to say that it goes without. */
const unasked: Rules = { ...defaultRules, approval: 'Never', backup: { ...defaultRules.backup, required: false } };

/** One look of a controller. */
export async function look(world: World, options: Options = {}): Promise<Act> {
  const { runner = 'Copy', writes = world.writes, reads = world.reads, release = 'af' } = options;
  if (runner === 'OldPod' && world.rules === defaultRules) world.rules = unasked;
  return reconcile({ namespace: 'air', name: release }, reads, writes, {
    repositories: ['apache/airflow'],
    now: () => world.now,
    runner,
    commands: { probe: ['probe'], triggers: ['triggers'], runner: ['runner'] },
    token: 1,
    log: () => {},
    ...(options.maps ?? makeMaps()),
  });
}

/** The same object with another image in every container. */
export function withImage(object: WorkloadObject, image: string): WorkloadObject {
  const changed = structuredClone(object);
  const { containers, initContainers = [] } = changed.spec.template.spec;
  for (const container of [...containers, ...initContainers]) container.image = image;
  return changed;
}

/**
 * Changes every workload of the release that is `of` it, one after the other, as helm does it: to another image, or as a
 * function says. Answers what the webhook said.
 */
export async function deploy(
  world: World,
  change: string | ((w: WorkloadObject) => WorkloadObject),
  of: (w: WorkloadObject) => boolean = () => true,
): Promise<Answer[]> {
  const changed = typeof change === 'string' ? (w: WorkloadObject) => withImage(w, change) : change;
  const answers: Answer[] = [];
  for (const w of structuredClone(world.workloads).filter(of)) answers.push(await apply(world, changed(w)));
  return answers;
}

/** The same, answering the reasons alone. */
export async function deployed(...args: Parameters<typeof deploy>): Promise<string[]> {
  return (await deploy(...args)).map(({ audit }) => audit.reason);
}

/** Sets an image as the webhook leaves it: held, unless it fits. */
export function setImage(world: World, image: string, { held = true } = {}): void {
  world.workloads = world.workloads.map((w) => {
    const changed = withImage(w, image);
    const read = readWorkload(w);
    const since = { since: world.now.toISOString(), from: read?.image ?? '', connection: read?.connection ?? '' };
    return asStored(held ? hold(w.kind!, changed, w, makeHold(since)) : changed, w);
  });
}

/** Ticks and looks until `done`, and fails when it takes unreasonably long. */
export async function until(world: World, done: (world: World) => boolean, options: Options = {}): Promise<void> {
  for (let i = 0; i < 150; i++) {
    if (done(world)) return;
    await look(world, options);
    world.tick();
  }
  throw new Error(
    `not reached: ${JSON.stringify(
      world.downgrades.map((d) => [d.spec, d.status?.reason, d.status?.message, d.status?.record]),
      null,
      1,
    )}`,
  );
}

/** Looks and ticks some times, whatever happens. */
export async function goOn(world: World, times: number, options: Options = {}): Promise<void> {
  for (let i = 0; i < times; i++) {
    await look(world, options);
    world.tick();
  }
}

/** A release whose pods run this image, on the database that it needs. */
export function running(image: typeof newer | typeof older, workloads = makeWorkloads({ image })): World {
  const world = makeWorld(workloads.map((w) => asStored(w, undefined)));
  world.database = makeDatabase({ version: image === newer ? '3.2.1' : '3.1.8' });
  for (let i = 0; i < 8; i++) world.tick();
  expect(world.pods.every((p) => p.spec.containers[0]!.image === image && p.status?.phase === 'Running')).toBe(true);
  expect(world.harm).toEqual([]);
  expect(world.pods).toHaveLength(workloads.length);
  return world;
}

export const outcomes = (world: World) => world.downgrades.map((d) => d.status?.record?.outcome);
export const isDone = (world: World) => () => world.downgrades.length > 0 && outcomes(world).every(Boolean);
export const shown = (world: World) => world.downgrades.at(-1)?.status ?? {};
export const record = (world: World) => world.downgrades.at(-1)?.status?.record ?? {};
export const runningPods = (world: World, image: string) =>
  world.pods.filter((p) => p.status?.phase === 'Running' && p.spec.containers[0]!.image === image);

/** Every pod runs the image, nobody met a schema that was not its own, and nothing of ours is left. */
export function expectClean(world: World, image: string): void {
  expect(world.harm).toEqual([]);
  expect(world.gates.size).toBe(0);
  expect(world.pods.map((p) => p.spec.containers[0]!.image)).toEqual(world.pods.map(() => image));
  expect(world.pods).toHaveLength(world.workloads.length);
  for (const w of world.workloads) expectUnheld(w);
  for (const { status } of world.downgrades) {
    const { outcome, completedAt } = status?.record ?? {};
    // Whoever waits for a Downgrade waits for its Ready condition; once it is over nobody looks at it again.
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    if (completedAt) expect([status?.reason, ready?.status]).toEqual([outcome, 'True']);
  }
}

/** As no webhook had ever seen it. */
export function expectUnheld(w: WorkloadObject): void {
  expect(w.metadata.annotations?.[annotation.hold]).toBeUndefined();
  expect(w.spec.paused).toBeUndefined();
  expect(w.spec.updateStrategy?.rollingUpdate?.partition ?? 0).toBe(0);
  expect(w.spec.template.spec.schedulingGates).toBeUndefined();
  expect(w.spec.replicas).toBe(1);
}

export class Killed extends Error {}

/** Wraps every write there is, so that none can be missed; counts them and dies at the one that is due. */
export function killedAt(writes: Writes, due: number, when: 'before' | 'after', count: { n: number }): Writes {
  return Object.fromEntries(
    Object.entries(writes).map(([name, write]) => [
      name,
      async (...args: unknown[]) => {
        const mine = count.n++;
        if (mine === due && when === 'before') throw new Killed(name);
        const answer = await (write as (...a: unknown[]) => Promise<unknown>)(...args);
        if (mine === due && when === 'after') throw new Killed(name);
        return answer;
      },
    ]),
  ) as unknown as Writes;
}
