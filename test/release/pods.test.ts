import { expect, it } from 'vitest';
import { probePod, triggersPod } from '../../src/release/kubernetes/helper-pods.ts';
import { makeWorkload } from '../make/release.ts';
import { makeStatefulSet } from '../make/workload.ts';

const wanted = { run: 'af-x7k2q', namespace: 'air', release: 'af', profile: 'official', command: ['ask'] } as const;

/** The chart's triggerer: its logs come from a claim, which the pod template does not name. */
function triggerer() {
  const object = makeStatefulSet({ component: 'triggerer', image: 'apache/airflow:3.1.8' });
  const [main] = object.spec.template.spec.containers;
  main!.volumeMounts = [{ name: 'logs', mountPath: '/opt/airflow/logs' }];
  return makeWorkload(object);
}

it.each([
  ['probe', probePod(triggerer(), { ...wanted, command: ['ask'] })],
  [
    'pod that asks about triggers',
    triggersPod(triggerer(), { ...wanted, command: ['ask'] }, 'af-x7k2q-triggers-0', []),
  ],
])('the %s made of a StatefulSet has a folder in place of what a claim brings', (_, { spec }) => {
  expect(spec.containers[0]!.volumeMounts).toEqual([{ name: 'logs', mountPath: '/opt/airflow/logs' }]);
  expect(spec.volumes).toContainEqual({ name: 'logs', emptyDir: {} });
});

it('the pod that asks about triggers has its question in its environment, and no room to stay', () => {
  const asked = [{ class: 'x.Y', arguments: ['a'] }];
  const { metadata, spec } = triggersPod(triggerer(), { ...wanted, command: ['ask'] }, 'af-x7k2q-triggers-0', asked);
  expect(metadata).toMatchObject({ name: 'af-x7k2q-triggers-0', labels: { 'downdraft.dev/role': 'probe' } });
  expect(spec.activeDeadlineSeconds).toBe(110);
  expect(spec.containers[0]!.env).toContainEqual({ name: 'DOWNDRAFT_TRIGGERS', value: JSON.stringify(asked) });
});
