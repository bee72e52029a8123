/** Objects as people write them, common and odd, for a real API server. */
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

/** Without what only the API server sets. */
export function asWritten<T extends WorkloadObject | PodObject>(object: T): T {
  const written = structuredClone(object);
  delete written.metadata.uid;
  delete written.metadata.resourceVersion;
  delete written.metadata.generation;
  delete written.metadata.ownerReferences;
  delete written.status;
  if (written.kind === 'StatefulSet') Object.assign(written.spec, { serviceName: 'x' });
  return written;
}

/** Deployments that lack what an expression might take for granted: no init containers, 22 containers, no annotations. */
export function oddOnes(): WorkloadObject[] {
  return [
    odd('bare', (d) => delete d.spec.template.spec.initContainers),
    odd('crowded', (d) => d.spec.template.spec.containers.push(...many(20))),
    odd('unannotated', (d) => delete d.metadata.annotations),
  ];
}

function odd(name: string, change: (object: WorkloadObject) => unknown): WorkloadObject {
  const object = makeDeployment({ name });
  change(object);
  return object;
}

function many(count: number) {
  return Array.from({ length: count }, (_, at) => ({ name: `side-${at}`, image: 'busybox:1' }));
}

/** A StatefulSet of Airflow's with as many containers, each with as many variables; the first is the main one. */
export function crowded(shape: { variables: number; containers: number; prefix?: string }): WorkloadObject {
  const { variables, containers, prefix = 'SOME_VARIABLE_' } = shape;
  const env = Array.from({ length: variables }, (_, at) => ({ name: `${prefix}${at}` }));
  const object = makeStatefulSet({ name: `crowded-${variables}-${containers}`, replicas: 0 });
  const spare = Array.from({ length: containers - 1 }, (_, at) => ({ name: `spare-${at}`, image: 'busybox:1', env }));
  const [main] = object.spec.template.spec.containers;
  object.spec.template.spec.containers = [{ ...main!, env }, ...spare];
  return asWritten(object);
}

/** A Deployment "shop" that has nothing to do with Airflow. */
export function shop(): WorkloadObject {
  const object = makeDeployment({ name: 'shop', image: 'shop:1', labels: { tier: 'web' } });
  object.spec.selector = { matchLabels: { tier: 'web' } };
  object.spec.template.metadata = { labels: { tier: 'web' } };
  return asWritten(object);
}

/** As the community chart makes it, of release com: labels app, release, component and its own container names. */
export function community(image: string, component = 'scheduler'): WorkloadObject {
  const object = makeDeployment({ name: `com-${component}`, release: 'com', component });
  const labels = { app: 'airflow', release: 'com', component };
  const env = [{ name: 'DATABASE_PASSWORD', valueFrom: { secretKeyRef: { name: 'com-postgresql', key: 'password' } } }];
  object.metadata.labels = labels;
  object.spec.selector = { matchLabels: labels };
  object.spec.template = {
    metadata: { labels },
    spec: {
      initContainers: [{ name: 'check-db', image, env }],
      containers: [{ name: `airflow-${component}`, image, env, envFrom: [{ secretRef: { name: 'com-config-envs' } }] }],
    },
  };
  return object;
}

/** A plain manifest with our label on the workload and on its pods. */
export function labelled(image: string): WorkloadObject {
  const object = makeDeployment({ name: 'pipelines', image });
  object.metadata.labels = { app: 'pipelines', 'downdraft.dev/release': 'pipelines' };
  object.spec.selector = { matchLabels: { app: 'pipelines' } };
  object.spec.template.metadata = { labels: object.metadata.labels };
  return object;
}
