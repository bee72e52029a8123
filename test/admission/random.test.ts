/**
 * Random reviews. What must come out is worked out here once more, from the order of Airflow's releases and nothing of
 * src/release: an older Airflow never starts on a newer database, and nothing else waits.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import fastJsonPatch from 'fast-json-patch';
import { expect, it } from 'vitest';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import type { World } from '../make/ports.ts';
import { makeDatabase, makeRun } from '../make/release.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import { type Answer, expectWellFormed, postTo } from './answers.ts';

const table = new URL('../../src/release/airflow/heads.json', import.meta.url);
const { releases } = JSON.parse(readFileSync(table, 'utf8')).core as { releases: Record<string, { head: string }> };
/** Ascending; a patch release mostly has the head of the one before. */
const versions = Object.keys(releases);
const place = (version: string) => versions.findIndex((v) => releases[v]!.head === releases[version]!.head);

const world: World = {};
const post = postTo(world);

const version = fc.constantFrom(...versions);
const dress = fc.constantFrom('V', 'slim-V', 'V-python3.12', 'slim-V-python3.11');
const strategy = fc.constantFrom<WorkloadObject['spec']['updateStrategy']>(
  { type: 'RollingUpdate', rollingUpdate: { partition: 3 } },
  { type: 'RollingUpdate' },
  { type: 'OnDelete' },
  {},
);
const change = fc.record({
  kind: fc.constantFrom('Deployment', 'StatefulSet'),
  operation: fc.constantFrom('UPDATE', 'UPDATE', 'CREATE'),
  component: fc.constantFrom('scheduler', 'triggerer', 'worker', 'webserver', 'api-server', 'dag-processor'),
  from: version,
  to: version,
  database: version,
  tag: dress,
  strategy,
  annotations: fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
  paused: fc.constantFrom(undefined, true, false),
  held: fc.boolean(),
  stopped: fc.boolean(),
  mode: fc.constantFrom(undefined, undefined, 'Hold', 'Deny', 'Observe'),
  /** Under way, to another version than the one asked for where the schema step has begun. */
  run: fc.constantFrom(undefined, undefined, {}, { schemaStartedAt: '2026-11-21T12:00:30Z' }),
  failing: fc.constantFrom(undefined, undefined, undefined, 'database', 'learnedImages', 'run', 'storedWorkload'),
  dryRun: fc.boolean(),
});
type Case = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** The two sides of a change, and the world in which it is judged. */
function sidesOf(given: Case) {
  const { kind, component, paused, held, stopped, annotations } = given;
  const make = kind === 'Deployment' ? makeDeployment : makeStatefulSet;
  const shape = { component, annotations, ...(paused === undefined ? {} : { paused }), updateStrategy: given.strategy };
  const image = (v: string) => `apache/airflow:${given.tag.replace('V', v)}`;
  const oldObject = make({ ...shape, image: image(given.from), ...(held ? { held: true } : {}) });
  const object = make({ ...shape, image: image(given.to), ...(held ? { held: true, stopped } : {}) });
  if (Object.keys(annotations).length === 0 && !held) delete object.metadata.annotations;
  return { object, oldObject };
}

function settle(given: Case, oldObject: WorkloadObject): void {
  Object.assign(world, {
    stored: oldObject,
    workloads: [oldObject],
    learned: {},
    database: makeDatabase({ tables: { alembic_version: [releases[given.database]!.head] } }),
    mode: given.mode,
    run:
      given.run &&
      makeRun({ to: `apache/airflow:${given.run.schemaStartedAt ? given.from : given.to}`, status: given.run }),
    failing: given.failing && [given.failing],
  });
}

/** Read off the object itself, as the workload controllers do. */
function startsPods({ kind, spec }: WorkloadObject): boolean {
  if ((spec.template.spec.schedulingGates ?? []).length > 0) return false;
  if (kind === 'Deployment') return spec.paused !== true;
  return spec.updateStrategy?.type === 'OnDelete' || spec.updateStrategy?.rollingUpdate?.partition !== 2147483647;
}

/** The object without what a hold sets, as text. */
function besidesTheHold(object: WorkloadObject): string {
  const { metadata, spec } = structuredClone(object);
  delete metadata.annotations?.['downdraft.dev/hold'];
  if (Object.keys(metadata.annotations ?? {}).length === 0) delete metadata.annotations;
  delete spec.paused;
  delete spec.template.spec.schedulingGates;
  const { type = 'RollingUpdate', rollingUpdate = {} } = spec.updateStrategy ?? {};
  delete rollingUpdate.partition;
  spec.updateStrategy = { type, rollingUpdate };
  return JSON.stringify({ metadata, spec, status: object.status });
}

function patched(object: WorkloadObject, { patch }: Answer): WorkloadObject {
  if (patch === undefined) return object;
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString());
  return fastJsonPatch.applyPatch(structuredClone(object), operations).newDocument;
}

it('1,500 changes, each asked three times: an older Airflow never starts on a newer database', async () => {
  const met = new Set<string>();
  await fc.assert(
    fc.asyncProperty(change, async (given) => {
      const { object, oldObject } = sidesOf(given);
      settle(given, oldObject);
      const { operation, dryRun } = given;
      const about = { operation, ...(operation === 'UPDATE' ? { oldObject } : {}) } as const;
      const answer = await post('/mutate', makeReview({ ...about, object, dryRun }));
      met.add(`${answer.auditAnnotations.verdict} ${answer.auditAnnotations.reason}`);
      const stored = patched(object, answer);

      const isNew = operation === 'CREATE' || given.from !== given.to || given.held;
      const older = place(given.to) < place(given.database);
      const observes = given.mode === 'Observe';
      if (isNew && older && !observes && certain(given)) expect(answer.allowed && startsPods(stored)).toBe(false);
      if (!older && certain(given) && !given.run) expect(answer).toMatchObject({ allowed: true });
      if (!older && certain(given) && !given.run && !given.held) expect(answer.patch).toBeUndefined();

      expect(besidesTheHold(stored)).toBe(besidesTheHold(object));
      const again: Answer = await post('/mutate', makeReview({ ...about, object: stored, dryRun }));
      expect({ allowed: again.allowed, patch: again.patch }).toEqual({ allowed: answer.allowed, patch: undefined });
      if (!given.held) expect(again).toEqual({ ...answer, patch: undefined, patchType: undefined });
      expect(await post('/mutate', makeReview({ ...about, object, dryRun: !dryRun }))).toEqual(answer);
      expectWellFormed(answer);
    }),
    { numRuns: 1500 },
  );
  expect([...met].sort()).toEqual(expect.arrayContaining(everyday));
}, 60_000);

/** What random changes must have met, so that none of the above is empty words. */
const everyday = [
  'allow Fits',
  'allow Observed',
  'allow SameImage',
  'allow Upgrade',
  'deny DowngradeUnderWay',
  'deny PolicyDenies',
  'hold DatabaseAhead',
  'hold DatabaseUnreadable',
];

/** Everything could be looked at. A new object with nothing certain known of it is found by the controller. */
function certain({ failing, operation }: Case): boolean {
  return failing === undefined || (failing === 'storedWorkload' && operation === 'CREATE');
}
