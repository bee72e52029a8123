/**
 * Admission comes before validation: what arrives has the API's types, but may be as empty as they allow. Of a webhook that
 * may be ignored an answer "could not judge" would refuse the object, so there must be none.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { makeReview, type ReviewShape } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';
import { expectWellFormed, postTo } from './answers.ts';

const post = postTo({ workloads: [makeDeployment()] });

const nothing = fc.constantFrom(undefined, null, {});
const labels = fc.constantFrom(
  undefined,
  {},
  { tier: 'airflow', release: 'af', component: 'scheduler' },
  { tier: 'airflow', release: 'af', component: 'run-airflow-migrations' },
  { app: 'airflow', release: '', component: '' },
  { 'downdraft.dev/release': 'af' },
  { tier: 'airflow', release: 'constructor', component: '__proto__' },
  { owner: 'helm', status: 'pending-upgrade' },
);
const annotations = fc.constantFrom(undefined, {}, { 'downdraft.dev/hold': '' }, { 'downdraft.dev/hold': '[]' });
const metadata = fc.record({ creationTimestamp: fc.constant(null), labels, annotations });
const containers = fc.constantFrom(
  null,
  [],
  [{ name: '', resources: {} }],
  [{ name: 'scheduler', image: 'a:b@c' }],
  [{ name: 'scheduler', image: 'apache/airflow:3.1.8', env: [{ name: '' }], envFrom: [{}] }],
);
const spec = fc.record({ containers, initContainers: containers, schedulingGates: fc.constantFrom(undefined, []) });
const template = fc.record({ metadata, spec });

const workload = fc.record({
  apiVersion: fc.constant('apps/v1'),
  metadata,
  spec: fc.record({ selector: nothing, template, strategy: nothing, updateStrategy: fc.constantFrom(undefined, {}) }),
});
const pod = fc.record({ apiVersion: fc.constant('v1'), metadata, spec });
const stored = fc.record({
  apiVersion: fc.constant('v1'),
  metadata,
  data: nothing,
  type: fc.constantFrom('', 'helm.sh/release.v1'),
});

const ways: [string, string, NonNullable<ReviewShape['operation']>, string[], fc.Arbitrary<object>, string?][] = [
  ['a workload that changes', '/mutate', 'UPDATE', ['Deployment', 'StatefulSet'], workload],
  ['a workload that is created', '/mutate', 'CREATE', ['Deployment', 'StatefulSet'], workload],
  ['a workload in its final state', '/validate', 'UPDATE', ['Deployment', 'StatefulSet'], workload],
  ["a Job's pod", '/gate', 'CREATE', ['Pod'], pod],
  ['a pod of a drained release', '/drain', 'CREATE', ['Pod'], pod],
  ['a container for debugging', '/ephemeral', 'UPDATE', ['Pod'], pod, 'ephemeralcontainers'],
  ["Helm's record", '/record', 'CREATE', ['Secret', 'ConfigMap'], stored],
];

it.each(ways)(
  '%s, as bare as can be, is judged',
  async (_, path, operation, kinds, object, subResource = '') => {
    await fc.assert(
      fc.asyncProperty(object, object, fc.constantFrom(...kinds), async (one, other, kind) => {
        const oldObject = operation === 'UPDATE' ? { ...other, kind } : null;
        const shape = { object: { ...one, kind }, oldObject, operation, subResource };
        const answer = await post(path, makeReview(shape as ReviewShape));
        expectWellFormed(answer);
        expect(answer.auditAnnotations.verdict).not.toBe('error');
      }),
      { numRuns: 250 },
    );
  },
  30_000,
);
