/** What the policies and people say is known before anything is done by it; what was known once is not known now. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import { startMirror } from '../../src/cluster/mirror/mirror.ts';
import type { Reads } from '../../src/controller/ports.ts';
import { defaultRules, type Rules } from '../../src/release/model/policy.ts';
import { controllerReads } from '../../src/wiring/controller.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { makePolicy } from '../make/policy.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  expectClean,
  goOn,
  isDone,
  look,
  newer,
  older,
  outcomes,
  record,
  running,
  runningPods,
  shown,
  until,
} from './place.ts';

const policies = '/apis/downdraft.dev/v1alpha1/downgradepolicies';
const always: Rules = { ...defaultRules, approval: 'Always' };
const outOfReach = async () => {
  throw new Error('not told yet: downgradepolicies');
};
const unknownTo = (world: World): Reads => ({ ...world.reads, policy: outOfReach, policyNow: outOfReach });

describe('the mirror of the policies', () => {
  /** An API server with a policy, by a mirror to which lists and watches of policies may be kept back. */
  function makeMirror({ listed = true, watched = true }) {
    const ending = new AbortController();
    const client = {
      read: async (path: string, read: (body: Readable, signal: AbortSignal) => Promise<unknown>) => {
        if (path === policies && !listed) throw new Error('cut off');
        const items = path === policies ? [makePolicy({ mode: 'Deny' })] : [{ metadata: { name: 'air' } }];
        const told = [policies, '/api/v1/namespaces'].includes(path) ? items : [];
        const page = { metadata: { resourceVersion: '1' }, items: told };
        return read(Readable.from([JSON.stringify(page)]), ending.signal);
      },
      stream: async (path: string) => {
        if (path === policies && !watched) throw new Error('cut off');
        return new Promise(() => {});
      },
    } as unknown as Client;
    const mirror = startMirror(client, 'downdraft', ending.signal, () => {}, 0);
    const reads = controllerReads(
      { client, mirror, registry: { version: async () => undefined, digest: async () => undefined } },
      'downdraft',
    );
    return { mirror, reads, end: () => ending.abort() };
  }

  it.each<[string, { listed?: boolean; watched?: boolean }, RegExp]>([
    ['was never told of them', { listed: false }, /^not listed yet: .*downgradepolicies/],
    ['can watch them no longer', { watched: false }, /downgradepolicies can't be watched for/],
  ])('that %s gives the controller no answer, and no default', async (_, reach, why) => {
    const { mirror, reads, end } = makeMirror(reach);
    try {
      if (reach.watched === false) await waitFor('the watch to be lost', 5_000, () => mirror.stale() !== undefined, 5);
      await expect(reads.policy('air')).rejects.toThrow(why);
    } finally {
      end();
    }
  });

  it('tells a leadership that is over nothing more', async () => {
    const { mirror, end } = makeMirror({});
    const [over, going] = [new AbortController(), new AbortController()];
    const told: string[] = [];
    mirror.onChange((what) => told.push(`over: ${what}`), over.signal);
    mirror.onChange((what) => told.push(what), going.signal);
    over.abort();
    await waitFor('the lists', 5_000, () => mirror.missing() === undefined, 5);
    expect(told.sort()).toEqual(['namespace', 'policy']);
    end();
  });

  it('that is up to date answers as the API server itself does', async () => {
    const { mirror, reads, end } = makeMirror({});
    try {
      await waitFor('the lists', 5_000, () => mirror.missing() === undefined, 5);
      expect(await reads.policy('air')).toMatchObject({ mode: 'Deny' });
      expect(await reads.policyNow('air')).toEqual(await reads.policy('air'));
    } finally {
      end();
    }
  });
});

describe('while it is not known what the policies say', () => {
  it('nothing is planned, drained or held, and the workloads say why', async () => {
    const world = running(newer);
    world.rules = always;
    await deploy(world, older);
    await goOn(world, 10, { reads: unknownTo(world) });
    expect(world.downgrades).toEqual([]);
    expect(runningPods(world, newer)).toHaveLength(4);
    const said = world.events.filter(({ reason }) => reason === 'PolicyUnknown');
    expect(said[0]).toMatchObject({ about: expect.stringMatching(/^(deployment|statefulset)\/af-/) });
    expect(said[0]!.message).toMatch(/nothing is begun until it is: not told yet: downgradepolicies$/);
    await goOn(world, 25);
    expect(shown(world).reason).toBe('AwaitingApproval');
    expect(record(world).drainStartedAt).toBeUndefined();
  });

  it.each<[string, (world: World) => boolean, number]>([
    ['a plan that asks', (w) => shown(w).reason === 'AwaitingApproval', 4],
    ['a drain', (w) => Boolean(record(w).drainStartedAt), 0],
  ])('%s stays where it is and says so; known again, it goes on', async (_, due, running4) => {
    const world = running(newer);
    world.rules = due(world) || running4 ? always : defaultRules;
    await deploy(world, older);
    await until(world, due);
    await goOn(world, 10, { reads: unknownTo(world) });
    expect(shown(world)).toMatchObject({ reason: 'PolicyUnknown', phase: running4 ? 'Planning' : 'Draining' });
    expect(record(world).schemaStartedAt).toBeUndefined();
    if (running4) expect(runningPods(world, newer)).toHaveLength(running4);
    world.rules = defaultRules;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
  });

  it('a schema step that has begun is brought to its end', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).schemaStartedAt));
    await until(world, isDone(world), { reads: unknownTo(world) });
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
  });

  it('a drain can be aborted all the same, by a person and by the request', async () => {
    for (const callOff of [
      async (w: World) => Object.assign(w.downgrades[0]!.spec, { abort: true }),
      async (w: World) => await deploy(w, newer),
    ]) {
      const world = running(newer);
      await deploy(world, older);
      await until(world, () => Boolean(record(world).drainedAt));
      await callOff(world);
      await until(world, isDone(world), { reads: unknownTo(world) });
      expect(outcomes(world)).toEqual(['Canceled']);
      expectClean(world, newer);
    }
  });
});

describe('the kind of the policies is not there any more', () => {
  const noKind = async () => {
    throw Object.assign(new Error('the server could not find the requested resource'), { status: 404 });
  };
  const goneFrom = (world: World): Reads => ({ ...world.reads, policy: outOfReach, policyNow: noKind });

  it.each<[string, (world: World) => boolean]>([
    ['drained', (w) => Boolean(record(w).drainStartedAt)],
    ['backed up', (w) => Boolean(record(w).backup?.verifiedAt)],
    ['reversed', (w) => Boolean(record(w).schemaStartedAt)],
  ])('a run that is %s goes on by the rules that it was begun under', async (_, due) => {
    const world = running(newer);
    world.rules = { ...defaultRules, approval: 'Never', backup: { ...defaultRules.backup, keepHours: 1 } };
    await deploy(world, older);
    await until(world, due);
    await until(world, isDone(world), { reads: goneFrom(world) });
    expect(outcomes(world)).toEqual(['Downgraded']);
    expectClean(world, older);
    expect(record(world).backup?.keepUntil).toMatch(/^2026-11-21T13:/);
  });

  it('a backup elsewhere, which nobody names any more, is not made: the old version serves and a person is asked', async () => {
    const world = running(newer);
    const backup = { ways: ['VolumeSnapshot' as const], volumeSnapshot: { claim: 'data', namespace: 'db' } };
    world.rules = { ...defaultRules, backup: { ...defaultRules.backup, ...backup } };
    await deploy(world, older);
    await until(world, () => world.backups.length > 0);
    await goOn(world, 20, { reads: goneFrom(world) });
    expect(record(world)).not.toHaveProperty('schemaStartedAt');
    expect(runningPods(world, newer)).toHaveLength(4);
    expect(shown(world).reason).toBe('PolicyUnknown');
    expect(record(world).drainStartedAt).toBeUndefined();
  });

  it('a plan waits, and says what is gone and how it comes back', async () => {
    const world = running(newer);
    world.rules = always;
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'AwaitingApproval');
    await goOn(world, 10, { reads: goneFrom(world) });
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(shown(world)).toMatchObject({ reason: 'PolicyUnknown', phase: 'Planning' });
    expect(shown(world).message).toMatch(/has no DowngradePolicies .*kubectl apply -f manifests\/crds/);
    expect(runningPods(world, newer)).toHaveLength(4);
  });
});

describe('what the API server itself says right before', () => {
  const now = (said: Partial<Awaited<ReturnType<Reads['policy']>>>) => async () => ({
    mode: 'Hold' as const,
    rules: defaultRules,
    ...said,
  });

  it.each<[string, (world: World) => Reads['policyNow'], string]>([
    ['forbids it', () => now({ mode: 'Deny' }), 'PolicyDenies'],
    ['asks about it', () => now({ rules: always }), 'AwaitingApproval'],
    ["can't be had", () => outOfReach, 'PolicyUnknown'],
  ])('%s: no pod ends, whatever was known before', async (_, policyNow, reason) => {
    const world = running(newer);
    await deploy(world, older);
    await goOn(world, 25, { reads: { ...world.reads, policyNow: policyNow(world) } });
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(shown(world).reason).toBe(reason);
    expect(runningPods(world, newer)).toHaveLength(4);
  });

  it('only observes by now: all is let go', async () => {
    const world = running(newer);
    await deploy(world, older);
    const policyNow = async () => {
      world.mode = 'Observe';
      return world.reads.policyNow('air');
    };
    await until(world, isDone(world), { reads: { ...world.reads, policyNow } });
    expect(outcomes(world)).toEqual(['NotNeeded']);
  });

  it.each<[string, Reads['policyNow']]>([
    ['forbids it', now({ mode: 'Deny' })],
    ['asks about it', now({ rules: always })],
  ])('the schema step %s: the release is opened again', async (_, policyNow) => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).drainedAt));
    const reads = { ...world.reads, policyNow };
    for (let i = 0; i < 30 && record(world).drainStartedAt; i++) {
      await look(world, { reads });
      world.tick();
    }
    expect(record(world)).not.toHaveProperty('schemaStartedAt');
    expect(record(world).backup).toMatchObject({ way: 'ServerCopy', stale: true });
  });

  it('a person aborts it in that moment: no pod ends', async () => {
    const world = running(newer);
    await deploy(world, older);
    const policyNow = async () => {
      world.downgrades[0]!.spec.abort = true;
      return world.reads.policyNow('air');
    };
    await until(world, isDone(world), { reads: { ...world.reads, policyNow } });
    expect(record(world).drainStartedAt).toBeUndefined();
    expect(outcomes(world)).toEqual(['Canceled']);
  });
});

describe('a policy that is changed in mid-run', () => {
  it('changes neither the backup nor what happens on failure: the record keeps what was in force at the drain', async () => {
    const world = running(newer);
    await deploy(world, older);
    await until(world, () => Boolean(record(world).drainStartedAt));
    expect(record(world).rules).toEqual(defaultRules);
    const { backup } = defaultRules;
    world.rules = { ...defaultRules, backup: { ...backup, ways: [], keepHours: 0 }, onFailure: 'Return' };
    world.stepFails = 'no';
    await until(world, () => Boolean(record(world).failure));
    await goOn(world, 5);
    expect(shown(world).reason).toBe('DowngradeFailed');
    expect(record(world).backup).toMatchObject({
      way: 'ServerCopy',
      keepUntil: expect.stringMatching(/^2026-11-28T12/),
    });
    world.downgrades[0]!.spec.abort = true;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Returned']);
    expectClean(world, newer);
  });

  it('to another one and drained anew: the new rules are kept in the place of the old', async () => {
    const world = running(newer);
    world.rules = { ...defaultRules, runner: 'Copy' };
    await deploy(world, older);
    await until(world, () => Boolean(record(world).drainStartedAt));
    world.mode = 'Deny';
    await until(world, () => !record(world).drainStartedAt);
    Object.assign(world, { mode: 'Hold', rules: { ...defaultRules, onFailure: 'Return' } });
    await until(world, () => Boolean(record(world).drainStartedAt));
    expect(record(world).rules).toEqual(world.rules);
  });
});
