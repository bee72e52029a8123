/** A real API server with the real manifests: it calls when it must, and only then; what people see and cannot do. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bareTrialPod, gateConfiguration } from '../../src/cluster/drain-webhook.ts';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { makeMigrationPod, makePod } from '../make/pod.ts';
import { makeDatabase } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import { type Guarded, startGuarded } from './guarded.ts';
import { asWritten, community, labelled } from './written.ts';

const older = 'apache/airflow:3.1.8';
let at: Guarded;

beforeAll(async () => {
  at = await startGuarded();
  const newer = 'apache/airflow:3.2.1';
  for (const object of [makeDeployment(), makeStatefulSet(), community(newer), labelled(newer)]) {
    const { code, stderr } = await at.kubectl(['create', '-f', '-'], asWritten(object));
    if (code !== 0) throw new Error(stderr);
  }
}, 180_000);

afterAll(async () => await at?.stop());

beforeEach(() => {
  at.calls.length = 0;
  at.world.database = makeDatabase();
});

describe('the API server asks', () => {
  const patch = (name: string, spec: object) =>
    air(['patch', 'deployment', name, '--dry-run=server', '-p', JSON.stringify({ spec: { template: { spec } } })]);
  const scheduler = (fields: object) => ({ containers: [{ name: 'scheduler', ...fields }] });
  const waiting = { initContainers: [{ name: 'wait-for-airflow-migrations', image: older }] };
  const named = (name: string) => ({ env: [{ name, value: 'x' }] });

  it.each([
    ['another image', 'af-scheduler', scheduler({ image: older })],
    ['another image of the init container', 'af-scheduler', waiting],
    ['another connection', 'af-scheduler', scheduler(named('AIRFLOW__DATABASE__SQL_ALCHEMY_CONN'))],
    ['a connection by its old name', 'af-scheduler', scheduler(named('AIRFLOW__CORE__SQL_ALCHEMY_CONN_CMD'))],
    ['another schema', 'af-scheduler', scheduler(named('AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA'))],
    ['another envFrom', 'af-scheduler', scheduler({ envFrom: [{ secretRef: { name: 'x' } }] })],
    ["the community chart's image", 'com-scheduler', { containers: [{ name: 'airflow-scheduler', image: older }] }],
    [
      "the community chart's database",
      'com-scheduler',
      { containers: [{ name: 'airflow-scheduler', ...named('DATABASE_HOST') }] },
    ],
    ['the image of a labelled workload', 'pipelines', scheduler({ image: older })],
  ])('about %s', async (_, name, spec) => {
    await patch(name, spec);
    expect(at.calls).toContain('/mutate');
  });

  it.each([
    ['a Deployment', makeDeployment({ component: 'worker' })],
    ['a StatefulSet', makeStatefulSet({ component: 'worker' })],
    ["the community chart's Deployment", community('apache/airflow:3.2.1', 'worker')],
  ])('about %s that is created', async (_, object) => {
    await at.kubectl(['create', '--dry-run=server', '-f', '-'], asWritten(object));
    expect(at.calls).toContain('/mutate');
  });
});

describe('an older image', () => {
  it('is held in a dry run, with the same words and nothing stored', async () => {
    const { stderr } = await air(['set', 'image', 'deployment/af-scheduler', `*=${older}`, '--dry-run=server']);
    expect(stderr).toContain(
      'Warning: downdraft holds deployment/af-scheduler: the database is at 3.2.x (1d6611b6ab7c)',
    );
    expect((await deployment()).spec.paused).toBeUndefined();
  });

  it('is held, and the person reads why', async () => {
    const { code, stderr } = await air(['set', 'image', 'deployment/af-scheduler', `*=${older}`]);
    expect(code).toBe(0);
    expect(stderr.split('\n').slice(0, 2)).toEqual([
      'Warning: downdraft holds deployment/af-scheduler: the database is at 3.2.x (1d6611b6ab7c), image 3.1.8 needs 509b94a1042d',
      'Warning: downdraft will take the database back first; watch: kubectl -n air get downgrade -w',
    ]);
    expect(new Set(at.calls)).toEqual(new Set(['/mutate', '/validate']));
    const { spec, metadata } = await deployment();
    expect(spec.paused).toBe(true);
    expect(JSON.parse(metadata.annotations!['downdraft.dev/hold']!)).toMatchObject({
      by: 'admin',
      from: 'apache/airflow:3.2.1',
      before: { paused: null },
    });
  });

  it('starts no new ReplicaSet', async () => {
    const { stdout } = await air(['get', 'rs', '-l', 'component=scheduler', '-o', 'yaml']);
    expect(stdout).not.toContain(older);
  });

  it('cannot be resumed by kubectl rollout resume', async () => {
    const { stderr } = await air(['rollout', 'resume', 'deployment/af-scheduler']);
    expect(stderr).toContain('Warning: downdraft holds deployment/af-scheduler');
    expect((await deployment()).spec.paused).toBe(true);
  });

  it('cannot be resumed by a manifest that replaces it', async () => {
    const { code, stderr } = await at.kubectl(['replace', '-f', '-'], asWritten(makeDeployment({ image: older })));
    expect(stderr).toContain('Warning: downdraft holds deployment/af-scheduler');
    expect(code).toBe(0);
    expect((await deployment()).spec.paused).toBe(true);
  });

  it('does not come in with an object that says it is being deleted', async () => {
    const object = asWritten(makeDeployment({ image: 'apache/airflow:3.1.7' }));
    object.metadata.deletionTimestamp = '2026-11-21T12:00:00Z';
    await at.kubectl(['replace', '-f', '-'], object);
    const { spec } = await deployment();
    expect([spec.paused, spec.template.spec.containers[0]!.image]).toEqual([true, older]);
  });

  it('can be scaled while it is held', async () => {
    expect(await air(['scale', 'deployment', 'af-scheduler', '--replicas=2'])).toMatchObject({ code: 0, stderr: '' });
  });

  it('is held by server-side apply too, which owns none of our fields', async () => {
    const args = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
    const { stderr } = await at.kubectl(args, asWritten(makeStatefulSet({ image: older })));
    expect(stderr).toContain('Warning: downdraft holds statefulset/af-triggerer');
    const { spec } = (await at.get('statefulset', 'af-triggerer')) as unknown as WorkloadObject;
    expect(spec.updateStrategy?.rollingUpdate?.partition).toBe(2147483647);
  });

  it('is resumed once the database fits', async () => {
    at.world.database = makeDatabase({ version: '3.1.8' });
    const resume = '{"metadata":{"annotations":{"downdraft.dev/hold":null}},"spec":{"paused":null}}';
    expect(await air(['patch', 'deployment', 'af-scheduler', '--type=merge', '-p', resume])).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect((await deployment()).spec.paused).toBeUndefined();
  });
});

it('refuses what can never be right, and says what to do', async () => {
  at.world.database = makeDatabase({ tables: { alembic_version: [] } });
  const { code, stderr } = await air(['set', 'image', 'deployment/af-scheduler', '*=apache/airflow:3.2.1']);
  expect(code).not.toBe(0);
  expect(stderr).toContain(
    'admission webhook "workloads.downdraft.dev" denied the request: downdraft: deployment/af-scheduler: alembic_version is empty',
  );
  expect((await deployment()).spec.template.spec.containers[0]!.image).toBe(older);
});

it('refuses an object that only says it is held', async () => {
  const { code, stderr } = await air(['annotate', 'deployment', 'af-scheduler', 'downdraft.dev/hold={}']);
  expect(code).not.toBe(0);
  expect(stderr).toContain(
    'admission webhook "held.downdraft.dev" denied the request: downdraft: deployment/af-scheduler carries',
  );
});

describe('pods', () => {
  it('of the migration Job of an older image are gated', async () => {
    const pod = await createPod(makeMigrationPod({ name: 'migrate', image: older, phase: undefined }));
    expect(pod.spec.schedulingGates).toEqual([{ name: 'downdraft.dev/hold' }]);
    expect(pod.metadata.labels?.['downdraft.dev/gated']).toBe('true');
  });

  it('of anything else are none of our business', async () => {
    expect(
      (await createPod(makePod({ name: 'task', component: 'worker', image: older }))).spec.schedulingGates,
    ).toBeUndefined();
    expect(at.calls).toEqual([]);
  });

  it('of a release being drained are gated, and the trial pod proves it', async () => {
    const configuration = gateConfiguration('air', 'af', at.reach);
    await at.kubectl(['create', '-f', '-'], configuration);
    const trial = ['create', '-f', '-', '--dry-run=server', '-o', 'json'];
    await waitFor('the gate to be in force', 10_000, async () =>
      (await at.kubectl(trial, bareTrialPod('air', 'af'))).stdout.includes('schedulingGates'),
    );
    const worker = await createPod(makePod({ name: 'drained', component: 'worker' }));
    expect(worker.spec.schedulingGates).toEqual([{ name: 'downdraft.dev/hold' }]);
    const other = await createPod(makePod({ name: 'other', component: 'worker', release: 'other' }));
    expect(other.spec.schedulingGates).toBeUndefined();
    const runner = await createPod(makePod({ name: 'runner', role: 'runner' }), asOurselves);
    expect(runner.spec.schedulingGates).toBeUndefined();
    await at.kubectl(['delete', 'mutatingwebhookconfiguration', configuration.metadata.name]);
  });
});

describe('a Downgrade', () => {
  const object = {
    apiVersion: 'downdraft.dev/v1alpha1',
    kind: 'Downgrade',
    metadata: { name: 'af-1', namespace: 'air' },
    spec: { release: 'af', to: older },
  };

  it('shows what people look for', async () => {
    expect(await at.kubectl(['create', '-f', '-'], object)).toMatchObject({ code: 0 });
    const status = {
      fromVersion: '3.2.1',
      toVersion: '3.1.8',
      phase: 'Downgrading',
      step: 'core 14/22',
      outage: '31s',
      record: { any: { thing: 1 } },
    };
    await air(['patch', 'downgrade', 'af-1', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]);
    const { stdout } = await air(['get', 'dg']);
    expect(
      stdout
        .split('\n')[0]!
        .split(/\s{2,}/)
        .slice(0, 8),
    ).toEqual(['NAME', 'RELEASE', 'FROM', 'TO', 'PHASE', 'STEP', 'OUTAGE', 'AGE']);
    expect(stdout).toMatch(/af-1\s+af\s+3\.2\.1\s+3\.1\.8\s+Downgrading\s+core 14\/22\s+31s/);
    expect((await at.get('downgrade', 'af-1')) as unknown).toMatchObject({ status: { record: { any: { thing: 1 } } } });
  });

  it('cannot be returned to another image', async () => {
    const { stderr } = await air(['patch', 'downgrade', 'af-1', '--type=merge', '-p', '{"spec":{"to":"x:1"}}']);
    expect(stderr).toContain("a Downgrade records one run and can't be changed");
  });

  it('S1-10: needs a release and an image', async () => {
    const { stderr } = await at.kubectl(['create', '-f', '-'], {
      ...object,
      metadata: { name: 'x', namespace: 'air' },
      spec: {},
    });
    expect(stderr).toContain('spec.release');
    expect(stderr).toContain('spec.to');
  });
});

const air = (args: string[]) => at.kubectl(['-n', 'air', ...args]);

async function deployment(): Promise<WorkloadObject> {
  return (await at.get('deployment', 'af-scheduler')) as unknown as WorkloadObject;
}

/** Pods with our labels are made by our own account alone (manifests/pods.yaml). */
const asOurselves = ['--as', 'system:serviceaccount:downdraft:downdraft', '--as-group', 'system:masters'];

async function createPod(object: PodObject, as: string[] = []): Promise<PodObject> {
  const { code, stdout, stderr } = await at.kubectl(['create', '-f', '-', '-o', 'json', ...as], asWritten(object));
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
