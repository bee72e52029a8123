/** Every read and write of the controller, on a real control plane. exec and what is built on it: exec.test.ts. */
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { patchCaBundle } from '../../src/cluster/ca-bundle.ts';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { conflict, notFound } from '../../src/cluster/client/errors.ts';
import { exec } from '../../src/cluster/exec/exec.ts';
import { clusterReads, getWorkload } from '../../src/cluster/reads.ts';
import { clusterWrites } from '../../src/cluster/writes.ts';
import type { Reads, Writes } from '../../src/controller/ports.ts';
import { gateStateOf, unadmitted } from '../../src/release/downgrade/trials.ts';
import { triggersPod } from '../../src/release/kubernetes/helper-pods.ts';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import type { Release, Trial } from '../../src/release/model/release.ts';
import type { Workload } from '../../src/release/model/workload.ts';
import { type SharedPlane, sharedPlane } from '../cluster/plane/shared.ts';
import { makeRelease, makeWorkload } from '../make/release.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';
import { type Gatekeeper, startGatekeeper } from './gatekeeper.ts';
import { expectHistory } from './history.ts';
import { allowList, hostileNamespaces } from './hostile.ts';

let plane: SharedPlane;
let client: Client;
let gatekeeper: Gatekeeper;
let reads: ReturnType<typeof clusterReads>;
let writes: ReturnType<typeof clusterWrites>;
const asked: string[] = [];

beforeAll(async () => {
  plane = await sharedPlane();
  gatekeeper = await startGatekeeper();
  client = connect({ kubeconfig: plane.kubeconfig, onRequest: (method, path) => asked.push(`${method} ${path}`) });
  reads = clusterReads({ client, namespace: 'default' });
  const gateReach = () => ({ url: gatekeeper.url, caBundle: gatekeeper.caBundle });
  writes = clusterWrites({ client, namespace: 'default', gateReach, instance: 'downdraft-0' });
}, 900_000);
afterAll(async () => {
  client?.close();
  await gatekeeper?.stop();
}, 60_000);

/** A namespace of its own, ready for pods. */
async function namespace(name: string, own: Record<string, string> = {}): Promise<string> {
  await client.request('POST', '/api/v1/namespaces', {
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: own } },
  });
  await vi.waitFor(async () => await client.request('GET', `/api/v1/namespaces/${name}/serviceaccounts/default`), {
    timeout: 10_000,
  });
  return name;
}

const spec = { containers: [{ name: 'scheduler', image: 'apache/airflow:3.2.1', futureField: 'kept by us' }] };
const labels = { tier: 'airflow', release: 'af', component: 'scheduler' };
const aPod = (ns: string, name: string, extra: object = {}): PodObject => ({
  metadata: { name, namespace: ns, labels: { ...labels } },
  spec: { ...structuredClone(spec), ...extra },
});
const podOf = async (ns: string, name: string) =>
  await client.request<PodObject>('GET', `/api/v1/namespaces/${ns}/pods/${name}`);

async function deploy(ns: string, name: string): Promise<void> {
  const body = {
    metadata: { name, labels },
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
  await client.request('POST', `/apis/apps/v1/namespaces/${ns}/deployments`, {
    body: { apiVersion: 'apps/v1', kind: 'Deployment', ...body },
  });
}

describe('the client', () => {
  it('fits the controller without a cast', () => {
    type Elsewhere =
      | 'database'
      | 'sessions'
      | 'askPod'
      | 'digestSettings'
      | 'registry'
      | 'digest'
      | 'policy'
      | 'policyNow'
      | 'missingRights';
    const ports: [Omit<Reads, Elsewhere>, Omit<Writes, 'dropCopy'>] = [reads, writes];
    expect(ports).toHaveLength(2);
  });

  it('tells not found from conflict, with the words of the API server', async () => {
    const error = await client.request('GET', '/api/v1/namespaces/no/pods/such').catch((e) => e);
    expect(notFound(error) && !conflict(error)).toBe(true);
    expect(error).toMatchObject({
      status: 404,
      reason: 'NotFound',
      message: expect.stringContaining('pods "such" not found'),
    });
  });

  it('ends a request in time, and with its signal', async () => {
    const slow = { query: { watch: true, timeoutSeconds: 20 }, timeoutMs: 300 };
    await expect(client.text('/api/v1/pods', slow)).rejects.toThrow('GET /api/v1/pods: no answer within 300 ms');
    const stop = new AbortController();
    const asking = client.text('/api/v1/pods', { ...slow, timeoutMs: 5000, signal: stop.signal });
    stop.abort(new Error('stopping'));
    await expect(asking).rejects.toThrow('stopping');
  });

  it('keeps its connections', async () => {
    await client.request('GET', '/api/v1/namespaces/default');
    const dialled = vi.spyOn(tls, 'connect');
    for (let i = 0; i < 100; i++) await client.request('GET', '/api/v1/namespaces/default');
    expect(dialled).not.toHaveBeenCalled();
    dialled.mockRestore();
  });

  it('is told by the API server why a stream can not be opened', { timeout: 20_000 }, async () => {
    const ns = await namespace('streams');
    await writes.createPod(aPod(ns, 'pending'));
    const request = { namespace: ns, container: 'scheduler', command: ['true'] };
    const noHost = await exec(client, { ...request, pod: 'pending' }).catch((e) => e);
    expect(noHost).toMatchObject({
      name: 'ApiError',
      message: expect.stringContaining('does not have a host assigned'),
    });
    expect(notFound(await exec(client, { ...request, pod: 'none' }).catch((e) => e))).toBe(true);
  });

  it('reads a list of more than a page whole', { timeout: 60_000 }, async () => {
    const ns = await namespace('pages');
    const gated = { schedulingGates: [{ name: 'x.dev/never' }] };
    for (let at = 0; at < 510; at += 30)
      await Promise.all(
        Array.from({ length: 30 }, async (_, i) => await writes.createPod(aPod(ns, `p${at + i}`, gated))),
      );
    const before = asked.length;
    const pods = await reads.pods(ns);
    // Two pages of those that have not ended well, and a list of our own that have.
    expect(asked.length - before).toBe(3);
    expect(new Set(pods.map((pod) => pod.metadata.name)).size).toBe(510);
    expect(pods[0]).toMatchObject({ apiVersion: 'v1', kind: 'Pod' });
  });
});

describe('workloads', () => {
  it('come with their kind, and a patch drops nothing and does not overwrite a change in between', {
    timeout: 30_000,
  }, async () => {
    const ns = await namespace('workloads');
    await deploy(ns, 'af-scheduler');
    const [found] = await reads.workloads(ns);
    expect(found).toMatchObject({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'af-scheduler' } });
    const { resourceVersion } = found!.metadata;
    await writes.patchWorkload(found!, { metadata: { annotations: { note: 'x' } }, spec: { paused: true } });
    const after = await getWorkload(client, 'Deployment', ns, 'af-scheduler');
    expect(after?.spec).toEqual({ ...found!.spec, paused: true });
    const late = await writes
      .patchWorkload(found!, { metadata: { resourceVersion }, spec: { paused: null } })
      .catch((e) => e);
    expect(conflict(late)).toBe(true);
    expect(await getWorkload(client, 'StatefulSet', ns, 'none')).toBeUndefined();
    const owners = async () => await reads.replicaSetOwners(ns);
    await vi.waitFor(async () => expect(Object.values(await owners())).toEqual(['af-scheduler']), { timeout: 10_000 });
    const managers = await client.request<WorkloadObject & { metadata: { managedFields: { manager: string }[] } }>(
      'GET',
      `/apis/apps/v1/namespaces/${ns}/deployments/af-scheduler`,
    );
    expect(managers.metadata.managedFields.map((field) => field.manager)).toContain('downdraft');
  });

  it('S2-41: each template that a workload has had is there, by its number', { timeout: 30_000 }, async () => {
    const ns = await namespace('rollouts');
    await deploy(ns, 'af-scheduler');
    await expectHistory(client, reads, ns, { labels, spec });
  });
});

describe('pods', () => {
  it('are made once, labelled and deleted by uid', { timeout: 30_000 }, async () => {
    const ns = await namespace('pods');
    await writes.createPod(aPod(ns, 'runner'));
    await writes.createPod(aPod(ns, 'runner'));
    const { uid = '' } = (await podOf(ns, 'runner')).metadata;
    await writes.labelPod(ns, 'runner', uid, { component: null, mine: 'yes' });
    expect((await podOf(ns, 'runner')).metadata.labels).toEqual({ tier: 'airflow', release: 'af', mine: 'yes' });
    const other = await writes.labelPod(ns, 'runner', 'another', { mine: null }).catch((e) => e);
    expect(other).toMatchObject({ status: 409 });
    await writes.deletePod(ns, 'runner', 'another');
    expect((await podOf(ns, 'runner')).metadata.deletionTimestamp).toBeUndefined();
    await writes.deletePod(ns, 'runner', uid);
    await vi.waitFor(async () => await expect(podOf(ns, 'runner')).rejects.toSatisfy(notFound), { timeout: 10_000 });
    await writes.deletePod(ns, 'runner', uid);
  });

  it('that ask about triggers are taken, also where the triggerer has its logs from a claim', {
    timeout: 30_000,
  }, async () => {
    const ns = await namespace('triggers');
    const object = makeStatefulSet({ component: 'triggerer', image: 'apache/airflow:3.1.8' });
    object.metadata.namespace = ns;
    const template = object.spec.template.spec;
    delete template.serviceAccountName;
    template.containers[0]!.volumeMounts = [{ name: 'logs', mountPath: '/opt/airflow/logs' }];
    const wanted = { run: 'af-1', namespace: ns, release: 'af', profile: 'official' as const, command: ['true'] };
    await writes.createPod(
      triggersPod(makeWorkload(object), wanted, 'af-1-triggers-0', [{ class: 'x.Y', arguments: [] }]),
    );
    expect((await podOf(ns, 'af-1-triggers-0')).spec).toMatchObject({
      activeDeadlineSeconds: 110,
      volumes: expect.arrayContaining([{ name: 'logs', emptyDir: {} }]),
    });
  });

  it('lose our gate only', { timeout: 30_000 }, async () => {
    const ns = await namespace('ungate');
    const pod = aPod(ns, 'held', { schedulingGates: [{ name: 'other.dev/wait' }, { name: 'downdraft.dev/hold' }] });
    pod.metadata.labels = { ...labels, 'downdraft.dev/gated': 'true' };
    await writes.createPod(pod);
    const { uid = '' } = (await podOf(ns, 'held')).metadata;
    await writes.ungatePod(ns, 'held', 'another');
    expect((await podOf(ns, 'held')).spec.schedulingGates).toHaveLength(2);
    await Promise.all([writes.ungatePod(ns, 'held', uid), writes.ungatePod(ns, 'held', uid)]);
    const after = await podOf(ns, 'held');
    expect(after.spec.schedulingGates).toEqual([{ name: 'other.dev/wait' }]);
    expect(after.metadata.labels).toEqual(labels);
    await writes.createPod(aPod(ns, 'only', { schedulingGates: [{ name: 'downdraft.dev/hold' }] }));
    await writes.ungatePod(ns, 'only', (await podOf(ns, 'only')).metadata.uid ?? '');
    expect((await podOf(ns, 'only')).spec.schedulingGates).toBeUndefined();
    await writes.ungatePod(ns, 'gone', uid);
  });
});

describe('the gate', () => {
  const unadmittedIn = (workload: Workload, trials: Trial[]) =>
    unadmitted(makeRelease({ workloads: [workload], admission: { trials, missingRights: [] } } as Partial<Release>));
  const stateIn = async (ns: string, workloads: Workload[], release = 'af') =>
    gateStateOf(await reads.tryPods(ns, release, workloads), true);
  const inForce = async (ns: string, workloads: Workload[]) =>
    await vi.waitFor(async () => expect(await stateIn(ns, workloads)).toBe('inForce'), { timeout: 10_000 });

  it('catches the pods of every workload of its release, whichever way it is labelled, and of no other', {
    timeout: 30_000,
  }, async () => {
    const ns = await namespace('gate');
    const made = (['official', 'community', 'labelled'] as const).flatMap((profile) => [
      makeWorkload(plain(makeDeployment({ profile, component: 'scheduler', name: `af-${profile}`, namespace: ns }))),
      makeWorkload(plain(makeStatefulSet({ profile, component: 'worker', name: `af-w-${profile}`, namespace: ns }))),
    ]);
    const other = makeWorkload(plain(makeDeployment({ release: 'other', namespace: ns })));
    expect([await reads.gateExists(ns, 'af'), await reads.tryPods(ns, 'af', made)]).toEqual([
      false,
      made.map(({ profile, kind, name }) => ({ workload: `${kind.toLowerCase()}/${name}`, profile, gated: false })),
    ]);
    await writes.createGate(ns, 'af');
    await writes.createGate(ns, 'af');
    expect(await reads.gateExists(ns, 'af')).toBe(true);
    await inForce(ns, made);
    await inForce(ns, []);
    expect(await stateIn(ns, [other], 'other')).toMatchObject({ written: expect.stringContaining('waiting') });
    expect(gatekeeper.paths.every((path) => path === '/drain')).toBe(true);
    expect(await reads.pods(ns)).toEqual([]);
    await writes.deleteGate(ns, 'af');
    await writes.deleteGate(ns, 'af');
    await vi.waitFor(async () => expect(await stateIn(ns, made)).not.toBe('inForce'), { timeout: 10_000 });
  });

  it('is not proved when nobody answers at the door, and is once the CA is right', { timeout: 60_000 }, async () => {
    const ns = await namespace('door');
    const made = [makeWorkload(plain(makeDeployment({ namespace: ns })))];
    const name = `downdraft-drain-${ns}.af`;
    await writes.createGate(ns, 'af');
    expect(await patchCaBundle(client, name, 'MutatingWebhookConfiguration', gatekeeper.caBundle)).toBe(false);
    const other = await startGatekeeper();
    await other.stop();
    expect(await patchCaBundle(client, name, 'MutatingWebhookConfiguration', other.caBundle)).toBe(true);
    const refused = { written: expect.stringMatching(/can't prove .*failed calling webhook/), refused: true };
    await vi.waitFor(async () => expect(await stateIn(ns, made)).toEqual(refused), { timeout: 10_000 });
    expect(await patchCaBundle(client, name, 'MutatingWebhookConfiguration', gatekeeper.caBundle)).toBe(true);
    await inForce(ns, made);
    await writes.deleteGate(ns, 'af');
  });

  it('in a namespace whose rules refuse pods: a trial is let by as the own pods of the release, or it says the rule', {
    timeout: 90_000,
  }, async () => {
    const policies = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic';
    await client.request('POST', `${policies}ies`, { body: allowList[0] });
    await client.request('POST', `${policies}ybindings`, { body: allowList[1] });
    await Promise.all(
      hostileNamespaces.map(async ({ name, labels: own = {}, objects = [], workload, refused, noRoom = false }) => {
        await namespace(name, own);
        for (const body of objects) await obey(name, body);
        workload.metadata.namespace = name;
        const made = makeWorkload(workload);
        const before = await vi.waitFor(
          async () => {
            const [trial] = await reads.tryPods(name, 'af', [made]);
            expect([name, trial]).toEqual([
              name,
              refused
                ? expect.objectContaining({ refused: expect.stringMatching(refused) })
                : { workload: 'deployment/af-worker', profile: 'official', gated: false },
            ]);
            return trial!;
          },
          { timeout: 30_000, interval: 500 },
        );
        expect([name, before.noRoom ?? false, before.gated]).toEqual([name, noRoom, false]);
        const says = unadmittedIn(made, [before]);
        if (refused && !noRoom)
          return expect([name, says]).toEqual([name, { reason: 'Blocked', message: expect.stringMatching(refused) }]);
        expect([name, says]).toEqual([name, undefined]);
        await writes.createGate(name, 'af');
        await inForce(name, [made]);
        await writes.deleteGate(name, 'af');
      }),
    );
  });
});

/** As a namespace has it that knows of no service account but the default one. */
function plain(object: WorkloadObject): WorkloadObject {
  delete object.spec.template.spec.serviceAccountName;
  return object;
}

/** Makes an object in a namespace; a quota counts from when its status says so. */
async function obey(ns: string, body: Record<string, unknown>): Promise<void> {
  const path = `/api/v1/namespaces/${ns}/${String(body.kind).toLowerCase()}s`;
  await client.request('POST', path, { body });
  if (body.kind !== 'ResourceQuota') return;
  const { hard } = body.spec as { hard: Record<string, string> };
  const used = Object.fromEntries(Object.keys(hard).map((name) => [name, '0']));
  const status = { status: { hard, used } };
  await client.request('PATCH', `${path}/quota/status`, { body: status, contentType: 'application/merge-patch+json' });
}
