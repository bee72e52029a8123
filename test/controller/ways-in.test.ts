/** How a change comes to the loop, whatever the tool: through the real webhook, round it, or found after it was stored. */
import { describe, expect, it } from 'vitest';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { ContainerSpec, PodSpec } from '../../src/release/model/kubernetes.ts';
import { roleOf } from '../make/containers.ts';
import { apply } from '../make/door.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDatabase, makeWorkloads } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import type { World } from '../make/world-parts.ts';
import { asStored } from '../make/writes.ts';
import {
  deployed as deploy,
  expectClean,
  expectUnheld,
  goOn,
  isDone,
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

const held = (world: World) => world.workloads.filter((w) => readWorkload(w)?.hold).map((w) => w.metadata.name);

describe('found after it was stored', () => {
  it('uninstall and install of an older version: held once seen, NoOldPod said, and the way out that it names works', async () => {
    const world = running(newer);
    world.workloads = [];
    world.tick();
    world.tick();
    expect(world.pods).toEqual([]);
    const verdicts: string[] = [];
    for (const w of makeWorkloads({ image: older })) {
      const again = { ...w, metadata: { ...w.metadata, uid: `again-${w.metadata.name}` } };
      verdicts.push((await apply(world, again)).audit.reason);
    }
    expect(verdicts).toEqual(['NewRelease', 'DatabaseAhead', 'DatabaseAhead', 'DatabaseAhead']);
    expect(held(world)).not.toContain('af-api-server');
    await until(world, () => shown(world).reason === 'NoOldPod');
    expect(held(world)).toHaveLength(4);
    expect(shown(world).message).toMatch(/only that image has the reverse scripts; set the image back to it/);
    expect(world.gates.size).toBe(0);
    expect(record(world).drainStartedAt).toBeUndefined();
    world.harm.length = 0;
    await deploy(world, newer);
    await until(world, () => held(world).length === 0 && runningPods(world, newer).length === 4);
    expect(await deploy(world, older)).toEqual(Array(4).fill('DatabaseAhead'));
    await until(world, () => isDone(world)() && outcomes(world).at(-1) === 'Downgraded');
    expect(world.harm.filter((h) => h.includes(newer))).toEqual([]);
    expectClean({ ...world, harm: [] }, older);
  });

  it('a workload that slipped past the webhook during Planning is held before its pods matter', async () => {
    const world = running(newer);
    setImage(world, older);
    const dagProcessor = structuredClone(world.workloads[2]!);
    dagProcessor.metadata.annotations = {};
    delete dagProcessor.spec.paused;
    world.workloads[2] = dagProcessor;
    expect(held(world)).not.toContain('af-dag-processor');
    await look(world);
    expect(held(world)).toContain('af-dag-processor');
    expect(world.workloads[2]!.spec.paused).toBe(true);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  it('what is merely not known is never stopped while it runs', async () => {
    const world = running(newer);
    setImage(world, 'acme/airflow:prod-42', { held: false });
    world.contents['acme/airflow:prod-42'] = '3.2.1';
    await goOn(world, 12);
    expect(held(world)).toEqual([]);
    expect(world.downgrades).toEqual([]);
  });
});

describe('what runs', () => {
  it('is not stopped because the database is at a revision that nobody knows', async () => {
    const world = running(newer);
    world.database = makeDatabase({
      tables: { alembic_version: ['feedfacecafe'], alembic_version_fab: ['02ca36b0235b'] },
    });
    await goOn(world, 5);
    expect([held(world), world.downgrades]).toEqual([[], []]);
  });
});

/** Pods of StatefulSets are of the template that is stored now: none was let go only to be replaced at once. */
function expectCurrent(world: World): void {
  for (const w of world.workloads.filter((o) => o.kind === 'StatefulSet'))
    for (const p of world.pods.filter((o) => o.metadata.ownerReferences?.[0]?.name === w.metadata.name))
      expect(p.metadata.labels?.['controller-revision-hash']).toBe(w.status?.updateRevision);
}

describe('created while a downgrade is under way', () => {
  const shapes = [
    ['a StatefulSet, by a gate in its template', makeStatefulSet({ component: 'worker', image: older })],
    ['a Deployment, paused', makeDeployment({ component: 'worker', image: older })],
  ] as const;

  it.each(shapes)(
    '%s: no pod of it runs before the schema fits, then it is as the chart made it',
    async (_, object) => {
      const world = running(newer);
      await deploy(world, older);
      await until(world, () => world.downgrades.length > 0);
      expect((await apply(world, object)).audit).toMatchObject({ verdict: 'hold', reason: 'DatabaseAhead' });
      await until(world, isDone(world));
      await goOn(world, 3);
      expect(outcomes(world)).toEqual(['Downgraded']);
      expect(world.pods).toHaveLength(5);
      expectClean(world, older);
    },
  );
});

describe('a StatefulSet with OnDelete', () => {
  const objects = () => [
    ...makeWorkloads().slice(0, 3),
    makeStatefulSet({ updateStrategy: { type: 'OnDelete' } }),
    makeStatefulSet({ component: 'worker', updateStrategy: { type: 'OnDelete' } }),
  ];

  it.each(['Copy', 'OldPod'] as const)(
    'goes through a whole run, its pod lost in Planning included (%s)',
    async (runner) => {
      const world = running(newer, objects());
      expect(await deploy(world, older)).toEqual(Array(5).fill('DatabaseAhead'));
      await until(world, () => world.downgrades.length > 0, { runner });
      world.pods = world.pods.filter((p) => p.metadata.name !== 'af-triggerer-0');
      world.tick();
      world.tick();
      expect(world.pods.find((p) => p.metadata.name === 'af-triggerer-0')!.status!.phase).toBe('Pending');
      await until(world, isDone(world), { runner });
      await goOn(world, 3, { runner });
      expect(outcomes(world)).toEqual(['Downgraded']);
      expectClean(world, older);
      expectCurrent(world);
      expect(world.workloads.at(-1)!.spec.updateStrategy).toEqual({ type: 'OnDelete' });
    },
  );

  it('a request withdrawn lets its lost pod come back as the newer version', async () => {
    const world = running(newer, objects());
    await deploy(world, older);
    await until(world, () => Boolean(record(world).plan));
    world.pods = world.pods.filter((p) => !p.metadata.name.startsWith('af-triggerer'));
    world.tick();
    await deploy(world, newer);
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['Canceled']);
    expectClean(world, newer);
  });
});

describe('pods of a held or drained release, whoever makes them', () => {
  it('G30: a bare task pod of the newer version ends in the drain; a finished one does not matter', async () => {
    const world = running(newer);
    const task = makePod({
      component: 'worker',
      container: 'base',
      name: 'dag-task-1',
      labels: { kubernetes_executor: 'True' },
    });
    const finished = makePod({ component: 'worker', container: 'base', name: 'dag-task-0', phase: 'Succeeded' });
    for (const pod of [task, finished]) world.pods.push({ ...pod, metadata: { ...pod.metadata, ownerReferences: [] } });
    await deploy(world, older);
    await until(world, () => Boolean(record(world).drainedAt));
    expect(world.pods.map((p) => p.metadata.name)).not.toContain('dag-task-1');
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(world.harm).toEqual([]);
  });

  it('G31: scaled up in mid-drain by whoever: the new pods wait behind the gate and run as the older version', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).drainStartedAt) && world.gates.size > 0);
    const scheduler = world.workloads.find((w) => w.metadata.name === 'af-scheduler')!;
    scheduler.spec.replicas = 3;
    await until(world, isDone(world));
    await goOn(world, 6);
    expect(world.harm).toEqual([]);
    expect(runningPods(world, older)).toHaveLength(6);
    expect(scheduler.spec.replicas).toBe(3);
  });

  it('the gated pod of the migration Job runs once the database fits it', async () => {
    const world = running(newer);
    await deploy(world, older);
    world.pods.push(makeMigrationPod({ image: older, gated: true, name: 'af-run-airflow-migrations-x' }));
    const job = () => world.pods.find((p) => p.metadata.name === 'af-run-airflow-migrations-x')!;
    await until(world, () => Boolean(record(world).schemaStartedAt));
    expect(job().status?.phase).toBe('Pending');
    await until(world, isDone(world));
    await goOn(world, 3);
    expect(job().status?.phase).toBe('Succeeded');
    expect(world.harm).toEqual([]);
  });

  it('a gated pod of which nothing is held and no run is there is let go', async () => {
    const world = running(newer);
    world.pods.push(makeMigrationPod({ image: newer, gated: true, name: 'af-run-airflow-migrations-y' }));
    await goOn(world, 3);
    expect(world.pods.find((p) => p.metadata.name.endsWith('-y'))!.status?.phase).toBe('Succeeded');
  });
});

describe('a second change of what is held', () => {
  it.each<[string, (world: World) => boolean]>([
    ['in Planning', (w) => Boolean(record(w).plan)],
    ['in the drain', (w) => Boolean(record(w).drainStartedAt)],
    ['in the schema step', (w) => Boolean(record(w).schemaStartedAt)],
  ])('delete and create of each workload %s: held again from its first moment, and the run goes on', async (_, due) => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, due);
    const reasons: string[] = [];
    for (const { metadata, spec } of makeWorkloads({ image: older })) {
      const kind = metadata.name === 'af-triggerer' ? 'StatefulSet' : 'Deployment';
      world.workloads = world.workloads.filter((w) => w.metadata.name !== metadata.name);
      const again = { apiVersion: 'apps/v1', kind, metadata: { ...metadata, uid: `again-${metadata.name}` }, spec };
      reasons.push((await apply(world, again)).audit.verdict);
    }
    expect(reasons).toEqual(Array(4).fill('hold'));
    await until(world, isDone(world));
    await goOn(world, 4);
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  it('kubectl rollout resume meets the hold again, and the run ends as it would have', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).plan));
    const resumed = structuredClone(world.workloads[1]!);
    resumed.spec.paused = false;
    expect((await apply(world, resumed)).audit.verdict).toBe('hold');
    expect(world.workloads[1]!.spec.paused).toBe(true);
    await until(world, isDone(world));
    expectClean(world, older);
  });

  it('S0-8, G11: another older image in mid-run ends the first record and is carried out by a second one', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).plan));
    await deploy(world, 'apache/airflow:2.11.0');
    await until(world, () => world.downgrades.length === 2 && isDone(world)());
    await goOn(world, 3);
    expect(outcomes(world)).toEqual(['Canceled', 'Downgraded']);
    expectClean(world, 'apache/airflow:2.11.0');
  });

  it('a third image once the schema step has begun is refused, and the run ends', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).schemaStartedAt));
    expect(await deploy(world, 'apache/airflow:2.11.0')).toEqual(Array(4).fill('DowngradeUnderWay'));
    await until(world, isDone(world));
    await goOn(world, 2);
    expectClean(world, older);
  });
});

describe('deleted in mid-downgrade', () => {
  const objects = () => makeWorkloads();
  const target = 'apache/airflow:2.11.0';
  const moments: [string, (world: World) => boolean][] = [
    ['at once', () => true],
    ['when the runner is there', (w) => w.pods.some((p) => roleOf(p) === 'runner')],
    ['when the drain has begun', (w) => Boolean(record(w).drainStartedAt)],
    ['when the schema step has begun', (w) => Boolean(record(w).schemaStartedAt)],
    ['when it is verified', (w) => Boolean(record(w).verifiedAt)],
  ];

  it.each(
    moments.flatMap(([when, due]) => (['Copy', 'OldPod'] as const).map((runner) => [when, runner, due] as const)),
  )(
    'the api-server and dag-processor of 3.x, which 2.x does not have, %s (%s): the run goes on to the end',
    async (_, runner, due) => {
      const world = running(newer, objects());
      await deploy(world, target);
      await until(world, due, { runner });
      const webserver = makeDeployment({ component: 'webserver', image: target });
      expect((await apply(world, webserver)).audit.verdict).toMatch(/hold|allow/);
      world.workloads = world.workloads.filter((w) => !/api-server|dag-processor/.test(w.metadata.name));
      await until(world, isDone(world), { runner });
      await goOn(world, 4, { runner });
      expect(outcomes(world)).toEqual(['Downgraded']);
      expect(world.database).toMatchObject({ versionTables: { alembic_version: ['5f2621c13b39'] } });
      expect(world.pods).toHaveLength(3);
      expectClean(world, target);
    },
  );

  it.each(moments)(
    'all workloads, %s: the run ends, on the schema where it is whole, and leaves nothing behind',
    async (_, due) => {
      const world = running(newer, objects());
      await deploy(world, older);
      await until(world, due);
      const begun = Boolean(record(world).schemaStartedAt);
      world.workloads = [];
      await goOn(world, 40);
      expect(outcomes(world)).toEqual(world.downgrades.map(() => (begun ? 'Downgraded' : 'Canceled')));
      const head = begun ? '509b94a1042d' : '1d6611b6ab7c';
      expect(world.database).toMatchObject({ versionTables: { alembic_version: [head] } });
      expect(world.gates.size).toBe(0);
      expect(world.pods).toEqual([]);
    },
  );

  it('all workloads and all pods in the middle of the schema step: it says that nothing is left with the reverse scripts', async () => {
    const world = running(newer, objects());
    await deploy(world, older);
    await until(world, () => Boolean(record(world).schemaStartedAt));
    world.workloads = [];
    world.pods = [];
    await goOn(world, 40);
    expect(outcomes(world)).toEqual([undefined]);
    expect(shown(world).reason).toBe('NoOldPod');
    expect(shown(world).conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }));
    // What it tells the person to do must not be refused by our own door.
    const back = await apply(world, makeDeployment({ component: 'scheduler', image: newer }));
    if (!back.allowed) expect(shown(world).message).toMatch(/delete (the|that) Downgrade/i);
  });
});

describe('containers of one pod with different images', () => {
  it.each<[string, (pod: PodSpec) => ContainerSpec]>([
    ['only the main container is set, not the one that waits', ({ containers }) => containers[0]!],
    ['only the one that waits', ({ initContainers }) => initContainers![0]!],
  ])('%s: refused with the command that sets all, and nothing is stored', async (_, container) => {
    const world = running(newer);
    const before = structuredClone(world.workloads);
    const changed = structuredClone(world.workloads[1]!);
    container(changed.spec.template.spec).image = older;
    const answer = await apply(world, changed);
    expect(answer).toMatchObject({ allowed: false, audit: { reason: 'ImagesDisagree' } });
    expect(answer.status?.message).toMatch(/kubectl set image deployment\/af-scheduler '\*=/);
    expect(world.workloads).toEqual(before);
  });

  it('a sidecar is nobody’s business', async () => {
    const world = running(newer);
    const changed = structuredClone(world.workloads[1]!);
    changed.spec.template.spec.containers[1]!.image = 'apache/airflow:2.7.0';
    expect((await apply(world, changed)).audit.reason).toBe('SameImage');
  });
});

describe('not ours', () => {
  it('a release without any change is looked at and left alone', async () => {
    const world = running(newer);
    const before = structuredClone(world.workloads);
    expect(await look(world)).toEqual({ act: 'rest' });
    expect(world.workloads).toEqual(before);
    for (const w of world.workloads) expectUnheld(w);
    expect(asStored(before[0]!, before[0]).metadata.generation).toBe(before[0]!.metadata.generation);
  });
});
