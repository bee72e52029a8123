/**
 * What may not be stored, worked out from the objects alone and without anything of src: an older Airflow that would start
 * on the newer database.
 */
import type { Thing } from './things.ts';

/** What is in an image, whoever calls it what: the head that it needs. */
const headIn: Record<string, string> = {
  'apache/airflow:2.11.0': '5f2621c13b39',
  'docker.io/apache/airflow:3.0.6': 'fe199e1abd77',
  'apache/airflow:3.1.8': '509b94a1042d',
  'apache/airflow:slim-3.1.8-python3.11': '509b94a1042d',
  'localhost:1/apache/airflow:3.1.8': '509b94a1042d',
  'localhost:1/ours/airflow:9.9.9': '509b94a1042d',
  'localhost:1/ours/airflow': '509b94a1042d',
  [`apache/airflow:3.2.1@sha256:${'a'.repeat(64)}`]: '509b94a1042d',
  [`apache/airflow@sha256:${'b'.repeat(64)}`]: '5f2621c13b39',
  'apache/airflow:latest': 'fe199e1abd77',
  'apache/airflow:slim-3.2.1-python3.12': '1d6611b6ab7c',
  'apache/airflow:3.2.0': '1d6611b6ab7c',
  'apache/airflow:3.2.1': '1d6611b6ab7c',
  'apache/airflow:3.3.0': 'd2f4e1b3c5a7',
};
const order = ['5f2621c13b39', 'fe199e1abd77', '509b94a1042d', '1d6611b6ab7c', 'd2f4e1b3c5a7'];

/** Where the database of every release stands. */
const databaseHead = '1d6611b6ab7c';

const components = [
  'scheduler',
  'triggerer',
  'worker',
  'api-server',
  'webserver',
  'dag-processor',
  'web',
  'sync-users',
];

type Noted = { labels?: Record<string, string>; annotations?: Record<string, string> };
type Spec = {
  paused?: boolean;
  updateStrategy?: { type?: string; rollingUpdate?: { partition?: number } };
  template: {
    metadata?: Noted;
    spec: { containers: { name: string; image?: string }[]; schedulingGates?: { name: string }[] };
  };
};
const specOf = ({ spec }: Thing) => spec as unknown as Spec;

/** The image of the process that works on the database; undefined for what is no workload of Airflow's, by the labels of `as`. */
export function airflowIn(object: Thing, as = object): string | undefined {
  if (object.kind !== 'Deployment' && object.kind !== 'StatefulSet') return undefined;
  const { spec } = specOf(object).template;
  const labels: Record<string, string> = { ...as.metadata.labels, ...specOf(as).template.metadata?.labels };
  const { tier, app, release, component = '' } = labels;
  const charted = (tier === 'airflow' || app === 'airflow') && release && components.includes(component);
  if (!labels['downdraft.dev/release'] && !charted) return undefined;
  const known = [component, `airflow-${component}`, labels['app.kubernetes.io/component']];
  return (spec.containers.find(({ name }) => known.includes(name)) ?? spec.containers[0])?.image;
}

/** Whether it says itself in which schema its tables are: there may be none yet, and then nothing is newer. */
export function namesSchema(object: Thing): boolean {
  return JSON.stringify(object.spec).includes('SQL_ALCHEMY_SCHEMA');
}

/** Whether it is an older Airflow than the database is of. */
export function isOlder(image: string | undefined): boolean {
  const head = image === undefined ? undefined : headIn[image];
  return head !== undefined && order.indexOf(head) < order.indexOf(databaseHead);
}

/** Whether none of its new pods can start. */
export function isHeld(object: Thing): boolean {
  if (object.kind !== 'Deployment' && object.kind !== 'StatefulSet') return false;
  const { paused, updateStrategy, template } = specOf(object);
  const gated = template.spec.schedulingGates?.some(({ name }) => name === 'downdraft.dev/hold') ?? false;
  const partitioned = updateStrategy?.type !== 'OnDelete' && updateStrategy?.rollingUpdate?.partition === 2147483647;
  const stopped = gated || (object.kind === 'Deployment' ? paused === true : partitioned);
  return stopped && object.metadata.annotations?.['downdraft.dev/hold'] !== undefined;
}
