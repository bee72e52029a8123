/** What its owner had stopped before the hold: paused, or kept below a partition. */
import { describe, expect, it } from 'vitest';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { apply } from '../make/door.ts';
import type { World } from '../make/world-parts.ts';
import { asStored } from '../make/writes.ts';
import { deploy, goOn, isDone, newer, older, outcomes, record, running, runningPods, shown, until } from './place.ts';

const paused = (value: boolean | undefined) => (w: WorkloadObject) => ({ ...w, spec: { ...w.spec, paused: value! } });
const partition = (value: number) => (w: WorkloadObject) => ({
  ...w,
  spec: { ...w.spec, updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: value } } },
});

const cases: [string, string, (w: WorkloadObject) => WorkloadObject, (w: WorkloadObject) => WorkloadObject, RegExp][] =
  [
    ['a Deployment that was paused', 'Deployment', paused(true), paused(undefined), /rollout resume deployment\/\S+/],
    [
      'a StatefulSet with a partition',
      'StatefulSet',
      partition(1),
      partition(0),
      /patch statefulset\/\S+ --type merge/,
    ],
  ];

/** A release of which the first workload of a kind is stopped by its owner. */
function stopped(image: typeof newer | typeof older, kind: string, stop: (w: WorkloadObject) => WorkloadObject) {
  const world = running(image);
  const at = world.workloads.findIndex((w) => w.kind === kind);
  world.workloads[at] = asStored(stop(world.workloads[at]!), world.workloads[at]);
  const owned = () => world.workloads[at]!;
  return { world, owned };
}

describe.each(cases)('%s', (_, kind, stop, letGo, command) => {
  it('is asked to be let go before anything is downgraded; it stays held, and the run ends', async () => {
    const { world, owned } = stopped(newer, kind, stop);
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'PausedByOwner');
    expect(shown(world).message).toMatch(command);
    await goOn(world, 10);
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(runningPods(world, newer).length).toBeGreaterThanOrEqual(4);
    await apply(world, letGo(owned()));
    expect(owned().spec).toMatchObject(
      kind === 'Deployment' ? { paused: true } : { updateStrategy: { rollingUpdate: { partition: 2147483647 } } },
    );
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(world.harm).toEqual([]);
    expect(runningPods(world, older)).toHaveLength(world.workloads.length);
  });

  it('of an upgrade is given back as it was, and nobody waits for it', async () => {
    const { world, owned } = stopped(older, kind, stop);
    Object.assign(world, { outside: 'a cloud login is needed', migrates: true } satisfies Partial<World>);
    const before = structuredClone(owned().spec);
    await deploy(world, newer);
    await goOn(world, 20);
    expect({ ...owned().spec, template: before.template }).toEqual(before);
    expect(outcomes(world).filter((outcome) => outcome === undefined)).toEqual([]);
    expect(world.gates.size).toBe(0);
  });

  it('is named by the last word of a run that leaves it so: what it changes to, and when', async () => {
    const { world, owned } = stopped(newer, kind, stop);
    const image = 'acme/airflow:rebuilt';
    world.contents[image] = '3.2.1';
    await deploy(world, image);
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['NotNeeded']);
    const conditions = shown(world).conditions ?? [];
    const name = `${kind.toLowerCase()}/${owned().metadata.name}`;
    for (const message of [shown(world).message, conditions.find(({ type }) => type === 'Ready')?.message])
      expect(message).toMatch(new RegExp(`; ${name} .* by its owner: .* to ${image} when it is `));
    expect(String(shown(world).message).match(/by its owner/g)).toHaveLength(1);
  });
});
