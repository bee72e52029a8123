/** What a leader takes that starts beside a real API server with very many pods of one release. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { apps, core, mergePatch } from '../../src/cluster/client/paths.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { asWritten } from '../admission/written.ts';
import { startControlPlane } from '../cluster/plane/controlplane.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { installProduct } from '../loop/product.ts';
import { makeDeployment } from '../make/workload.ts';
import { withFolder } from './folder.ts';
import type { Taken } from './memory.ts';
import { peakMiB, processorSeconds, residentMiB } from './proc.ts';
import { isReady, type Product, untilOf } from './product.ts';

/** Pods of which the target speaks. */
export const realPods = 10_000;

export interface AmongPods extends Omit<Taken, 'role' | 'looked'> {
  pods: number;
  /** Of one of them, as the API server gives it. */
  bytes: number;
}

const namespace = 'crowded';
const image = 'apache/airflow:3.2.0';
const atATime = 32;
/** Of which it may work a tenth, when it rests. */
const restMs = 5_000;

/** Makes the pods, which no node runs, starts the product and measures it until it rests. Throws when it ends. */
export async function measureAmongPods(
  pods: number,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<AmongPods> {
  return await withFolder(async (folder, stack) => {
    const plane = stack.adopt(await startControlPlane({ purpose: 'bench', onProgress: say }), (p) => p.stop());
    const client = stack.adopt(connect({ kubeconfig: plane.kubeconfig }), (c) => c.close());
    const bytes = await makePods(client, pods, signal);
    const product = stack.adopt(await installProduct(plane, client, folder), (c) => c.stop());
    const until = untilOf(product, signal);
    const readySeconds = await until('readiness', async () => await isReady(product));
    await until('a leader', async () => await leads(client));
    const quietSeconds = await until('rest', async () => await rests(product));
    const [rest, peak] = await Promise.all([residentMiB(product.pid), peakMiB(product.pid)]);
    return { pods, bytes, rest: Math.round(rest), peak: Math.round(peak), readySeconds, quietSeconds };
  });
}

async function leads(client: Client): Promise<boolean> {
  const path = '/apis/coordination.k8s.io/v1/namespaces/downdraft/leases/downdraft';
  const { spec } = await client.request<{ spec: { holderIdentity?: string } }>('GET', path);
  return Boolean(spec.holderIdentity);
}

async function rests({ pid }: Product): Promise<boolean> {
  const before = await processorSeconds(pid);
  await delay(restMs);
  return (await processorSeconds(pid)) - before < restMs / 10_000;
}

/** A release with so many tasks, as KubernetesExecutor makes them. Answers the size of one. */
async function makePods(client: Client, count: number, signal: AbortSignal): Promise<number> {
  await client.request('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } });
  await waitFor('the default service account', 60_000, () =>
    client.request<object>('GET', core(namespace, 'serviceaccounts', 'default')),
  );
  const body = asWritten(makeDeployment({ namespace, image, replicas: 0 }));
  const owner = await client.request<WorkloadObject>('POST', apps(namespace, 'deployments'), { body });
  let made = 0;
  const work = async () => {
    while (made < count && !signal.aborted) {
      const pod = podOf(made++, owner);
      await client.request('POST', core(namespace, 'pods'), { body: pod, timeoutMs: 60_000 });
      const path = core(namespace, 'pods', pod.metadata.name, 'status');
      await client.request('PATCH', path, { body: { status: running }, contentType: mergePatch, timeoutMs: 60_000 });
    }
  };
  await Promise.all(Array.from({ length: atATime }, work));
  signal.throwIfAborted();
  return JSON.stringify(await client.request('GET', core(namespace, 'pods', podOf(0, owner).metadata.name))).length;
}

const digest = `docker.io/apache/airflow@sha256:${'5'.repeat(64)}`;
const running = {
  phase: 'Running',
  containerStatuses: [{ name: 'base', image, imageID: digest, ready: true, restartCount: 0, state: { running: {} } }],
};

function podOf(at: number, { metadata: { name, uid } }: WorkloadObject) {
  const task = { dag_id: `dag_${at % 50}`, task_id: `task_${at}`, run_id: `scheduled__${at}`, try_number: '1' };
  const labels = { tier: 'airflow', component: 'worker', release: 'af', kubernetes_executor: 'True', ...task };
  // Not its controller, or that one would end what it did not ask for.
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'Deployment', name, uid }];
  const valueFrom = { secretKeyRef: { name: 'none', key: 'connection' } };
  const env = [{ name: 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', valueFrom }];
  return {
    metadata: { name: `task-${at}`, labels, ownerReferences },
    // Nobody looks for a node, of which there is none.
    spec: { schedulerName: 'none', containers: [{ name: 'base', image, env, args: ['airflow', 'tasks', 'run'] }] },
  };
}
