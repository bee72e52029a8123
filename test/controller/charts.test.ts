/** Whole runs of releases of other charts, and of two releases side by side. */
import { describe, expect, it } from 'vitest';
import { label } from '../../src/release/model/kubernetes.ts';
import { makeCommunityWorkloads, makeDatabase, makeLabelledWorkloads, makeWorkloads } from '../make/release.ts';
import { makeDeployment } from '../make/workload.ts';
import type { World } from '../make/world-parts.ts';
import {
  deployed as deploy,
  expectClean,
  goOn,
  isDone,
  newer,
  older,
  outcomes,
  record,
  running,
  shown,
  until,
} from './place.ts';

describe('the community chart', () => {
  it('goes through a whole run; db-migrations ends first, so that it never migrates up again', async () => {
    const world = running(newer, makeCommunityWorkloads());
    const ended: string[] = [];
    const { deletePod } = world.writes;
    world.writes.deletePod = async (namespace, name, uid) => {
      if (!/probe|runner/.test(name)) ended.push(name.replace(/-\d+$/, ''));
      return deletePod(namespace, name, uid);
    };
    expect(await deploy(world, older)).toEqual(Array(6).fill('DatabaseAhead'));
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['Downgraded']);
    const firstWave = ended.slice(0, 3).sort();
    expect(firstWave).toEqual(['af-db-migrations', 'af-scheduler', 'af-sync-users']);
    expect(ended.indexOf('af-web')).toBeGreaterThan(ended.indexOf('af-worker'));
    expectClean(world, older);
  });

  it('a db-migrations pod that comes back in mid-run waits behind the gate', async () => {
    const world = running(newer, makeCommunityWorkloads());
    await deploy(world, older);
    await until(world, () => Boolean(record(world).schemaStartedAt));
    const pod = world.pods.find((p) => p.metadata.name.startsWith('af-db-migrations'))!;
    expect(pod.spec.schedulingGates).toHaveLength(1);
    await until(world, isDone(world));
    expect(world.harm).toEqual([]);
  });
});

describe('Astronomer’s chart', () => {
  it('goes through a whole run: its scheduler is Recreate, its triggerer a Deployment', async () => {
    const [apiServer] = makeWorkloads();
    const scheduler = makeDeployment({ component: 'scheduler', strategy: { type: 'Recreate' } });
    const world = running(newer, [apiServer!, scheduler, makeDeployment({ component: 'triggerer' })]);
    const pod = () => world.pods.find((p) => p.metadata.name.startsWith('af-scheduler'))!;
    const before = pod().metadata.uid;
    expect(await deploy(world, older)).toEqual(Array(3).fill('DatabaseAhead'));
    world.tick();
    expect(pod().metadata.uid).toBe(before);
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });
});

describe('plain manifests with the label downdraft.dev/release', () => {
  it('go through a whole run; runner and probe carry the label', async () => {
    const world = running(newer, makeLabelledWorkloads());
    expect(await deploy(world, older)).toEqual(Array(3).fill('DatabaseAhead'));
    await until(world, () => world.pods.some((p) => p.metadata.name.endsWith('-runner')));
    const runner = world.pods.find((p) => p.metadata.name.endsWith('-runner'))!;
    expect(runner.metadata.labels).toMatchObject({ [label.release]: 'af', [label.role]: 'runner' });
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  it('with runner OldPod a copy is used, since which labels its Service selects by is not known', async () => {
    const world = running(newer, makeLabelledWorkloads());
    await deploy(world, older);
    await until(world, () => world.pods.some((p) => p.metadata.name.endsWith('-runner')), { runner: 'OldPod' });
    await until(world, isDone(world), { runner: 'OldPod' });
    expect(outcomes(world)).toEqual(['Downgraded']);
  });
});

describe('Airflow 2, whose API is the webserver', () => {
  it('G17: goes through a whole run without an api-server', async () => {
    const [, scheduler, , triggerer] = makeWorkloads();
    const world = running(newer, [scheduler!, triggerer!, makeDeployment({ component: 'webserver' })]);
    await deploy(world, older);
    await until(world, isDone(world));
    await goOn(world, 3);
    expectClean(world, older);
  });
});

describe('two releases in one namespace', () => {
  const both = () => [...makeWorkloads(), ...makeWorkloads({ release: 'bf' })];
  const of = (world: World, release: string) => world.downgrades.filter((d) => d.spec.release === release);
  const version = (world: World) => [world.database, world.databases['bf-metadata']];

  it('S1-5, G14: downgraded at the same time, each on its own database, by its own runner', async () => {
    const world = running(newer, both());
    await deploy(world, older);
    const isEnded = () => ['af', 'bf'].every((r) => of(world, r).some((d) => d.status?.record?.outcome));
    for (let i = 0; i < 80 && !isEnded(); i++) {
      await goOn(world, 1, { release: 'af' });
      await goOn(world, 1, { release: 'bf' });
    }
    await goOn(world, 3, { release: 'bf' });
    expect(outcomes(world)).toEqual(['Downgraded', 'Downgraded']);
    for (const database of version(world))
      expect(database).toMatchObject({ versionTables: { alembic_version: ['509b94a1042d'] } });
    expectClean(world, older);
  });

  it('one fails its step and stays drained; the other goes through', async () => {
    const world = running(newer, both());
    await deploy(world, older);
    world.stepFails = 'lock timeout';
    await until(world, () => shown(world).reason === 'DowngradeFailed', { release: 'bf' });
    await until(world, () => of(world, 'af').some((d) => d.status?.record?.outcome), { release: 'af' });
    expect(of(world, 'af')[0]!.status!.record!.outcome).toBe('Downgraded');
    expect([...world.gates]).toEqual(['air/bf']);
    expect(version(world)).toMatchObject([
      { versionTables: { alembic_version: ['509b94a1042d'] } },
      { versionTables: makeDatabase().versionTables },
    ]);
    expect(world.harm).toEqual([]);
  });
});
