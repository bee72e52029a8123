/** Before, during and after the schema step: the copy, consent, and the return, in a world in memory. */
import { describe, expect, it } from 'vitest';
import { defaultRules } from '../../src/release/model/policy.ts';
import { roleOf } from '../make/containers.ts';
import { headsOf } from '../make/release.ts';
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
  runningPods,
  shown,
  until,
} from './place.ts';

const spec = (world: World) => world.downgrades.at(-1)!.spec;
/** Types the command that the Downgrade shows, with a name where it asks for one. */
function agreeAsTold(world: World) {
  const [, patch] = /-p '([^']*)'/.exec(String(shown(world).message))!;
  Object.assign(spec(world), JSON.parse(patch!.replace(/<[^>]*>/, 'somebody')).spec);
}

const copies = (world: World) => Object.keys(world.copies);
const newHeads = { alembic_version: [headsOf['3.2.1'].core], alembic_version_fab: [headsOf['3.2.1'].fab] };
const oldHeads = { alembic_version: [headsOf['3.1.8'].core], alembic_version_fab: [headsOf['3.1.8'].fab] };

/** The run ends with everything on the newer version, as if nothing had happened. */
async function expectReturned(world: World, outcome: 'Returned' | 'Canceled') {
  await until(world, isDone(world));
  await goOn(world, 4);
  expect(outcomes(world)).toEqual([outcome]);
  expect(world.database).toMatchObject({ versionTables: newHeads });
  expectClean(world, newer);
}

const hasBegun = (world: World) => Boolean(record(world).schemaStartedAt);

describe('the copy', () => {
  it('S2-9, S2-13, G27: is made after the drain and before the first step, and is kept as the policy says', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => copies(world).length > 0);
    expect([record(world).drainedAt, hasBegun(world)]).toEqual([expect.any(String), false]);
    expect(world.pods.filter((p) => p.status?.phase === 'Running').map(roleOf)).toEqual(['runner']);
    await until(world, isDone(world));
    expect(world.copies[record(world).backup!.name!]).toEqual(newHeads);
    expect(world.database).toMatchObject({ versionTables: oldHeads });
    const hours = Date.parse(record(world).backup!.keepUntil!) - Date.parse(record(world).backup!.verifiedAt!);
    expect(hours).toBe(168 * 3_600_000);
    expect(shown(world)).toMatchObject({ backup: { way: 'ServerCopy', name: record(world).backup!.name } });
  });

  it('that fails opens the release again and asks; nothing was changed; once someone waives it the run goes on', async () => {
    const world = running(newer);
    world.copyFails = 'could not extend file: No space left on device';
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    await goOn(world, 8);
    expect(shown(world).message).toContain('No space left on device');
    expect(world.gates.size).toBe(0);
    expect(runningPods(world, newer).length).toBeGreaterThanOrEqual(4);
    expect(world.database).toMatchObject({ versionTables: newHeads });
    spec(world).backup = { waivedBy: 'Ada' };
    await goOn(world, 5);
    expect(shown(world)).toMatchObject({ reason: 'AwaitingApproval', phase: 'AwaitingApproval' });
    agreeAsTold(world);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(record(world).backup).toMatchObject({ way: 'Waiver', named: 'Ada' });
  });

  it('that is not possible here is known before the drain: the old version serves until somebody names a backup', async () => {
    const world = running(newer);
    world.copyImpossible = 'role airflow may not create databases';
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    await goOn(world, 8);
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(shown(world).message).toMatch(/may not create databases.*kubectl -n air patch downgrade/);
    agreeAsTold(world);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

it('a copy that was made before the release was opened again is dropped and made anew', async () => {
  const world = running(newer);
  const { patchDowngradeStatus } = world.writes;
  const steps: string[] = [];
  let killed = false;
  // The policy changes between the copy and the schema step, which has not begun.
  world.writes.patchDowngradeStatus = async (namespace, name, status, read) => {
    const begins = (status.record as { schemaStartedAt?: string } | undefined)?.schemaStartedAt;
    if (begins && !killed) {
      killed = true;
      world.mode = 'Deny';
      throw new Error('killed');
    }
    return patchDowngradeStatus(namespace, name, status, read);
  };
  const { writeFile } = world.writes;
  world.writes.writeFile = async (...args) => {
    if (args[3].endsWith('orders.json')) steps.push(...JSON.parse(args[4]).steps.map((s: { kind: string }) => s.kind));
    return writeFile(...args);
  };
  await deploy(world, older);
  for (let i = 0; i < 60 && shown(world).reason !== 'PolicyDenies'; i++) {
    await look(world).catch((error) => expect(error.message).toBe('killed'));
    world.tick();
  }
  await goOn(world, 8);
  expect(runningPods(world, newer).length).toBeGreaterThanOrEqual(4);
  expect(record(world).backup).toMatchObject({ stale: true });
  world.mode = 'Hold';
  steps.length = 0;
  await until(world, isDone(world));
  expect(outcomes(world)).toEqual(['Downgraded']);
  expect(steps).toEqual(['dropCopy', 'copy', 'convert', 'core', 'manager', 'repair', 'verify']);
  expect(record(world).backup!.stale).toBeUndefined();
});

describe('consent', () => {
  it('Always: asks with the exact command, and goes on when this very plan is approved', async () => {
    const world = running(newer);
    world.rules = { ...defaultRules, approval: 'Always' };
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    spec(world).approved = '000000000000';
    await goOn(world, 5);
    expect(shown(world).reason).toBe('AwaitingApproval');
    expect(shown(world).approval).toContain(`"approved":"${shown(world).planHash}"`);
    spec(world).approved = String(shown(world).planHash);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

const moments: [string, (world: World) => boolean][] = [
  ['while it is planned', (w) => w.downgrades.length > 0],
  ['in the drain', (w) => Boolean(record(w).drainStartedAt)],
  ['while the copy is made', (w) => Boolean(record(w).backup)],
  ['when the schema step has begun', hasBegun],
  ['in the middle of the schema step', (w) => record(w).progress?.kind === 'core'],
];

describe.each([
  ['a verified copy', (_: World) => {}],
  [
    'a waiver',
    (w: World) => {
      w.copyImpossible = 'no';
      w.rules = { ...defaultRules, approval: 'Never', backup: { ...defaultRules.backup, required: false } };
    },
  ],
])('the return, with %s', (with_, prepare) => {
  const due = moments.filter(([when]) => with_ === 'a verified copy' || !when.includes('copy'));

  it.each(due)('S2-39, G22: spec.abort %s: the newer version serves again, on its own data', async (_, at) => {
    const world = running(newer);
    prepare(world);
    await deploy(world, older);
    await until(world, at);
    const begun = hasBegun(world);
    spec(world).abort = true;
    await expectReturned(world, begun ? 'Returned' : 'Canceled');
    const [answer] = await deploy(world, older);
    expect(answer).toMatchObject({ allowed: false, audit: { reason: 'ReturnedBefore' } });
    world.downgrades = [];
    expect((await deploy(world, older))[0]!.allowed).toBe(true);
  });

  it.each(due)('G34: the newer image again (helm --atomic) %s: the same end', async (_, at) => {
    const world = running(newer);
    prepare(world);
    await deploy(world, older);
    await until(world, at);
    const begun = hasBegun(world);
    await deploy(world, newer);
    await expectReturned(world, begun ? 'Returned' : 'Canceled');
    expect((await deploy(world, older))[0]!.allowed).toBe(true);
  });
});

describe('a step that fails', () => {
  it('Ask: the release stays drained, says what failed, and spec.abort brings it back', async () => {
    const world = running(newer);
    world.stepFails = 'column does not exist';
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'DowngradeFailed');
    await goOn(world, 10);
    expect(shown(world)).toMatchObject({ reason: 'DowngradeFailed', message: 'column does not exist' });
    spec(world).abort = true;
    await expectReturned(world, 'Returned');
  });

  it('that may pass (a server that restarts, S2-31) is tried again by a new runner, whatever the policy', async () => {
    const world = running(newer);
    world.rules = { ...defaultRules, onFailure: 'Return' };
    world.stepFails = 'OperationalError: server closed the connection unexpectedly';
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'DowngradeFailed');
    expect(shown(world).message).toMatch(/server closed the connection unexpectedly; it is tried again in 20 s/);
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  it('Return: the copy takes its place again by itself, and the same change is refused until someone decides', async () => {
    const world = running(newer);
    world.rules = { ...defaultRules, onFailure: 'Return' };
    world.stepFails = 'column does not exist';
    await deploy(world, older);
    await expectReturned(world, 'Returned');
    expect(record(world).returnBy).toBe('Failure');
    expect((await deploy(world, older))[0]).toMatchObject({ allowed: false, audit: { reason: 'ReturnedBefore' } });
  });
});
