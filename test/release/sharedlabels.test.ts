/** Which labels a copy may have so that a rule admits it, and nothing takes it for its own. */
import { describe, expect, it } from 'vitest';
import { sharedLabels, withLabels } from '../../src/release/kubernetes/shared-labels.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';
import { makeWorkload, makeWorkloads } from '../make/release.ts';

/** A release whose templates have these labels, or each its own. */
function labelled(
  labels: Record<string, string> | ((component: string) => Record<string, string>),
  of = makeWorkloads(),
) {
  return of.map((object) => {
    const copy: WorkloadObject = structuredClone(object);
    const { metadata } = copy.spec.template;
    const more = typeof labels === 'function' ? labels(metadata!.labels!.component!) : labels;
    metadata!.labels = { ...metadata!.labels, ...more };
    return copy;
  });
}

const shared = (objects: WorkloadObject[]) => sharedLabels(objects.map(makeWorkload));

describe('a label that every workload of the release has', () => {
  it.each(['team', 'acme.example/cost-centre', 'app.kubernetes.io/name', 'app.kubernetes.io/part-of', 'environment'])(
    '%s is one that a copy may have',
    (name) => expect(shared(labelled({ [name]: 'data' }))).toEqual({ [name]: 'data' }),
  );

  it.each([
    'app',
    'pod-template-hash',
    'controller-revision-hash',
    'statefulset.kubernetes.io/pod-name',
    'batch.kubernetes.io/job-name',
    'job-name',
    'controller-uid',
    'app.kubernetes.io/instance',
    'app.kubernetes.io/managed-by',
    'argocd.argoproj.io/instance',
    'acme.example/argo-instance',
    'kustomize.toolkit.fluxcd.io/name',
    'service.istio.io/canonical-name',
    'security.istio.io/tlsMode',
    'downdraft.dev/release',
  ])('%s is none: a controller or a tool knows by it what is its own', (name) => {
    expect(shared(labelled({ [name]: 'x' }))).toEqual({});
  });

  it('is none where a workload selects by it', () => {
    const objects = labelled({ team: 'data' });
    objects[0]!.spec.selector = { matchLabels: { team: 'data' } };
    expect(shared(objects)).toEqual({});
    objects[0]!.spec.selector = { matchExpressions: [{ key: 'team', operator: 'Exists' }] };
    expect(shared(objects)).toEqual({});
  });
});

describe('a label by which a Service could tell one of them from the others is none', () => {
  it('which differs, or which one of them lacks', () => {
    expect(shared(labelled((component) => ({ role: component })))).toEqual({});
    expect(
      shared(labelled((component): Record<string, string> => (component === 'scheduler' ? {} : { web: 'yes' }))),
    ).toEqual({});
  });

  it('where all of them serve, or none is known not to', () => {
    const [server] = makeWorkloads();
    expect(shared(labelled({ team: 'data' }, [server!]))).toEqual({});
    expect(shared(labelled({ team: 'data' }, []))).toEqual({});
  });
});

it('what the copy has by itself stays', () => {
  const pod = makePod({ role: 'runner', labels: { team: 'own' } });
  expect(withLabels(pod, { team: 'data', environment: 'prod' }).metadata.labels).toEqual({
    ...pod.metadata.labels,
    environment: 'prod',
  });
});
