/** Two controllers and one Lease, of which one freezes; and the controller as main starts it, on a quiet cluster. */
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Client, connect } from '../../src/cluster/client.ts';
import { elect } from '../../src/cluster/lease.ts';
import { core, mergePatch } from '../../src/cluster/paths.ts';
import type { Writes } from '../../src/controller/ports.ts';
import { runController, whileLeading } from '../../src/joins/controller.ts';
import { holdOf, resumePatch } from '../../src/release/hold.ts';
import { readWorkload } from '../../src/release/workload.ts';
import { waitFor } from '../cluster/wait.ts';
import { faultsAtEnd } from './ends.ts';
import { older } from './images.ts';
import { eachWrite, startLife } from './mortal.ts';
import { type Place, startPlace } from './place.ts';
import { downgrades, forget, type Installed, install, makeSeed, releaseName, setImage, stored } from './release.ts';
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
    text: ice(client.text),
    stream: ice(client.stream),
  };
  const freeze = () => {
    frozen = true;
    return thawed;
  };
  return { client: iced, freeze, thaw };
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
      expect(late).toEqual([`${due}: this replica leads no longer`]);
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

it('a hold on a cluster that was quiet for 35 s is answered with a Downgrade within 1 s', async () => {
  const installed = await install(place, 'quiet');
  const { namespace } = installed;
  const leading = new AbortController();
  const leadership = { token: 1, leads: () => true, signal: leading.signal };
  try {
    runController(place.views, place.config, leadership, () => place.reach, pino({ level: 'silent' }));
    // The library's own watches are cut after 30 s of silence.
    await delay(35_000);
    expect(await downgrades(place.client, namespace)).toEqual([]);
    await setImage(place, installed, older);
    const held = performance.now();
    await waitFor('a Downgrade', 10_000, async () => (await downgrades(place.client, namespace)).length > 0, 20);
    expect(performance.now() - held).toBeLessThan(1000);
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
      for (const w of await stored(client, namespace)) await place.writes(by).patchWorkload(w, resumePatch(w.kind!, w));
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
