/** Workloads as they are kept for reviews: small, and read the same afterwards. */
import { describe, expect, it } from 'vitest';
import { makeShelf } from '../../src/cluster/mirror/workload-store.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

const differing = makeDeployment();
differing.spec.template.spec.initContainers = [{ name: 'wait-for-airflow-migrations', image: 'x', env: [] }];

describe('a workload on the shelf', () => {
  it.each([
    ['of the official chart', makeDeployment()],
    [
      'of the community chart, its environment from Secrets',
      makeDeployment({ profile: 'community', component: 'web' }),
    ],
    ['that is held', makeStatefulSet({ held: true })],
    ['whose containers have different environments', differing],
  ])('is read as the whole one: %s', (_, object) => {
    const shelf = makeShelf();
    shelf.put(structuredClone(object), 'ADDED', 'tier=airflow');
    const kept = shelf.get(object.kind!, 'air', object.metadata.name)!;
    const read = (of: WorkloadObject) => ({ ...readWorkload(of), settled: undefined, object: undefined });
    expect(read(kept)).toEqual(read(object));
    const environments = ({ spec: { template } }: WorkloadObject) =>
      [...template.spec.containers, ...(template.spec.initContainers ?? [])]
        .filter(({ name }) => !name.endsWith('-log-groomer'))
        .map(({ name, image, env, envFrom }) => ({ name, image, env, envFrom }));
    expect(environments(kept)).toEqual(environments(object));
  });

  it('stays as long as one of two watches tells of it', () => {
    const shelf = makeShelf();
    for (const watch of ['tier=airflow', 'app=airflow']) shelf.put(makeDeployment(), 'ADDED', watch);
    shelf.put(makeDeployment(), 'DELETED', 'app=airflow');
    expect(shelf.releases()).toHaveLength(1);
    shelf.put(makeDeployment(), 'DELETED', 'tier=airflow');
    expect(shelf.releases()).toEqual([]);
  });
});
