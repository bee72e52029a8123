/** Two controllers and one Lease, of which one freezes; and the controller as main starts it, on a quiet cluster. */
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { core, mergePatch } from '../../src/cluster/client/paths.ts';
import { elect } from '../../src/cluster/lease.ts';
import { startMirror } from '../../src/cluster/mirror/mirror.ts';
import type { Writes } from '../../src/controller/ports.ts';
import { holdOf, resumePatch } from '../../src/release/kubernetes/hold.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import { runController, whileLeading } from '../../src/wiring/controller.ts';
import { lead } from '../../src/wiring/leading.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { faultsAtEnd } from './ends.ts';
import { older } from './images.ts';
import { eachWrite, startLife } from './mortal.ts';
import { type Place, startPlace } from './place.ts';
import {
  downgrades,
  forget,
  gates,
  type Installed,
  install,
  makeSeed,
  releaseName,
  setImage,
  stored,
} from './release.ts';
import { ended, settled } from './runs.ts';

let place: Place;

beforeAll(async () => {
  place = await startPlace('the loop: leadership');
  await makeSeed(place);
}, 180_000);

afterAll(async () => await place?.stop(), 60_000);

/** Everything that a frozen process would ask of the API server waits until it thaws. */
function freezable(client: Client) {
  const { promise: thawed, resolve: thaw } = Promise.withResolvers<void>();
  let frozen = false;
  const ice =
    <A extends unknown[], R>(ask: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (frozen) await thawed;
      return ask(...args);
    };
  const iced = {
    ...client,
    request: ice(client.request) as Client['request'],
    read: ice(client.read) as Client['read'],
    text: ice(client.text),
    stream: ice(client.stream),
  };
  const freeze = () => {
    frozen = true;
    return thawed;
  };
  return { client: iced, freeze, thaw };
}

async function eventsIn(namespace: string, reason: string): Promise<unknown[]> {
  const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
  const query = { fieldSelector: `reason=${reason}` };
  return (await place.client.request<{ items: unknown[] }>('GET', path, { query })).items;
}

interface Candidate {
  tokens: number[];
  leads(): boolean;
  wrote: string[];
  stop(): Promise<void>;
}

/** Stands for election as main does, with a Lease of 2 s, and brings one release on while it leads. */
function stand(name: string, installed: Installed, client: Client, around: (writes: Writes) => Writes): Candidate {
  const stopping = new AbortController();
  let term: AbortController | undefined;
  let leading: () => boolean = () => false;
  const candidate: Candidate = { tokens: [], leads: () => leading(), wrote: [], stop: async () => {} };
  const election = elect(client, {
    namespace: 'downdraft',
    name: 'downdraft',
    identity: name,
    durationSeconds: 2,
    renewSeconds: 1.3,
    retrySeconds: 0.3,
    signal: stopping.signal,
    onStarted: (token, leads) => {
      term = new AbortController();
      leading = leads;
      candidate.tokens.push(token);
      const { signal } = term;
      const guarded = around(whileLeading(place.writes(client), { token, leads, signal }));
      const writes = eachWrite(guarded, (write) => void candidate.wrote.push(write));
      const key = { namespace: installed.namespace, name: releaseName };
      startLife({ key, reads: place.reads(client), writes, token, signal, onTrouble: () => {} });
    },
    onStopped: () => term?.abort(),
  });
  candidate.stop = async () => {
    stopping.abort();
    await election;
  };
  return candidate;
}

it.each(['createGate', 'deletePod', 'patchWorkload'] as const)(
  'a leader that froze before %s can do no harm when it wakes: its late write is refused',
  async (due) => {
    const installed = await install(place, `froze-${due.toLowerCase()}`);
    const { namespace } = installed;
    await setImage(place, installed, older);
    const ice = freezable(connect({ kubeconfig: place.kubeconfig }));
    let frozen = false;
    const late: string[] = [];
    const first = stand('first', installed, ice.client, (guarded) => ({
      ...guarded,
      [due]: async (...args: never[]) => {
        const write = guarded[due] as (...a: never[]) => Promise<void>;
        if (frozen) return write(...args);
        frozen = true;
        await ice.freeze();
        return write(...args).then(
          () => void late.push('was made'),
          (error: Error) => void late.push(error.message),
        );
      },
    }));
    await waitFor('the first to lead', 10_000, () => first.leads());
    const second = stand('second', installed, place.views.client, (writes) => writes);
    try {
      await waitFor('the second to lead', 60_000, () => frozen && second.leads());
      expect(await ended(place, namespace, () => second.wrote)).toEqual([]);
      expect(late).toEqual([]);
      ice.thaw();
      await waitFor('the late write', 10_000, () => late.length > 0);
      expect(late).toEqual([`${due}: this replica is no longer the leader`]);
      expect(second.tokens[0]).toBeGreaterThan(first.tokens[0]!);
      expect(await settled(() => faultsAtEnd(place, installed))).toEqual([]);
    } finally {
      ice.thaw();
      await Promise.all([first.stop(), second.stop()]);
      ice.client.close();
      await forget(place, installed);
    }
  },
  120_000,
);

it('a write of a leader that was replaced, on its way for long, is refused: the record stays as the new leader wrote it', async () => {
  const installed = await install(place, 'late-status');
  const { namespace } = installed;
  await setImage(place, installed, older);
  const ice = freezable(connect({ kubeconfig: place.plane.kubeconfig }));
  const late: string[] = [];
  let sent = false;
  // Past every check of ours: it was let through while the lease still stood.
  const request = (async (...call) => {
    const { status } = (call[2]?.body ?? {}) as { status?: { record?: { drainStartedAt?: string } } };
    if (sent || !status?.record?.drainStartedAt) return ice.client.request(...call);
    sent = true;
    await ice.freeze();
    return place.client.request(...call).then(
      () => late.push('was made'),
      (error: ApiError) => {
        late.push(error.reason);
        throw error;
      },
    );
  }) as Client['request'];
  const first = stand('first', installed, { ...ice.client, request }, (writes) => writes);
  await waitFor('the first to lead', 10_000, () => first.leads());
  const second = stand('second', installed, place.client, (writes) => writes);
  try {
    await waitFor('the second to lead', 60_000, () => sent && second.leads());
    expect(await ended(place, namespace, () => second.wrote)).toEqual([]);
    const written = async () => (await downgrades(place.client, namespace))[0]?.status?.record;
    const before = await written();
    ice.thaw();
    await waitFor('the late write', 10_000, () => late.length > 0);
    expect(late).toEqual(['Conflict']);
    expect(await written()).toEqual(before);
    expect(await settled(() => faultsAtEnd(place, installed))).toEqual([]);
  } finally {
    ice.thaw();
    await Promise.all([first.stop(), second.stop()]);
    ice.client.close();
    await forget(place, installed);
  }
}, 120_000);

it('a replica that is not told the policies does not stand, and a controller without them drains nothing that they ask about', async () => {
  const installed = await install(place, 'unknown-policy');
  const { namespace } = installed;
  const path = '/apis/downdraft.dev/v1alpha1/downgradepolicies';
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
  const spec = { mode: 'Hold', approval: 'Always', namespaceSelector };
  const policy = { apiVersion: 'downdraft.dev/v1alpha1', kind: 'DowngradePolicy', metadata: { name: 'asks' }, spec };
  await place.client.request('POST', path, { body: policy });
  let heldOff = true;
  const read = (async (...call) => {
    if (call[0] === path && heldOff) throw new ApiError(429, 'TooManyRequests', 'too many requests', 1);
    return place.client.read(...call);
  }) as Client['read'];
  const client = { ...place.client, read };
  const [ending, life] = [new AbortController(), new AbortController()];
  const mirror = startMirror(client, 'downdraft', ending.signal, () => {});
  const said: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });
  const standing = lead({ ...place.views, client, mirror }, place.config, () => place.reach, ending.signal, log);
  try {
    await setImage(place, installed, older);
    const key = { namespace, name: releaseName };
    const reads = place.reads(client, mirror);
    startLife({ key, reads, writes: place.writes(), token: 1, signal: life.signal, onTrouble: () => {} });
    const warned = () => eventsIn(namespace, 'PolicyUnknown');
    await waitFor('the workloads to say so', 10_000, async () => (await warned()).length > 0);
    await waitFor('the log to say so', 10_000, () => said.some((line) => line.includes('does not stand for election')));
    expect(said.join('')).not.toContain('"leading"');
    expect(await downgrades(place.client, namespace)).toEqual([]);
    heldOff = false;
    await waitFor('it to lead', 20_000, () => said.some((line) => line.includes('"leading"')));
    ending.abort();
    await standing;
    const shown = async () => (await downgrades(place.client, namespace))[0]?.status;
    await waitFor('the plan to be asked about', 60_000, async () => (await shown())?.reason === 'AwaitingApproval');
    expect((await shown())?.record?.drainStartedAt).toBeUndefined();
    expect(await gates(place.client, namespace)).toEqual([]);
  } finally {
    life.abort();
    ending.abort();
    await place.client.request('DELETE', `${path}/asks`, {});
    await forget(place, installed);
  }
}, 120_000);

it('a hold on a quiet cluster, when every watch has ended by itself more than once, is answered with a Downgrade', async () => {
  const installed = await install(place, 'quiet');
  const { namespace } = installed;
  const leading = new AbortController();
  const leadership = { token: 1, leads: () => true, signal: leading.signal };
  const opened = new Map<string, number>();
  const { client: own } = place.views;
  const client: Client = {
    ...own,
    stream: async (path, options = {}) => {
      const what = `${path} ${options.query?.labelSelector}`;
      opened.set(what, (opened.get(what) ?? 0) + 1);
      return await own.stream(path, { ...options, query: { ...options.query, timeoutSeconds: 2 } });
    },
  };
  try {
    const mirror = startMirror(client, 'downdraft', leading.signal, () => {});
    await waitFor('the mirror to be told of everything', 30_000, () => mirror.missing() === undefined);
    const log = pino({ level: 'silent' });
    runController({ ...place.views, client, mirror }, place.config, leadership, () => place.reach, log);
    await waitFor('every watch to be the third', 60_000, () => [...opened.values()].every((times) => times > 2));
    expect(await downgrades(place.client, namespace)).toEqual([]);
    await setImage(place, installed, older);
    await waitFor('a Downgrade', 10_000, async () => (await downgrades(place.client, namespace)).length > 0, 20);
  } finally {
    leading.abort();
    await forget(place, installed);
  }
}, 120_000);

it("a database that nobody reads from outside: a person's resume is held again, and the leader's lets the release go", async () => {
  const installed = await install(place, 'unread');
  const { namespace } = installed;
  const { client } = place;
  const heldIn = async () =>
    (await stored(client, namespace)).flatMap((w) => (holdOf(w) ? [w.metadata.name] : [])).sort();
  const all = ['af-api-server', 'af-scheduler', 'af-triggerer'];
  /** Read and written again when its own controller has written a status in between, as a person and the loop do. */
  const resume = async (name: string, by: typeof client) =>
    await waitFor(`${name} to be resumed`, 10_000, async () => {
      const workload = (await stored(client, namespace)).find(({ metadata }) => metadata.name === name)!;
      const patch = resumePatch(workload.kind!, workload);
      return await place
        .writes(by)
        .patchWorkload(workload, patch)
        .then(() => true)
        .catch((error: Error & { status?: number }) => {
          if (error.status === 409) return undefined;
          throw error;
        });
    });
  try {
    await client.request('PATCH', core(namespace, 'secrets', 'af-metadata'), {
      body: { stringData: { connection: 'mysql://airflow:secret@db.example/airflow' } },
      contentType: mergePatch,
    });
    await setImage(place, installed, older);
    expect(await heldIn()).toEqual(all);
    for (const [by, left] of [
      [client, all],
      [place.views.client, []],
    ] as const) {
      for (const name of all) await resume(name, by);
      expect(await heldIn()).toEqual(left);
    }
    // The pods of the other version have their sessions before the database goes.
    await waitFor('the pods to be replaced', 30_000, async () =>
      (await stored(client, namespace)).every((w) => readWorkload(w)?.settled),
    );
  } finally {
    await forget(place, installed);
  }
}, 60_000);

it('nothing went wrong in the kubelet', () => {
  expect(place.kubelet.faults).toEqual([]);
});
