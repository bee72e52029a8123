/**
 * The decision table of the proposal apache/airflow#68074 (its db_migrate.py, commit ca3d1b2b), row by row: what that
 * script does in each situation is known; this is what downdraft does there.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { knowImage } from '../../src/release/airflow/images.ts';
import type { DatabaseState } from '../../src/release/model/database.ts';
import { decide, ifResumable } from '../../src/release/verdict/decide.ts';
import { judge } from '../../src/release/verdict/judge.ts';
import { apply } from '../make/door.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDatabase, makeImage, makeWorkloads } from '../make/release.ts';
import type { World } from '../make/world-parts.ts';
import {
  deployed as deploy,
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
  withImage,
} from './place.ts';

const workload = { kind: 'Deployment', namespace: 'air', name: 'af-scheduler', release: 'af' };
const fab = ['02ca36b0235b'];

/** The verdict on an image by its reference alone, as at the first sight of it. */
function judged(image: string, database: DatabaseState, declared?: string) {
  const known = knowImage(image, { learned: undefined, repositories: ['apache/airflow'], declared });
  return judge({ workload, image: known, database, run: undefined });
}
const at = (...rows: string[]) => makeDatabase({ tables: { alembic_version: rows, alembic_version_fab: fab } });

describe('S1-3: deciding', () => {
  const rows: [
    row: string,
    image: string,
    database: DatabaseState,
    verdict: string,
    reason: string,
    declared?: string,
  ][] = [
    ['S1-10: environment lacks target', '', makeDatabase(), 'hold', 'ImageUnknown'],
    ['database unreachable', older, { state: 'unreadable', why: 'connection refused' }, 'hold', 'DatabaseUnreadable'],
    ['no alembic_version table', older, makeDatabase({ tables: {}, airflowTables: false }), 'allow', 'NewDatabase'],
    [
      'no alembic_version table, yet tables of Airflow',
      older,
      makeDatabase({ tables: {} }),
      'deny',
      'VersionTableEmptied',
    ],
    [
      'table empty',
      older,
      makeDatabase({ tables: { alembic_version: [] }, airflowTables: false }),
      'allow',
      'NewDatabase',
    ],
    ['table empty, even if Airflow tables exist', older, at(), 'deny', 'VersionTableEmptied'],
    ['more than one row', older, at('1d6611b6ab7c', '509b94a1042d'), 'deny', 'SeveralHeads'],
    ['target listed in the map', older, makeDatabase(), 'hold', 'DatabaseAhead'],
    ['target not listed, lower entries exist', 'apache/airflow:3.1.99', makeDatabase(), 'hold', 'ImageUnknown'],
    ['target above every entry', 'apache/airflow:99.0.0', makeDatabase(), 'hold', 'ImageUnknown'],
    ['target below every entry', 'apache/airflow:1.9.0', makeDatabase(), 'deny', 'TargetTooOld'],
    ['target not a valid version', 'acme/airflow:x', makeDatabase(), 'hold', 'ImageUnknown', 'three'],
    ['target a pre-release', 'apache/airflow:3.2.0rc1', makeDatabase(), 'hold', 'ImageUnknown'],
    [
      'head equals target head',
      'apache/airflow:3.2.0',
      makeDatabase({ tables: { alembic_version: ['1d6611b6ab7c'] } }),
      'allow',
      'Fits',
    ],
    [
      'head equals target head, providers not looked at',
      'apache/airflow:3.2.0',
      makeDatabase(),
      'hold',
      'ImageUnknown',
    ],
    ['head known, lower release', newer, makeDatabase({ version: '3.1.8' }), 'allow', 'Upgrade'],
    ['head known, higher release', older, makeDatabase(), 'hold', 'DatabaseAhead'],
    ['head not in the map: newer release', older, at('feedfacecafe'), 'hold', 'RevisionUnknown'],
    ['head not in the map: in-between, which our own chain has', older, at('134de42d3cb0'), 'hold', 'DatabaseAhead'],
  ];

  it.each(rows)('decision table: %s', (_, image, database, verdict, reason, declared) => {
    expect(judged(image, database, declared)).toMatchObject({ verdict, reason });
  });

  it('decision table: the same as in S1’s text of 5 June, by the image’s own word as well', () => {
    expect(judge({ workload, image: makeImage('3.1.8'), database: makeDatabase(), run: undefined })).toMatchObject({
      reason: 'DatabaseAhead',
    });
  });

  it('decision table: exception in the graph walk: no heads and no version make judge throw or guess a direction', () => {
    const revision = fc.oneof(
      fc.string(),
      fc.constantFrom('1d6611b6ab7c', '509b94a1042d', '__proto__', 'constructor', 'toString'),
    );
    const heads = fc.dictionary(
      fc.constantFrom('alembic_version', 'alembic_version_fab', 'alembic_version_x'),
      fc.array(revision, { maxLength: 3 }),
    );
    fc.assert(
      fc.property(heads, fc.string(), fc.option(fc.string(), { nil: undefined }), (tables, tag, declared) => {
        const database = makeDatabase({ tables });
        const said = judged(`apache/airflow:${tag}`, database, declared);
        const core = tables.alembic_version ?? [];
        if (core.length !== 1) expect(said.verdict).toBe('deny');
        else if (!['1d6611b6ab7c', '509b94a1042d'].includes(core[0]!)) expect(said.verdict).not.toBe('allow');
      }),
    );
  });

  it('decision table: downgrade, Kubernetes client missing: what downdraft may not do itself is refused at the door', () => {
    const verdict = judged(older, makeDatabase());
    const circumstances = {
      workload,
      mode: 'Hold',
      policies: [],
      fresh: false,
    } as const;
    expect(ifResumable(decide(verdict, circumstances), workload, ['create pods'])).toMatchObject({
      verdict: 'deny',
      reason: 'RightsMissing',
    });
  });
});

/** 3.2.1 runs, 3.1.8 is wanted, and the loop has come so far. */
async function held(due: (world: World) => boolean = () => true) {
  const world = running(newer);
  await deploy(world, older);
  await until(world, due);
  return world;
}

const runnerOf = (world: World) => world.pods.find((p) => p.metadata.name.endsWith('-runner'));
const isDraining = (world: World) => Boolean(record(world).drainStartedAt);
const hasBegun = (world: World) => Boolean(record(world).schemaStartedAt);

async function expectDowngraded(world: World) {
  await until(world, isDone(world));
  await goOn(world, 4);
  expect(outcomes(world)).toEqual(['Downgraded']);
  expectClean(world, older);
}

describe('the database', () => {
  it.each<[string, (world: World) => boolean]>([
    ['in Planning', (w) => Boolean(record(w).target)],
    ['in the drain', isDraining],
    ['in the schema step', hasBegun],
  ])(
    'decision table: connection lost after the first success, %s: asked of a pod, and the run goes on',
    async (_, due) => {
      const world = await held(due);
      world.outside = 'connection reset by peer';
      await goOn(world, 5);
      world.outside = undefined;
      await expectDowngraded(world);
    },
  );

  it('decision table: half-done downgrade, then retry: goes on from where the database is', async () => {
    const world = running(newer);
    world.database = at('middle');
    world.harm.length = 0;
    expect(await deploy(world, older)).toEqual(Array(4).fill('RevisionUnknown'));
    await until(world, () => Boolean(record(world).plan));
    expect(record(world).plan!.steps.find((s) => s.kind === 'core')).toMatchObject({
      from: 'middle',
      toRevision: '509b94a1042d',
      revisions: 1,
    });
    world.harm.length = 0;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('decision table: FAB or other managers ahead: downgraded on their own', async () => {
    const world = running(newer);
    world.database = makeDatabase({ tables: { alembic_version: ['509b94a1042d'], alembic_version_fab: fab } });
    const answer = await world.reads.digest(older, world.workloads[0]!);
    world.learned[older] = makeImage('3.1.8', {
      imageID: `docker.io/apache/airflow@${'digest' in answer! && answer.digest}`,
    });
    expect(await deploy(world, older)).toEqual(Array(4).fill('ProviderAhead'));
    await until(world, isDone(world));
    expect(record(world).plan!.steps.map((s) => s.kind)).toEqual(['manager', 'repair', 'verify']);
    expect(world.database).toMatchObject({ versionTables: { alembic_version_fab: ['6709f7a774b9'] } });
  });

  it('decision table: rows in the newer format: nothing is drained while there are some that no key opens', async () => {
    const world = running(newer);
    world.undecipherable = 3;
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'RowsUnreadable');
    await goOn(world, 10);
    expect([world.gates.size, record(world).drainStartedAt]).toEqual([0, undefined]);
  });
});

describe('whose pod downgrades it', () => {
  it('decision table: no Running api-server pod, G16: another component’s image does as well', async () => {
    const world = running(newer);
    for (const { metadata } of world.pods) if (metadata.name.includes('api-server')) world.crashing.add(metadata.name);
    world.tick();
    await deploy(world, older);
    await until(world, () => runnerOf(world) !== undefined);
    expect(runnerOf(world)!.spec.serviceAccountName).toBe('af-airflow-scheduler');
    await expectDowngraded(world);
  });

  it('decision table: Running but none Ready, S1-17: a copy of it, whose container is its own', async () => {
    const world = running(newer);
    for (const p of world.pods) p.status!.conditions = [{ type: 'Ready', status: 'False' }];
    await deploy(world, older);
    await look(world);
    world.tick();
    for (const p of world.pods.filter((pod) => !/probe|runner/.test(pod.metadata.name))) p.status!.conditions = [];
    await until(world, () => runnerOf(world) !== undefined);
    expect(runnerOf(world)!.spec.serviceAccountName).toBe('af-airflow-api-server');
    await expectDowngraded(world);
  });

  it('decision table: several, G14, G15: of this release and of the image that ran, never of the target or another release', async () => {
    const world = running(newer, [...makeWorkloads({ release: 'ab' }), ...makeWorkloads()]);
    const stray = makePod({ component: 'api-server', name: 'a-stray', image: older });
    for (const w of structuredClone(world.workloads).filter((o) => o.metadata.labels!.release === 'af'))
      await apply(world, withImage(w, older));
    world.pods.push({ ...stray, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } });
    await until(world, () => runnerOf(world) !== undefined);
    expect(runnerOf(world)!.metadata.labels!.release).toBe('af');
    expect(runnerOf(world)!.spec.serviceAccountName).toBe('af-airflow-api-server');
    expect(runnerOf(world)!.spec.containers[0]!.image).toBe(
      world.pods.find((p) => p.metadata.name.startsWith('af-scheduler'))!.status!.containerStatuses![0]!.imageID,
    );
  });
});

/** The world’s writes, of which one kind fails as long as the function says so. */
function failing(world: World, name: keyof World['writes'], fails: () => boolean, message = '403 Forbidden') {
  const write = world.writes[name] as (...args: unknown[]) => Promise<void>;
  world.writes[name] = (async (...args: unknown[]) => {
    if (fails()) throw new Error(message);
    return write(...args);
  }) as never;
}

describe('what goes wrong', () => {
  it.each(['createPod', 'createGate', 'deletePod', 'patchWorkload', 'writeFile'] as const)(
    'decision table: API errors (403, 5xx) and scale refused: %s is shown as Blocked, tried again, and nothing is skipped',
    async (name) => {
      const world = running(newer);
      await deploy(world, older);
      let refused = 0;
      failing(world, name, () => refused < 3 && refused++ >= 0, '503 the server is currently unable');
      const reasons = new Set<unknown>();
      for (let i = 0; i < 60 && !isDone(world)(); i++) {
        await look(world).catch((error) => expect(error.message).toMatch(/503/));
        reasons.add(shown(world).reason);
        world.tick();
      }
      expect(refused).toBe(3);
      expect([...reasons]).toContain('Blocked');
      await expectDowngraded(world);
    },
  );

  it('decision table: rbac.create: false, G44: a 403 in mid-way names the act, and the release stays as it is', async () => {
    const world = await held(() => true);
    failing(world, 'createPod', () => true, 'pods is forbidden: cannot create resource "pods"');
    for (let i = 0; i < 8; i++) {
      await look(world).catch(() => {});
      world.tick();
    }
    expect(shown(world)).toMatchObject({
      reason: 'Blocked',
      message: expect.stringMatching(/startProbe: pods is forbidden/),
    });
    expect(runningPods(world, newer)).toHaveLength(4);
  });

  it('decision table: exec returns 0, G23: the heads are read again, and a mismatch is a failed step', async () => {
    const world = await held(hasBegun);
    const { runnerFiles } = world.reads;
    world.reads.runnerFiles = async (...args) => {
      const [inspect, , , pid] = await runnerFiles(...args);
      const uid = world.downgrades[0]!.metadata.uid;
      return [inspect, undefined, JSON.stringify({ token: 1, run: uid, ok: true, versionTables: {} }), pid];
    };
    world.database = makeDatabase();
    world.reads.database = async () => structuredClone(makeDatabase());
    await look(world);
    await look(world);
    expect(shown(world)).toMatchObject({
      reason: 'DowngradeFailed',
      message: expect.stringMatching(/says? it is done|said it is done/),
    });
    expect(world.gates.size).toBe(1);
    expect(record(world).verifiedAt).toBeUndefined();
  });

  it('decision table: exec returns other, G22: stays drained, with the error', async () => {
    const world = await held(isDraining);
    world.stepFails = 'lock timeout';
    await until(world, () => shown(world).reason === 'DowngradeFailed');
    await goOn(world, 10);
    expect([world.gates.size, runningPods(world, newer).length + runningPods(world, older).length, world.harm]).toEqual(
      [1, 0, []],
    );
  });

  it('decision table: exec stream ends without status, G19: what the runner does is looked at again, and each part ordered once', async () => {
    const world = await held((w) => Boolean(record(w).plan));
    let orders = 0;
    let lost = 0;
    const { runnerFiles } = world.reads;
    const { writeFile } = world.writes;
    world.writes.writeFile = async (...args) => {
      if (args[3].endsWith('orders.json')) orders++;
      return writeFile(...args);
    };
    world.reads.runnerFiles = async (...args) => {
      if (orders > 0 && lost < 4 && lost++ >= 0) throw new Error('the stream ended');
      return runnerFiles(...args);
    };
    for (let i = 0; i < 60 && !isDone(world)(); i++) {
      await look(world).catch((error) => expect(error.message).toBe('the stream ended'));
      world.tick();
    }
    expect([orders, lost]).toEqual([2, 4]);
    await expectDowngraded(world);
  });

  it('decision table: exec hangs: a runner that says nothing new is waited for, and nothing else is done meanwhile', async () => {
    const world = await held((w) => record(w).progress?.kind === 'core');
    const { runnerFiles } = world.reads;
    const frozen = await runnerFiles('air', runnerOf(world)!.metadata.name, 'x', [
      '/inspect.json',
      '/progress.json',
      '/result.json',
      '/pid',
    ]);
    world.reads.runnerFiles = async () => frozen;
    world.reads.database = async () => structuredClone(at('middle'));
    const pods = world.pods.map((p) => p.metadata.name);
    for (let i = 0; i < 20; i++) expect(await look(world)).toMatchObject({ act: 'wait', reason: 'Downgrading' });
    expect(world.pods.map((p) => p.metadata.name)).toEqual(pods);
  });
});

describe('the drain', () => {
  it('decision table: downgrade done, drain runs, G13: ours drains first; no pod but the runner lives when the schema step begins', async () => {
    const world = await held(hasBegun);
    const alive = world.pods.filter((p) => p.status?.phase === 'Running').map((p) => p.metadata.name);
    expect(alive).toEqual([runnerOf(world)!.metadata.name]);
  });

  it('decision table: drain not done in 300 s, S1-19: it is still draining and names the pod, also for a controller that starts anew', async () => {
    const world = running(newer);
    world.stuck.add('af-triggerer-0');
    await deploy(world, older);
    await until(world, isDraining);
    await goOn(world, 100);
    expect(shown(world).message).toContain('pod/af-triggerer-0 (grace 10 s)');
    world.now = new Date(world.now.getTime() + 3_600_000);
    await goOn(world, 5);
    expect(shown(world)).toMatchObject({
      phase: 'Draining',
      reason: 'PodNotTerminating',
      message: expect.stringMatching(/^pod\/af-triggerer-0 .*--force --grace-period=0$/),
      conditions: expect.arrayContaining([expect.objectContaining({ type: 'Stalled', status: 'True' })]),
    });
    expect(hasBegun(world)).toBe(false);
    world.stuck.clear();
    await expectDowngraded(world);
  });

  it('decision table: Kubernetes-executor pods alive or finished but present: the one ends, the other does not matter', async () => {
    const world = running(newer);
    for (const phase of ['Running', 'Succeeded', 'Failed'] as const) {
      const pod = makePod({ component: 'worker', container: 'base', name: `task-${phase}`, phase });
      world.pods.push({ ...pod, metadata: { ...pod.metadata, ownerReferences: [] } });
    }
    await deploy(world, older);
    await until(world, hasBegun);
    expect(world.pods.map((p) => p.metadata.name).filter((n) => n.startsWith('task'))).toEqual([
      'task-Succeeded',
      'task-Failed',
    ]);
  });

  it.each([
    ['HPA', 3],
    ['KEDA, which may raise old pods again', 2],
  ])('decision table: %s: what it asks for waits behind the gate, and its number stays', async (_, replicas) => {
    const world = await held((w) => isDraining(w) && w.gates.size > 0);
    world.workloads[1]!.spec.replicas = replicas;
    await goOn(world, 3);
    expect(runningPods(world, newer).filter((p) => !p.metadata.labels!['downdraft.dev/role'])).toHaveLength(0);
    await until(world, isDone(world));
    await goOn(world, 6);
    expect(runningPods(world, older)).toHaveLength(3 + replicas);
    expect([world.workloads[1]!.spec.replicas, world.harm]).toEqual([replicas, []]);
  });

  it('decision table: CronJobs, webserver, others: a cleanup Job’s pod ends in the drain; one of the newer version that comes later never runs', async () => {
    const cleanup = (name: string, gated: boolean) =>
      makeMigrationPod({
        component: 'database-cleanup',
        name,
        gated,
        phase: gated ? 'Pending' : 'Running',
        owner: { kind: 'Job', name: `${name}-job` },
      });
    const world = await held(() => true);
    world.pods.push(cleanup('cleanup-1', false));
    world.busy.add('cleanup-1');
    await until(world, (w) => Boolean(record(w).target));
    expect(runningPods(world, newer).map((p) => p.metadata.name)).toContain('cleanup-1');
    await until(world, hasBegun);
    expect(world.pods.map((p) => p.metadata.name)).not.toContain('cleanup-1');
    world.pods.push(cleanup('cleanup-2', true));
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(world.pods.map((p) => p.metadata.name)).not.toContain('cleanup-2');
    expect(world.harm).toEqual([]);
  });

  it('decision table: others: Jobs and task pods of an image that nobody knows are gated by the drain, deleted by nobody, and let go at its end', async () => {
    const world = await held(hasBegun);
    world.contents['acme/etl:7'] = '3.1.8';
    const waiting = ['etl-1', 'task-1'];
    const owners = [
      { kind: 'Job', name: 'nightly-backfill' },
      { kind: 'SparkApplication', name: 'x' },
    ];
    for (const [at, name] of waiting.entries())
      world.pods.push(makePod({ component: 'worker', name, image: 'acme/etl:7', gated: true, owner: owners[at]! }));
    await until(world, isDone(world));
    await goOn(world, 6);
    const left = world.pods.filter((p) => waiting.includes(p.metadata.name));
    expect(left.map((p) => p.spec.schedulingGates)).toEqual([[], []]);
    expect(world.harm).toEqual([]);
  });

  it('decision table: others: a migration Job of an image that nobody knows is let go by nobody, and says so, until its registry tells that it fits', async () => {
    const world = await held(hasBegun);
    const image = 'acme/airflow:migrations';
    world.contents[image] = '3.2.1';
    world.pods.push(makeMigrationPod({ name: 'migrate-1', image, gated: true }));
    const gates = () => world.pods.find((p) => p.metadata.name === 'migrate-1')?.spec.schedulingGates;
    await until(world, isDone(world));
    await goOn(world, 6);
    expect(gates()).toHaveLength(1);
    const said = world.events.filter(({ reason }) => reason === 'MigrationHeld');
    expect(said).toContainEqual({
      reason: 'MigrationHeld',
      about: 'pod/migrate-1',
      message: expect.stringContaining(image),
    });
    world.contents[image] = '3.1.8';
    world.database = makeDatabase({ version: '3.1.8' });
    world.registryTells = true;
    await goOn(world, 6);
    expect(gates()).toEqual([]);
    expect(world.harm).toEqual([]);
  });

  it('decision table: others: a client that is still on the database is named, and after 30 s the run goes on', async () => {
    const world = await held(isDraining);
    world.sessions = [{ pid: 1, user: 'bi', application: 'exporter', client: '10.0.0.9', state: 'idle' }];
    await until(world, () => shown(world).reason === 'SessionsRemain');
    expect(shown(world).message).toContain('bi@10.0.0.9 (exporter)');
    const since = world.now.getTime();
    await until(world, hasBegun);
    expect((world.now.getTime() - since) / 1000).toBeGreaterThan(25);
    await expectDowngraded(world);
  });

  it('decision table: after success: replicas were never changed, whoever renders them', async () => {
    const world = running(newer);
    const before = world.workloads.map((w) => w.spec.replicas);
    await deploy(world, older);
    const seen = new Set<string>();
    await until(world, () => {
      seen.add(JSON.stringify(world.workloads.map((w) => w.spec.replicas)));
      return isDone(world)();
    });
    expect([...seen]).toEqual([JSON.stringify(before)]);
  });
});

describe('the tools', () => {
  it('decision table: Helm timeout shorter than the work, helm rollback, --no-hooks, migrateDatabaseJob.enabled: false: the workloads alone carry the request', async () => {
    const world = running(newer);
    await deploy(world, older);
    await expectDowngraded(world);
  });

  it('decision table: atomic upgrade: back to the newer release before the schema step is a request withdrawn', async () => {
    const world = await held(isDraining);
    await deploy(world, newer);
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['Canceled']);
    expectClean(world, newer);
  });

  it('decision table: atomic upgrade: after it, the database is returned for the newer release', async () => {
    const world = await held(hasBegun);
    expect(await deploy(world, newer)).toEqual(Array(4).fill('NewerImageRequested'));
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['Returned']);
    expectClean(world, newer);
  });

  it.each([
    ['useHelmHooks: false, G39: the ordinary Job’s pod', ['migrate-1']],
    ['Argo CD with hooks kept, G40, which runs it before and after the sync: both pods', ['migrate-1', 'migrate-2']],
  ])('decision table: %s wait behind a gate and run once the database fits', async (_, names) => {
    const world = await held(() => true);
    for (const name of names)
      world.pods.push(makeMigrationPod({ image: older, gated: true, name, owner: { kind: 'Job', name } }));
    await until(world, hasBegun);
    for (const p of world.pods.filter((pod) => names.includes(pod.metadata.name)))
      expect(p.status?.phase).toBe('Pending');
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(world.pods.filter((p) => names.includes(p.metadata.name)).map((p) => p.status?.phase)).toEqual(
      names.map(() => 'Succeeded'),
    );
    expect(world.harm).toEqual([]);
  });

  it('decision table: Argo CD with hooks off, G40, G41: self-heal, which applies the same again and again, changes nothing', async () => {
    const world = running(newer);
    const rendered = world.workloads.map((w) => withImage(w, older));
    await deploy(world, older);
    for (let i = 0; i < 60 && !isDone(world)(); i++) {
      await look(world);
      world.tick();
      for (const w of rendered) {
        const stored = world.workloads.find((o) => o.metadata.name === w.metadata.name)!;
        const { spec, metadata } = stored;
        await apply(world, {
          ...stored,
          metadata,
          spec: {
            ...spec,
            template: {
              ...w.spec.template,
              spec: { ...w.spec.template.spec, schedulingGates: spec.template.spec.schedulingGates },
            },
          },
        } as never);
      }
    }
    await expectDowngraded(world);
  });
});

describe('what is left', () => {
  it('decision table: success record: a Downgrade with plan, outage and outcome stays, and its events', async () => {
    const world = running(newer);
    await deploy(world, older);
    await expectDowngraded(world);
    expect(shown(world)).toMatchObject({
      phase: 'Done',
      reason: 'Downgraded',
      fromVersion: '3.2.1',
      toVersion: '3.1.8',
      outage: expect.stringMatching(/^\d+s$/),
    });
    const about = `downgrade/${world.downgrades[0]!.metadata.name}`;
    const reasons = world.events.filter((e) => e.about === about).map((e) => e.reason);
    expect(reasons).toEqual(expect.arrayContaining(['Draining', 'Downgrading', 'Downgraded']));
  });
});
