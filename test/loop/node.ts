/** A node without a machine: Ready, large, and kept alive, so that the real scheduler binds pods to it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../../src/cluster/client/client.ts';
import { mergePatch } from '../../src/cluster/client/paths.ts';
import { waitFor } from '../cluster/run/wait.ts';

interface Node {
  spec?: { taints?: { key: string }[] };
}

const heartbeatMs = 10_000;

/** Creates the node and keeps its status fresh until the signal; resolves once the scheduler may use it. */
export async function keepNode(
  client: Client,
  name: string,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  const metadata = { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } };
  await client.request('POST', '/api/v1/nodes', { body: { apiVersion: 'v1', kind: 'Node', metadata } });
  await beat(client, name);
  void keepBeating(client, name, signal).catch(onError);
  await waitFor('a node without taints', 30_000, async () => {
    const { spec } = await client.request<Node>('GET', `/api/v1/nodes/${name}`);
    if (!spec?.taints?.length) return true;
    // A new node is tainted at creation; the node lifecycle controller would take that away within 5 s.
    const body = { spec: { taints: null } };
    await client.request('PATCH', `/api/v1/nodes/${name}`, { body, contentType: mergePatch });
    return false;
  });
}

async function keepBeating(client: Client, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(heartbeatMs, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await beat(client, name);
  }
}

/** Without a sign for 50 s the node lifecycle controller would taint the node and evict its pods. */
async function beat(client: Client, name: string): Promise<void> {
  const now = new Date().toISOString();
  const amounts = { cpu: '1000', memory: '1000Gi', pods: '5000' };
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now };
  const status = {
    capacity: amounts,
    allocatable: amounts,
    addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
    conditions: [ready],
  };
  await client.request('PATCH', `/api/v1/nodes/${name}/status`, { body: { status }, contentType: mergePatch });
}
