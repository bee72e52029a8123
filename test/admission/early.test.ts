/** The early word at Helm's release record: it denies what would be denied anyway, and lets through whatever is in doubt. */
import { describe, expect, it } from 'vitest';
import { early } from '../../src/admission/webhooks/record.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeMigrationJob, makeRecord, makeRecordRequest, type RecordShape } from '../make/helmrelease.ts';
import { makePorts, type World } from '../make/ports.ts';
import { makeDatabase, makeRun, makeWorkloads } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

const older = 'apache/airflow:3.1.8';
const ancient = 'apache/airflow:2.6.3';

/** The cluster in which release af runs 3.2.1. */
function running(objects: WorkloadObject[] = makeWorkloads()): World['stored'] {
  return (kind, namespace, name) =>
    objects.find((o) => o.kind === kind && o.metadata.namespace === namespace && o.metadata.name === name);
}

/** What is answered to a record with these objects, and what was asked for it. */
async function ask(
  shape: RecordShape,
  world: World = {},
  change: (request: ReturnType<typeof makeRecordRequest>) => unknown = () => {},
) {
  // Time enough on any machine for the thread that reads records to start.
  const ports = makePorts({ stored: running(), budgetMs: 60_000, ...world });
  const request = makeRecordRequest(makeRecord(shape));
  change(request);
  return { answer: await early(request, ports), asked: ports.asked };
}

const times = (asked: string[], name: string) => asked.filter((a) => a === name).length;
const to = (image: string) => makeWorkloads({ image });

describe('a record is denied', () => {
  it.each([
    ['an upgrade, in a Secret', {}],
    ['an upgrade, in a ConfigMap', { driver: 'configmap' }],
    ['a rollback, in a Secret', { status: 'pending-rollback' }],
    ['a rollback, in a ConfigMap', { status: 'pending-rollback', driver: 'configmap' }],
  ] satisfies [string, RecordShape][])('%s, when its workloads would be', async (_, shape) => {
    const { answer, asked } = await ask({ ...shape, objects: to(ancient) });
    expect(answer.allowed).toBe(false);
    expect(answer.audit).toEqual({ verdict: 'deny', reason: 'TargetTooOld' });
    expect(answer.status?.message).toMatch(/^downdraft: deployment\/af-api-server: image 2\.6\.3 is below 2\.7\.0/);
    expect(answer.status?.message).toMatch(/ The same goes for 3 more workloads\. Helm has applied nothing$/);
    expect(times(asked, 'database')).toBe(1);
  });

  it('when only one of several images may not run', async () => {
    const objects = [...makeWorkloads(), makeDeployment({ component: 'worker', image: ancient })];
    const stored = running([...makeWorkloads(), makeDeployment({ component: 'worker' })]);
    const { answer } = await ask({ objects }, { stored });
    expect(answer.status?.message).toContain('deployment/af-worker');
    expect(answer.status?.message).not.toContain('more workload');
  });

  it('when a third version is asked for in mid-downgrade', async () => {
    const run = makeRun({ status: { schemaStartedAt: '2026-11-21T12:00:30Z' } });
    const stored = running(makeWorkloads({ image: older, held: true }));
    const { answer } = await ask({ objects: to('apache/airflow:2.11.0') }, { stored, run });
    expect(answer.audit.reason).toBe('DowngradeUnderWay');
  });

  it('when the DowngradePolicy forbids downgrades', async () => {
    const { answer } = await ask({ objects: to(older) }, { mode: 'Deny' });
    expect(answer.audit.reason).toBe('PolicyDenies');
  });

  it('with nothing of its values, its chart or its environment in what is said', async () => {
    const { answer } = await ask({ objects: to(ancient) });
    expect(JSON.stringify(answer)).not.toMatch(/hunter2|metadata_?connection|secretKeyRef/i);
  });
});

describe('a record is let through', () => {
  it('that goes back to the newer version in mid-downgrade (helm --atomic): the database is returned for it', async () => {
    const run = makeRun({ status: { schemaStartedAt: '2026-11-21T12:00:30Z' } });
    const stored = running(makeWorkloads({ image: older, held: true }));
    const { answer } = await ask({ status: 'pending-rollback', objects: makeWorkloads() }, { stored, run });
    expect(answer.allowed).toBe(true);
  });

  it.each([
    ['to an older version that would be held', { objects: to(older) }, {}, 'DatabaseAhead'],
    ['that would be denied, where the policy only observes', { objects: to(ancient) }, { mode: 'Observe' }, 'Observed'],
    [
      'that waits for itself, where the policy only observes',
      { objects: to(older), hooks: [{ object: makeMigrationJob(older), events: ['pre-upgrade'] }] },
      { mode: 'Observe' },
      'Observed',
    ],
    [
      'to a newer version',
      { objects: to('apache/airflow:3.2.1') },
      { stored: running(to(older)), database: makeDatabase({ version: '3.1.8' }) },
      'Upgrade',
    ],
    ['with the same images', { objects: makeWorkloads() }, {}, 'SameImage'],
    ['of workloads that are not there yet', { objects: to(ancient) }, { stored: () => undefined }, 'SameImage'],
    [
      'of another application',
      { objects: [makeDeployment({ labels: { tier: 'web' }, podLabels: { tier: 'web' }, image: 'shop:2' })] },
      {},
      'NotAirflow',
    ],
    [
      'of workloads in another namespace',
      { objects: [makeDeployment({ namespace: 'finance', image: ancient })] },
      { stored: makeDeployment() },
      'NotAirflow',
    ],
    ['when the database cannot be read', { objects: to(ancient) }, { failing: ['database'] }, 'DatabaseUnreadable'],
    ['when the image is not known', { objects: to('company/airflow:7') }, {}, 'ImageUnknown'],
    [
      'back to the image that ran before the hold, also one that nobody knows',
      { objects: makeWorkloads({ image: 'company/airflow:7' }) },
      {
        stored: running([
          makeDeployment({ component: 'scheduler', image: older, held: { from: 'company/airflow:7' } }),
        ]),
      },
      'PreviousImage',
    ],
    [
      'when a hold was withdrawn',
      { objects: makeWorkloads() },
      { stored: running(makeWorkloads({ image: older, held: true })), failing: ['database'] },
      'DatabaseUnreadable',
    ],
  ] satisfies [string, RecordShape, World, string][])('%s', async (_, shape, world, reason) => {
    const { answer } = await ask(shape, world as World);
    expect(answer).toEqual({ allowed: true, audit: { verdict: 'allow', reason }, patch: [], warnings: [] });
  });

  it.each([
    ['another connection in the environment', (o: WorkloadObject) => (o.spec.template.spec.containers[0]!.env = [])],
    [
      'another checksum of the Secret with the connection',
      (o: WorkloadObject) => (o.spec.template.metadata!.annotations = { 'checksum/metadata-secret': 'b' }),
    ],
  ])('with %s: Helm writes the Secrets after it, and the new database may fit', async (_, change) => {
    const objects = to(ancient);
    objects.forEach(change);
    const { answer, asked } = await ask({ objects });
    expect(answer.audit).toEqual({ verdict: 'allow', reason: 'ConnectionChanged' });
    expect(asked).not.toContain('database');
  });

  it('but the same environment in another order, with empty members written out, is the same connection', async () => {
    const objects = to(ancient);
    for (const { spec } of objects)
      spec.template.spec.containers[0]!.env = spec.template.spec.containers[0]!.env!.map(({ name, valueFrom }) => ({
        valueFrom: { secretKeyRef: { key: valueFrom!.secretKeyRef!.key, name: valueFrom!.secretKeyRef!.name! } },
        value: '',
        name,
      }));
    expect((await ask({ objects })).answer.audit.reason).toBe('TargetTooOld');
  });

  it.each([
    ['an installation', { status: 'pending-install' }],
    ['a release that is deployed', { status: 'deployed' }],
    ['a status of Object.prototype', { status: 'constructor' }],
    ['a Secret of another type', { type: 'Opaque' }],
  ] satisfies [string, RecordShape][])('unread: %s', async (_, shape) => {
    const { answer, asked } = await ask({ objects: to(ancient), ...shape });
    expect(answer.audit.reason).toBe('NotAirflow');
    expect(asked).toEqual([]);
  });

  it.each([
    ['an UPDATE', { operation: 'UPDATE' }],
    ['a subresource', { subResource: 'status' }],
    ['another kind', { kind: 'Pod' }],
    ['another group', { group: 'example.com' }],
    ['no object', { object: {} }],
    ['labels that are a text', { object: { metadata: { labels: 'owner=helm' } } }],
    [
      'another owner',
      { object: { type: 'helm.sh/release.v1', metadata: { labels: { owner: 'me', status: 'pending-upgrade' } } } },
    ],
  ])('unread: %s', async (_, change) => {
    const { answer, asked } = await ask({ objects: to(ancient) }, {}, (request) => Object.assign(request, change));
    expect(answer.audit.reason).toBe('NotAirflow');
    expect(asked).toEqual([]);
  });
});

describe('what cannot be judged is let through, never refused', () => {
  it.each([
    ['a record that is none', { payload: 'x' }, {}],
    ['a record of another namespace', { release: { namespace: 'finance' }, objects: to(ancient) }, {}],
    ['stored workloads that cannot be read', { objects: to(ancient) }, { failing: ['storedWorkload'] }],
    ['stored workloads that never come', { objects: to(ancient) }, { hanging: ['storedWorkload'], budgetMs: 100 }],
  ] satisfies [string, RecordShape, World][])('%s', async (_, shape, world) => {
    const { answer } = await ask(shape, world as World);
    expect(answer).toMatchObject({ allowed: true, audit: { verdict: 'allow', reason: 'NotJudged' }, warnings: [] });
  });

  it('within the budget, also when the database never answers', async () => {
    const began = performance.now();
    const { answer } = await ask({ objects: to(ancient) }, { hanging: ['database'], budgetMs: 100 });
    expect(answer.allowed).toBe(true);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('of two at once, the second: only one is read at a time', async () => {
    const both = await Promise.all([ask({ objects: to(ancient) }), ask({ objects: to(ancient) })]);
    expect(both.map(({ answer }) => answer.audit.reason)).toEqual(['TargetTooOld', 'NotJudged']);
  });

  it('that takes the YAML parser too long; the next one is judged', async () => {
    const slow = `apiVersion: apps/v1\nkind: Deployment\n# airflow\na: [${'{},'.repeat(20_000)}]\n`;
    const endless = Array(6).fill(slow).join('---\n');
    const { answer } = await ask({ manifest: endless }, { budgetMs: 100 });
    expect(answer.audit).toEqual({ verdict: 'allow', reason: 'NotJudged' });
    expect((await ask({ objects: to(ancient) })).answer.audit.verdict).toBe('deny');
  });

  it('asks for no more workloads than a release has', async () => {
    const objects = Array.from({ length: 200 }, (_, i) => makeDeployment({ name: `a${i}`, image: ancient }));
    const { asked } = await ask({ objects }, { budgetMs: 60_000 });
    expect(times(asked, 'storedWorkload')).toBe(50);
  });
});

describe('a migration Job that Helm waits for before the workloads', () => {
  const hook = (event: string, image = older, release = 'af') => ({
    object: makeMigrationJob(image, release),
    events: ['pre-install', event],
  });

  it.each([
    ['an upgrade', 'pending-upgrade', 'pre-upgrade', /post-upgrade hook.*migrateDatabaseJob\.enabled=false/],
    [
      'a rollback',
      'pending-rollback',
      'pre-rollback',
      /helm upgrade with the older version and migrateDatabaseJob\.enabled=false/,
    ],
  ])('denies %s that would be held, since neither could ever begin', async (_, status, event, cure) => {
    const { answer } = await ask({ status, objects: to(older), hooks: [hook(event)] });
    expect(answer.audit).toEqual({ verdict: 'deny', reason: 'MigrationHookFirst' });
    expect(answer.status?.message).toContain(`job/af-run-airflow-migrations is a ${event} hook`);
    expect(answer.status?.message).toContain('the database is at');
    expect(answer.status?.message).toMatch(cure);
  });

  it.each([
    ['is a post-upgrade hook', { objects: to(older), hooks: [hook('post-upgrade')] }, {}],
    ['is a pre-rollback hook, and this is an upgrade', { objects: to(older), hooks: [hook('pre-rollback')] }, {}],
    ['is no hook', { objects: [...to(older), makeMigrationJob(older)] }, {}],
    ['has another image', { objects: to(older), hooks: [hook('pre-upgrade', 'apache/airflow:3.2.1')] }, {}],
    ['is of another release', { objects: to(older), hooks: [hook('pre-upgrade', older, 'other')] }, {}],
    [
      'goes forward',
      { objects: makeWorkloads(), hooks: [hook('pre-upgrade', 'apache/airflow:3.2.1')] },
      { stored: running(to(older)), database: makeDatabase({ version: '3.1.8' }) },
    ],
    [
      'has an image that is not known',
      { objects: to('company/airflow:7'), hooks: [hook('pre-upgrade', 'company/airflow:7')] },
      {},
    ],
    [
      'meets a database that cannot be read',
      { objects: to(older), hooks: [hook('pre-upgrade')] },
      { failing: ['database'] },
    ],
  ] satisfies [string, RecordShape, World][])('lets it through when the Job %s', async (_, shape, world) => {
    expect((await ask(shape, world as World)).answer.allowed).toBe(true);
  });
});

it('several images are judged side by side, each once', async () => {
  const stored = [...makeWorkloads(), makeStatefulSet({ component: 'worker' })];
  const objects = [...to(older), makeStatefulSet({ component: 'worker', image: ancient })];
  const { answer, asked } = await ask({ objects }, { stored: running(stored) });
  expect(answer.status?.message).toContain('statefulset/af-worker');
  expect(times(asked, 'database')).toBe(2);
});
