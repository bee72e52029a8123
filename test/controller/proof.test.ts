/** Whether a copy sees what the Airflow sees that it was made of, asked of both before anything is written for a drain. */
import { expect, it } from 'vitest';
import { isCopy } from '../../src/release/kubernetes/helper-pods.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import type { Digests } from '../../src/release/model/runner.ts';
import { makeLabelledWorkloads } from '../make/release.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  expectClean,
  goOn,
  isDone,
  look,
  newer,
  older,
  outcomes,
  record,
  running,
  shown,
  until,
} from './place.ts';

const isRunner = ({ metadata }: PodObject) => metadata.labels?.[label.role] === 'runner';
const runnerOf = (world: World) => world.pods.find(isRunner);
const isUndrained = (world: World) => world.gates.size === 0 && record(world).drainStartedAt === undefined;
const seesOther =
  (other: Partial<Digests>): World['settings'] =>
  (_, of) =>
    of === 'runner' ? other : {};
const plan = (world: World) => [...(record(world).plan?.notes ?? []), ...(shown(world).plan as string[])].join(' | ');

/** A release that is to go back, whose pods were told what a test says; looked at until a proof is in its record. */
async function asked(settings: World['settings'], workloads?: Parameters<typeof running>[1]): Promise<World> {
  const world = workloads ? running(newer, workloads) : running(newer);
  world.settings = (...args) => {
    expect(isUndrained(world)).toBe(true);
    return settings(...args);
  };
  await deploy(world, older);
  await until(world, () => record(world).proof !== undefined);
  return world;
}

it('a copy that sees the same is used, and both were asked with one key, which is nowhere in the record', async () => {
  const world = running(newer);
  const told: string[] = [];
  world.settings = () => ({ fernet_key: 'k', sql_alchemy_conn: 'at db' });
  const { digestSettings } = world.reads;
  world.reads.digestSettings = async (...of) => {
    const answer = await digestSettings(...of);
    if ('told' in answer) told.push(...Object.values(answer.told).filter((one) => one !== null));
    return answer;
  };
  await deploy(world, older);
  await until(world, () => record(world).proof !== undefined);
  expect(told.length).toBeGreaterThan(3);
  expect(record(world).proof).toMatchObject({ differ: [], pod: expect.stringMatching(/^af-api-server-/) });
  const [key, ...others] = world.keys;
  expect([key, others]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), [key]]);
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(world.keys).toHaveLength(2);
  const written = JSON.stringify([world.downgrades, world.events]);
  for (const secret of [key!, ...told]) expect(written).not.toContain(secret);
  expect(plan(world)).not.toMatch(/not proved|credentials/);
  expectClean(world, older);
});

it('each comparison has a key of its own', async () => {
  const first = await asked(() => ({}));
  const second = await asked(() => ({}));
  expect(first.keys[0]).not.toBe(second.keys[0]);
});

it.each<[string, Partial<Digests>]>([
  ['fernet_key', { fernet_key: null }],
  ['sql_alchemy_conn', { sql_alchemy_conn: 'elsewhere' }],
  ['external_db_managers', { external_db_managers: 'none', credentials: 'another' }],
])('a copy that sees another %s gives way to the old pod itself, which is told with its name', async (name, other) => {
  const world = await asked(seesOther(other));
  await until(world, () => runnerOf(world) !== undefined && !isCopy({ object: runnerOf(world)! } as never));
  const said = new RegExp(`the copy pod/\\S+ sees another ${name} than the Airflow that runs in pod/af-api-server`);
  expect(world.events.find(({ reason }) => reason === 'RunnerStarting')?.message).toMatch(said);
  await until(world, () => shown(world).phase === 'AwaitingApproval');
  expect(plan(world)).toMatch(said);
  expect(isUndrained(world)).toBe(true);
  await goOn(world, 10);
  expect(world.keys).toHaveLength(2);
});

it('where the runner can live in no old pod, nothing is begun: the run says which setting differs, and another copy is compared', async () => {
  const world = await asked(seesOther({ fernet_key: 'another' }), makeLabelledWorkloads(newer));
  await until(world, () => shown(world).reason === 'SettingsDiffer');
  await goOn(world, 10);
  expect(shown(world)).toMatchObject({
    reason: 'SettingsDiffer',
    message: expect.stringMatching(/sees another fernet_key than .*; set the newer image again, with these settings/),
  });
  expect(world.keys).toHaveLength(2);
  expect(isUndrained(world)).toBe(true);
  world.settings = () => ({});
  world.pods = world.pods.filter((p) => !isRunner(p));
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  expectClean(world, older);
});

it('a login of its own for each pod refuses no rescue, and is told', async () => {
  const world = await asked((pod) => ({ credentials: pod.metadata.name }));
  await until(world, () => record(world).plan !== undefined);
  expect(plan(world)).toMatch(/connects with other credentials than pod\/af-api-server\S+, to the same database/);
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
});

it('another host is a difference, although the database at its end has the same identity: a clone has it, too', async () => {
  const world = await asked(seesOther({ host: 'of another node' }));
  expect(record(world).proof).toMatchObject({ differ: ['host'] });
  await until(world, () => shown(world).phase === 'AwaitingApproval');
  expect(plan(world)).toMatch(/no copy is used: .*sees another sql_alchemy_conn \(host or port\)/);
});

it('a copy that sees something else is not used either when the old pod that was the runner is lost after the drain', async () => {
  const world = await asked(seesOther({ fernet_key: 'another' }));
  await until(world, () => shown(world).phase === 'AwaitingApproval');
  Object.assign(world.downgrades[0]!.spec, { approved: record(world).plan!.hash, backup: { waivedBy: 'me' } });
  await until(world, () => {
    Object.assign(world.downgrades[0]!.spec, { approved: record(world).plan!.hash });
    return record(world).progress?.kind === 'core';
  });
  world.settings = () => ({});
  world.pods = world.pods.filter((p) => !isRunner(p));
  // Thrown, and told by the loop like every act that fails (failures.ts).
  const refused = /sees another fernet_key .*No copy is used.*what is left is a person's work/;
  for (let i = 0; i < 5; i++) {
    await expect(look(world)).rejects.toThrow(refused);
    world.tick();
  }
  expect(world.pods.filter(isRunner)).toEqual([]);
});

it.each<[string, World['settings'], RegExp]>([
  [
    'an old pod that may not be asked',
    (_, of) => (of === 'airflow' ? 'may not be asked' : {}),
    /af-api-server\S+: may/,
  ],
  ['a copy that does not answer', (_, of) => (of === 'runner' ? 'no answer' : {}), /-runner: no answer/],
])('%s proves nothing, stops nothing, and the plan says so', async (_, settings, why) => {
  const world = await asked(settings);
  expect(record(world).proof).not.toHaveProperty('differ');
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(plan(world)).toMatch(/it is not proved that the copy sees the settings of the running Airflow/);
  expect(plan(world)).toMatch(why);
});

it('an old pod that ended before it was asked leaves it unproved', async () => {
  const world = running(newer);
  await deploy(world, older);
  await until(world, () => runnerOf(world) !== undefined);
  expect(record(world)).not.toHaveProperty('proof');
  world.crashing = new Set(world.pods.filter((p) => !isRunner(p)).map((p) => p.metadata.name));
  world.tick();
  await until(world, () => record(world).proof !== undefined);
  expect(record(world).proof?.why).toMatch(/does not run any more/);
});
