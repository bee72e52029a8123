/** Watching and electing, on a real control plane. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { expired } from '../../src/cluster/client/errors.ts';
import { type WatchEvent, type Watched, type WatchState, watch } from '../../src/cluster/client/watch.ts';
import { elect } from '../../src/cluster/lease.ts';
import { type ControlPlane, startControlPlane } from '../cluster/plane/controlplane.ts';

let plane: ControlPlane;
let client: Client;
const asked: string[] = [];
const maps = '/api/v1/namespaces/default/configmaps';

beforeAll(async () => {
  plane = await startControlPlane({ purpose: 'cluster-client watch' });
  client = connect({
    kubeconfig: plane.kubeconfig,
    onRequest: (method, path) => asked.push(`${method} ${path}`),
  });
}, 900_000);
afterAll(async () => {
  client?.close();
  await plane?.stop();
}, 60_000);

interface Seen {
  events: WatchEvent<Watched>[];
  states: WatchState[];
  names(type: string): string[];
  stop(): Promise<void>;
}

async function follow(
  label: string,
  options: { timeoutSeconds?: number; silenceMs?: number } = {},
  through = client,
): Promise<Seen> {
  const stop = new AbortController();
  const seen: Seen = {
    events: [],
    states: [],
    names: (type) => seen.events.filter((e) => e.type === type).map((e) => e.object.metadata.name),
    stop: async () => {
      stop.abort();
      await running;
    },
  };
  const running = watch<Watched>(through, maps, {
    labelSelector: `test=${label}`,
    onChange: (event) => seen.events.push(event),
    onState: (state) => seen.states.push(state),
    signal: stop.signal,
    ...options,
  });
  await vi.waitFor(() => expect(seen.states).toContainEqual({ state: 'synced' }), { timeout: 5000 });
  return seen;
}

const make = async (name: string, test: string) =>
  await client.request('POST', maps, {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { test } }, data: {} },
  });

async function told(seen: Seen, name: string, test: string): Promise<void> {
  await make(name, test);
  await vi.waitFor(() => expect(seen.names('ADDED')).toContain(name), { timeout: 5000, interval: 5 });
}

/** A client that counts. */
function counted() {
  const count = { lists: 0, watches: 0 };
  const through: Client = {
    ...client,
    read: async (...call) => {
      count.lists++;
      return await client.read(...call);
    },
    stream: async (...call) => {
      count.watches++;
      return await client.stream(...call);
    },
  };
  return { lists: () => count.lists, watches: () => count.watches, through };
}

describe('watch', () => {
  it('tells what is there, then each change, with the kind of things', async () => {
    await make('a1', 'a');
    const seen = await follow('a');
    expect(seen.events[0]).toMatchObject({
      type: 'ADDED',
      object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'a1' } },
    });
    await client.request('PATCH', `${maps}/a1`, {
      body: { data: { x: 'y' } },
      contentType: 'application/merge-patch+json',
    });
    await client.request('DELETE', `${maps}/a1`);
    await vi.waitFor(() => expect(seen.events.map((e) => e.type)).toEqual(['ADDED', 'MODIFIED', 'DELETED']));
    await seen.stop();
  });

  it('tells a change by the watch that is open, also after some have ended in quiet', { timeout: 60_000 }, async () => {
    const { lists, watches, through } = counted();
    // A watch that lived for less than a second counts as one that failed.
    const seen = await follow('quiet', { timeoutSeconds: 2 }, through);
    await told(seen, 'q1', 'quiet');
    const before = watches();
    await vi.waitFor(() => expect(watches() - before).toBeGreaterThanOrEqual(4), { timeout: 30_000 });
    await told(seen, 'q2', 'quiet');
    // No pause, and nothing that had to be found by a second list.
    expect(seen.states).toEqual([{ state: 'synced' }]);
    expect(lists()).toBe(1);
    await seen.stop();
  });

  it('begins anew when nothing comes for too long', { timeout: 20_000 }, async () => {
    const seen = await follow('silent', { silenceMs: 1500 });
    const before = asked.length;
    await vi.waitFor(() => expect(asked.length).toBeGreaterThanOrEqual(before + 2), { timeout: 10_000 });
    await told(seen, 's1', 'silent');
    await seen.stop();
  });

  it('goes on after the API server was away, and tells what vanished meanwhile', { timeout: 90_000 }, async () => {
    await Promise.all([make('r1', 'restart'), make('r2', 'restart')]);
    let current: { destroy(): void } | undefined;
    let away = false;
    const cuttable: Client = {
      ...client,
      stream: async (...call) => {
        if (away) throw new Error('cut off');
        const response = await client.stream(...call);
        current = response;
        return response;
      },
    };
    const seen = await follow('restart', {}, cuttable);
    await vi.waitFor(() => expect(current).toBeDefined());
    away = true;
    current?.destroy();
    await client.request('DELETE', `${maps}/r1`);
    // Its watch cache then begins after our version: a real 410.
    await plane.restartApiServer();
    away = false;
    await make('r3', 'restart');
    await vi.waitFor(() => expect(seen.names('ADDED').sort()).toEqual(['r1', 'r2', 'r3']), { timeout: 30_000 });
    expect(seen.names('DELETED')).toEqual(['r1']);
    expect(seen.events.find((e) => e.type === 'DELETED')?.object.metadata.labels).toEqual({ test: 'restart' });
    expect(seen.names('MODIFIED')).toEqual(['r2']);
    const retries = seen.states.flatMap((state) => (state.state === 'retrying' ? [state.error] : []));
    expect(retries.some(expired)).toBe(true);
    expect(seen.states.at(-1)).toEqual({ state: 'synced' });
    await seen.stop();
  });
});

describe('elect', () => {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';

  function stand(identity: string, lease: string, candidateClient = client) {
    const stop = new AbortController();
    const story = { tokens: [] as number[], stopped: 0, leads: () => false, errors: [] as unknown[] };
    const running = elect(candidateClient, {
      namespace: 'default',
      name: lease,
      identity,
      durationSeconds: 3,
      renewSeconds: 2,
      retrySeconds: 0.3,
      onStarted: (token, leads) => Object.assign(story, { leads }).tokens.push(token),
      onStopped: () => {
        story.stopped++;
      },
      onError: (error) => story.errors.push(error),
      signal: stop.signal,
    });
    const end = async () => {
      stop.abort();
      await running;
    };
    return { story, end };
  }

  interface Lease {
    spec: { acquireTime: string; renewTime: string; leaseDurationSeconds: number };
  }

  /** Waits until a leader has had the lease for longer than it lasts unrenewed: the others have asked many times. */
  async function outlived(lease: string): Promise<void> {
    await vi.waitFor(
      async () => {
        const { spec } = await client.request<Lease>('GET', `${leases}/${lease}`);
        const ledMs = Date.parse(spec.renewTime) - Date.parse(spec.acquireTime);
        expect(ledMs).toBeGreaterThan(spec.leaseDurationSeconds * 1000);
      },
      { timeout: 20_000, interval: 100 },
    );
  }

  it('has one leader, and hands over at once when it leaves', { timeout: 30_000 }, async () => {
    const first = stand('one', 'handover');
    await vi.waitFor(() => expect(first.story.tokens).toHaveLength(1), { timeout: 5000 });
    const second = stand('two', 'handover');
    await outlived('handover');
    expect(second.story.tokens).toEqual([]);
    expect(first.story.leads()).toBe(true);
    await first.end();
    expect(first.story).toMatchObject({ stopped: 1 });
    expect(first.story.leads()).toBe(false);
    await vi.waitFor(() => expect(second.story.tokens).toHaveLength(1), { timeout: 1500 });
    expect(second.story.tokens[0]).toBeGreaterThan(first.story.tokens[0]!);
    await second.end();
  });

  it('takes over from a leader that can renew no longer, after that one has stopped', { timeout: 30_000 }, async () => {
    const cut: Client = connect({ kubeconfig: plane.kubeconfig });
    let broken = false;
    const flaky: Client = {
      ...cut,
      request: async (...call) => {
        if (broken)
          await new Promise((_, reject) =>
            call[2]?.signal?.addEventListener('abort', () => reject(new Error('cut off'))),
          );
        return await cut.request(...call);
      },
    };
    const first = stand('one', 'takeover', flaky);
    await vi.waitFor(() => expect(first.story.tokens).toHaveLength(1), { timeout: 5000 });
    const second = stand('two', 'takeover');
    broken = true;
    await vi.waitFor(() => expect(first.story.stopped).toBe(1), { timeout: 4000 });
    expect(second.story.tokens).toEqual([]);
    await vi.waitFor(() => expect(second.story.tokens).toHaveLength(1), { timeout: 6000 });
    expect(second.story.tokens[0]).toBe(first.story.tokens[0]! + 1);
    expect(first.story.errors.length).toBeGreaterThan(0);
    broken = false;
    await Promise.all([first.end(), second.end()]);
    cut.close();
  });

  it('lets one of five win', { timeout: 30_000 }, async () => {
    const all = Array.from({ length: 5 }, (_, i) => stand(`c${i}`, 'crowd'));
    await vi.waitFor(() => expect(all.flatMap((c) => c.story.tokens)).toHaveLength(1), { timeout: 5000 });
    await outlived('crowd');
    expect(all.filter((c) => c.story.leads())).toHaveLength(1);
    await Promise.all(all.map(async (c) => await c.end()));
    const lease = await client.request<{ spec: object }>('GET', `${leases}/crowd`);
    expect(lease.spec).toMatchObject({ holderIdentity: '' });
  });
});
