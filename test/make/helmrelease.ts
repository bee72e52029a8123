/** Release records as Helm writes them: a Secret, or with HELM_DRIVER=configmap a ConfigMap. */
import { gzipSync } from 'node:zlib';
import { stringify } from 'yaml';
import { type ReviewRequest, readReview } from '../../src/admission/review.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeReview } from './review.ts';

export interface RecordShape {
  driver?: 'secret' | 'configmap';
  status?: string;
  /** Rendered objects of the manifest. */
  objects?: object[];
  /** Text of the manifest, instead of `objects`. */
  manifest?: string;
  /** Jobs and their events, as hooks. */
  hooks?: { object: object; events: string[] }[];
  namespace?: string;
  /** Members of the release's JSON besides, or instead of, the ordinary ones. */
  release?: Record<string, unknown>;
  /** Replaces the base64 of the gzip of the JSON. */
  payload?: string;
  type?: string;
}

/** What Helm encodes: release af in namespace air, with a chart and values that hold a password. */
export function makeRelease({ objects = [], hooks = [], namespace = 'air', ...shape }: RecordShape = {}) {
  return {
    name: 'af',
    info: { status: shape.status ?? 'pending-upgrade', description: 'Preparing upgrade' },
    chart: { metadata: { name: 'airflow' }, values: { '"manifest":': ['{', '}\\', '\\"'] }, templates: [] },
    config: { data: { metadataConnection: { pass: 'hunter2' } } },
    manifest: shape.manifest ?? objects.map(documentOf).join(''),
    hooks: hooks.map(({ object, events }) => ({
      name: 'af-run-airflow-migrations',
      kind: 'Job',
      path: 'airflow/templates/jobs/migrate-database-job.yaml',
      manifest: stringify(object),
      events,
      weight: 1,
      delete_policies: ['before-hook-creation'],
    })),
    version: 2,
    namespace,
    ...shape.release,
  };
}

/** A Secret (or ConfigMap) with that release, as an AdmissionReview carries it. */
export function makeRecord(shape: RecordShape = {}): Record<string, unknown> {
  const payload = shape.payload ?? gzipSync(JSON.stringify(makeRelease(shape))).toString('base64');
  const metadata = {
    name: 'sh.helm.release.v1.af.v2',
    namespace: shape.namespace ?? 'air',
    labels: { owner: 'helm', name: 'af', status: shape.status ?? 'pending-upgrade', version: '2' },
  };
  if (shape.driver === 'configmap')
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { release: payload } };
  const release = Buffer.from(payload).toString('base64');
  return { apiVersion: 'v1', kind: 'Secret', metadata, type: shape.type ?? 'helm.sh/release.v1', data: { release } };
}

/** The request in which jane creates it. */
export function makeRecordRequest(record: Record<string, unknown>): ReviewRequest {
  return readReview(makeReview({ object: record as unknown as WorkloadObject, operation: 'CREATE' }));
}

/** The chart's migration Job with this image. */
export function makeMigrationJob(image: string, release = 'af') {
  const labels = { tier: 'airflow', component: 'run-airflow-migrations', release };
  const containers = [{ name: 'run-airflow-migrations', image, args: ['bash', '-c', 'exec airflow db migrate'] }];
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: `${release}-run-airflow-migrations`, labels },
    spec: { template: { metadata: { labels }, spec: { restartPolicy: 'OnFailure', containers } } },
  };
}

function documentOf(object: object): string {
  return `---\n# Source: airflow/templates/${(object as { kind?: string }).kind?.toLowerCase()}.yaml\n${stringify(object)}`;
}
