/** S2-8, S2-9: the ways of a backup beside the copy on the server, one after the other; in a world in memory. */
import { describe, expect, it } from 'vitest';
import { readRun } from '../../src/release/kubernetes/downgrade.ts';
import { backupVolume } from '../../src/release/kubernetes/helper-pods.ts';
import { dumpPlace } from '../../src/release/model/backup-names.ts';
import { defaultRules, type Rules } from '../../src/release/model/policy.ts';
import { makeDatabase } from '../make/release.ts';
import type { World } from '../make/world-parts.ts';
import {
  expectClean,
  goOn,
  isDone,
  Killed,
  look,
  newer,
  older,
  outcomes,
  record,
  running,
  runningPods,
  setImage,
  shown,
  until,
} from './place.ts';

type Backup = Partial<Rules['backup']>;

const ready = () => ({ readyToUse: true, restoreSize: '10Gi' });
const completed = () => ({ phase: 'completed' });
const dumps: Backup = { ways: ['Dump'], dump: { claim: 'backups', subPath: 'airflow' } };
const snapshots: Backup = { ways: ['VolumeSnapshot'], volumeSnapshot: { claim: 'data-db-0', namespace: 'db' } };
const cnpg: Backup = { ways: ['CNPGBackup'], cnpg: { cluster: 'pg', method: 'plugin', plugin: 'barman' } };

function wanting(backup: Backup, more: Partial<Rules> = {}): World {
  const world = running(newer);
  world.rules = { ...defaultRules, ...more, backup: { ...defaultRules.backup, ...backup } };
  return world;
}

async function begin(world: World): Promise<World> {
  setImage(world, older);
  await look(world);
  return world;
}

const runner = (world: World) =>
  world.pods.find((p) => p.metadata.name.endsWith('-runner') && !p.metadata.deletionTimestamp);
const plan = (world: World) => (shown(world).plan as string[] | undefined) ?? [];
const spec = (world: World) => world.downgrades[0]!.spec;
const newHeads = makeDatabase().versionTables;

describe('Dump', () => {
  it('is made on the claim that the policy names, and told with its term; nothing is left on the server', async () => {
    const world = await begin(wanting(dumps));
    await until(world, isDone(world));
    expectClean(world, older);
    const { name, keepUntil, verifiedAt } = record(world).backup!;
    expect(record(world).backup).toMatchObject({ way: 'Dump', volume: { claim: 'backups', subPath: 'airflow' } });
    expect(world.dumps).toEqual({ [name!]: newHeads });
    expect(shown(world)).toMatchObject({ backup: { way: 'Dump', name, claim: 'backups', keepUntil, verifiedAt } });
    expect(plan(world).at(-1)).toMatch(/^backup: a verified dump on volume claim backups, folder airflow, made after/);
    world.now = new Date(world.now.getTime() + 200 * 3_600_000);
    expect(await look(world)).toEqual({ act: 'rest' });
    expect(Object.keys(world.dumps)).toHaveLength(1);
  });

  it.each([
    ['a server that can not copy', { copyImpossible: 'the role may not create databases' }],
    ['a copy that failed', { copyFails: 'DiskFull: no space left on the server' }],
  ])('S2-9, S2-13: is the next way after %s', async (_, trouble) => {
    const world = wanting({ ...dumps, ways: ['ServerCopy', 'Dump'] });
    Object.assign(world, trouble);
    await begin(world);
    await until(world, isDone(world));
    expectClean(world, older);
    expect(record(world).backup).toMatchObject({ way: 'Dump', name: expect.stringMatching(/-\d{14}$/) });
    expect(plan(world).at(-1)).toMatch(/^backup: a verified dump on .* \(no copy on the server: /);
    expect(world.copies).toEqual({});
  });

  it('that fails gives way to the next, and the old version serves while a person is asked', async () => {
    const world = wanting({ ...dumps, ways: ['Dump', 'Reference'] });
    world.copyFails = 'DiskFull: no space left on the volume';
    await begin(world);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    await goOn(world, 6);
    expect(runningPods(world, newer)).toHaveLength(world.workloads.length);
    expect(shown(world).approval).toContain('no dump: DiskFull: no space left on the volume');
    spec(world).backup = { reference: 'barman 2026-11-21' };
    await until(world, isDone(world));
    expect(record(world).backup).toMatchObject({ way: 'Reference', named: 'barman 2026-11-21' });
    expect(plan(world)).toContain('note: what is written after the named backup was taken is not in it');
  });

  it('is loaded again on a return, in place and by a runner with the same volume, whatever the policy says by now', async () => {
    const world = await begin(wanting(dumps));
    await until(world, () => record(world).progress?.kind === 'core');
    world.rules = defaultRules;
    world.pods = world.pods.filter((p) => p !== runner(world));
    spec(world).abort = true;
    await until(world, () => Boolean(runner(world)));
    expect(backupVolume(runner(world)!)).toEqual(dumps.dump);
    await until(world, isDone(world));
    await goOn(world, 4);
    expectClean(world, newer);
    expect([outcomes(world), world.database]).toMatchObject([['Returned'], { versionTables: newHeads }]);
    expect(shown(world).message).toMatch(/^the dump made before was loaded again/);
  });

  it('by policy, when a step fails', async () => {
    const world = wanting(dumps, { onFailure: 'Return' });
    await begin(world);
    await until(world, () => Boolean(record(world).backup?.verifiedAt));
    world.stepFails = 'ProgrammingError: no';
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Returned']);
    expect(world.database).toMatchObject({ versionTables: newHeads });
  });

  it('of a drain that was opened again does not count: the next drain has one of its own', async () => {
    const world = wanting(dumps);
    const { patchDowngradeStatus } = world.writes;
    let first: string | null | undefined;
    world.writes.patchDowngradeStatus = async (namespace, name, status, read) => {
      const begins = (status.record as { schemaStartedAt?: string } | undefined)?.schemaStartedAt;
      if (begins && !first) {
        first = record(world).backup?.name;
        world.mode = 'Deny';
        throw new Killed('before the schema step');
      }
      return patchDowngradeStatus(namespace, name, status, read);
    };
    setImage(world, older);
    for (let i = 0; i < 60 && shown(world).reason !== 'PolicyDenies'; i++) {
      await look(world).catch((error) => expect(error).toBeInstanceOf(Killed));
      world.tick();
    }
    expect(record(world).backup).toMatchObject({ stale: true, name: first });
    world.mode = 'Hold';
    await until(world, isDone(world));
    expectClean(world, older);
    expect(record(world).backup!.name).not.toBe(first);
    expect(record(world).backup!.stale).toBeUndefined();
  });

  it('on a claim that is not there: said by its name before the drain, and mended by mending the policy', async () => {
    const world = wanting({ ...dumps, dump: { claim: 'bakcups' } });
    world.claimsMissing.add('bakcups');
    await begin(world);
    await until(world, () => shown(world).reason === 'RunnerNotStarted');
    expect(shown(world).message).toMatch(/with volume claim bakcups of the policy's backup\.dump: .*not found/);
    expect(runningPods(world, newer)).toHaveLength(world.workloads.length);
    world.rules = { ...world.rules, backup: { ...world.rules.backup, dump: { claim: 'backups' } } };
    await until(world, isDone(world));
    expectClean(world, older);
    expect(record(world).backup).toMatchObject({ way: 'Dump', volume: { claim: 'backups' } });
  });

  it('without a claim, or in an old pod as runner, is not possible, and that is said', async () => {
    const world = await begin(wanting({ ways: ['Dump'] }));
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    expect(shown(world).approval).toContain('no DowngradePolicy of this namespace sets backup.dump.claim');
    expect(backupVolume(runner(world)!)).toBeUndefined();
    const other = wanting(dumps);
    setImage(other, older);
    await until(other, () => shown(other).reason === 'AwaitingApproval', { runner: 'OldPod' });
    expect(shown(other).approval).toMatch(/no dump: the runner is pod\/\S+ itself \(OldPod\), which has no volume/);
  });

  it('the volume is given only where the policy lists the way', () => {
    const of = (backup: Backup) =>
      dumpPlace({ ...defaultRules, backup: { ...defaultRules.backup, ...backup } }, readRun(world.downgrades[0]!));
    const world = running(newer);
    world.downgrades = [{ metadata: { name: 'x', namespace: 'air' }, spec: {} } as never];
    expect([of(dumps), of({ ...dumps, ways: ['ServerCopy'] })]).toEqual([dumps.dump, undefined]);
  });
});

describe.each([
  ['VolumeSnapshot', snapshots, 'db', ready],
  ['CNPGBackup', cnpg, 'air', completed],
] as const)('%s', (way, backup, namespace, done) => {
  it('is asked for once after the drain, and the schema step waits until its maker is done', async () => {
    const world = await begin(wanting(backup));
    await until(world, () => shown(world).reason === 'BackingUp' && world.backups.length > 0);
    await goOn(world, 20);
    expect([world.backups.length, record(world).schemaStartedAt]).toEqual([1, undefined]);
    expect(runningPods(world, newer)).toHaveLength(0);
    expect(world.backups[0]!.metadata).toMatchObject({
      namespace,
      labels: { 'downdraft.dev/run': `af-${suffix(world)}` },
    });
    world.maker = done;
    await until(world, isDone(world));
    expectClean(world, older);
    const { name } = world.backups[0]!.metadata;
    expect(record(world).backup).toMatchObject({ way, name, namespace, keepUntil: expect.any(String) });
    expect(record(world).backup?.bytes).toBe(way === 'VolumeSnapshot' ? 10 * 2 ** 30 : undefined);
    expect(plan(world).at(-1)).toMatch(/going back to it is work of a person; downdraft itself only migrates up again/);
    world.now = new Date(world.now.getTime() + 200 * 3_600_000);
    expect(await look(world)).toEqual({ act: 'rest' });
    expect(world.backups).toHaveLength(1);
  });

  it('that the cluster does not offer is known before the drain', async () => {
    const world = wanting(backup);
    world.outlook = { [way]: ['the cluster has no such API'] };
    await begin(world);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    expect(shown(world).approval).toContain('the cluster has no such API');
    expect([world.backups, record(world).drainStartedAt]).toEqual([[], undefined]);
  });

  it('that is refused or is not ready in time gives way to the next; the old version serves meanwhile', async () => {
    for (const trouble of ['refused', 'slow'] as const) {
      const world = wanting({ ...backup, ways: [way, 'ServerCopy'] });
      if (trouble === 'refused') world.refuses = 'the API server refused it: exceeded quota';
      await begin(world);
      if (trouble === 'slow') {
        await until(world, () => shown(world).reason === 'BackingUp' && world.backups.length > 0);
        world.now = new Date(world.now.getTime() + 61 * 60_000);
      }
      await until(world, isDone(world));
      expectClean(world, older);
      expect(record(world).backup).toMatchObject({ way: 'ServerCopy', name: expect.stringMatching(/^downdraft_af_/) });
      expect(plan(world).at(-1)).toMatch(trouble === 'refused' ? /exceeded quota/ : /not ready after 61 minutes/);
    }
  });

  it('is nothing to return by: after the schema step the newer image migrates up', async () => {
    const world = wanting(backup);
    world.maker = done;
    await begin(world);
    await until(world, () => record(world).progress?.kind === 'core');
    spec(world).abort = true;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Returned']);
    expect(world.database).toMatchObject({ versionTables: newHeads });
  });

  it('that somebody else made under that name never counts', async () => {
    const world = await begin(wanting({ ...backup, ways: [way, 'ServerCopy'] }));
    await until(world, () => record(world).backup?.way === way);
    await until(world, () => world.backups.length > 0);
    world.backups[0]!.metadata.annotations = {};
    world.maker = done;
    await until(world, isDone(world));
    expect(record(world).backup).toMatchObject({ way: 'ServerCopy' });
    expect(plan(world).at(-1)).toContain('was not made by this run');
  });
});

it('a VolumeSnapshot whose driver names an error is given a minute; the failure of CloudNativePG is final', async () => {
  const erring = wanting({ ...snapshots, ways: ['VolumeSnapshot', 'ServerCopy'] });
  erring.maker = () => ({ readyToUse: false, error: { message: 'no snapshot class' } });
  await begin(erring);
  await until(erring, () => String(shown(erring).message).includes('no snapshot class'));
  erring.now = new Date(erring.now.getTime() + 61_000);
  await until(erring, isDone(erring));
  expect(plan(erring).at(-1)).toMatch(/no volume snapshot: VolumeSnapshot db\/downdraft-af-\S+: no snapshot class/);
  const failed = wanting({ ...cnpg, ways: ['CNPGBackup', 'ServerCopy'] });
  failed.maker = () => ({ phase: 'failed', error: 'no space in the bucket' });
  await begin(failed);
  await until(failed, isDone(failed));
  expect(plan(failed).at(-1)).toMatch(/no backup by CloudNativePG: Backup air\/\S+ failed: no space in the bucket/);
});

it('a snapshot elsewhere that no policy names any more is not waited for: the next way is taken', async () => {
  const world = await begin(wanting({ ...snapshots, ways: ['VolumeSnapshot', 'ServerCopy'] }));
  await until(world, () => world.backups.length > 0);
  world.rules = defaultRules;
  await until(world, isDone(world));
  expectClean(world, older);
  expect(record(world).backup).toMatchObject({ way: 'ServerCopy' });
});

const suffix = (world: World) => world.downgrades[0]!.metadata.name.replace(/^af-/, '');
