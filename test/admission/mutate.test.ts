import fastJsonPatch from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import type { Ports } from '../../src/admission/ports.ts';
import { type Answer, readReview } from '../../src/admission/review.ts';
import { validate } from '../../src/admission/webhooks/held.ts';
import { mutate } from '../../src/admission/webhooks/workloads.ts';
import { holdOf, isStopped, resumePatch } from '../../src/release/kubernetes/hold.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { merge } from '../make/merge.ts';
import { makePorts, ownAccount, type World } from '../make/ports.ts';
import { makeRun } from '../make/release.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

const older = 'apache/airflow:3.1.8';

/** What mutate answers to this update. */
function ask(object: WorkloadObject, oldObject: WorkloadObject, world: World = {}) {
  const ports = makePorts({ stored: oldObject, ...world });
  return { ports, answer: mutate(readReview(makeReview({ object, oldObject })), ports) };
}

/** The object as the API server would store it. */
function stored(object: WorkloadObject, { patch }: Answer): WorkloadObject {
  return fastJsonPatch.applyPatch(structuredClone(object), patch).newDocument;
}

it('our own rights are only asked for where something of the release is stored, whatever namespaces a stranger names', async () => {
  const change = [makeDeployment({ image: older }), makeDeployment()] as const;
  const known = ask(...change);
  expect((await known.answer).audit.verdict).toBe('hold');
  expect(known.ports.asked).toContain('missingRights');
  const madeUp = ask(...change, { stored: () => undefined });
  expect((await madeUp.answer).audit.verdict).toBe('hold');
  expect(madeUp.ports.asked).not.toContain('missingRights');
});

describe('a hold', () => {
  it.each([
    ['a Deployment', makeDeployment({ image: older }), makeDeployment()],
    ['a paused Deployment', makeDeployment({ image: older, paused: true }), makeDeployment({ paused: true })],
    ['a StatefulSet', makeStatefulSet({ image: older }), makeStatefulSet()],
  ])('of %s is the same when the request is sent again', async (_, object, old) => {
    const first = stored(object, await ask(object, old).answer);
    expect(isStopped(object.kind!, first)).toBe(true);
    const again = await ask(first, old).answer;
    expect(again.patch).toEqual([]);
    expect(again.audit.verdict).toBe('hold');
    expect((await ask(first, first).answer).patch).toEqual([]);
  });

  it('of a paused Deployment ends paused, also when the API server asked twice', async () => {
    const old = makeDeployment({ paused: true });
    const once = stored(
      makeDeployment({ image: older, paused: true }),
      await ask(makeDeployment({ image: older, paused: true }), old).answer,
    );
    const twice = stored(once, await ask(once, old).answer);
    expect(resumePatch('Deployment', twice)).toMatchObject({ spec: { paused: true } });
  });

  it('of a running Deployment ends running, also when the API server asked twice', async () => {
    const once = stored(
      makeDeployment({ image: older }),
      await ask(makeDeployment({ image: older }), makeDeployment()).answer,
    );
    const twice = stored(once, await ask(once, makeDeployment()).answer);
    expect(resumePatch('Deployment', twice)).toMatchObject({ spec: { paused: null } });
  });

  it('is put back when a StatefulSet is replaced by a manifest without it, whose partition counts at its end', async () => {
    const held = makeStatefulSet({ image: older, held: { before: { partition: 2 } } });
    const object = makeStatefulSet({ image: older });
    const back = stored(object, await ask(object, held).answer);
    expect(isStopped('StatefulSet', back)).toBe(true);
    expect(holdOf(back)).toEqual({ ...holdOf(held), before: { partition: 0 } });
    expect((await ask(back, held).answer).patch).toEqual([]);
  });

  it('of what its owner had paused stays when it is resumed, which counts at its end, also when asked twice', async () => {
    const held = makeDeployment({ image: older, held: { before: { paused: true } } });
    const once = stored(
      makeDeployment({ image: older, paused: false }),
      await ask(makeDeployment({ image: older, paused: false }), held).answer,
    );
    expect(isStopped('Deployment', once)).toBe(true);
    expect(holdOf(once)).toEqual({ ...holdOf(held), before: { paused: null } });
    expect((await ask(once, held).answer).patch).toEqual([]);
  });

  it('is put on an object without any annotations', async () => {
    const object = makeDeployment({ image: older });
    delete object.metadata.annotations;
    expect(holdOf(stored(object, await ask(object, makeDeployment()).answer))?.by).toBe('jane');
  });
});

describe('what cannot be observed is held', () => {
  const names: (keyof Ports)[] = ['storedWorkload', 'run', 'learnedImages', 'database'];

  it.each(names)('when %s fails', async (name) => {
    const { answer } = ask(makeDeployment({ image: older }), makeDeployment(), { failing: [name] });
    const { audit, warnings, patch } = await answer;
    expect(audit).toEqual({ verdict: 'hold', reason: 'DatabaseUnreadable' });
    expect(patch).not.toEqual([]);
    expect(warnings[0]).toMatch(/ can't be read, so whether image airflow:3.1.8 fits the database is not known/);
  });

  it.each(names)('within the budget, when %s never answers', async (name) => {
    const began = performance.now();
    const { answer } = ask(makeDeployment({ image: older }), makeDeployment(), { hanging: [name], budgetMs: 100 });
    const { audit, warnings } = await answer;
    expect(audit).toEqual({ verdict: 'hold', reason: 'DatabaseUnreadable' });
    expect(warnings[0]).toContain('was not read within 0.1 s');
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('when nothing of that name is stored, without a question about our rights: anyone can make up names', async () => {
    const ports = makePorts({});
    const review = makeReview({ object: makeDeployment({ image: older }), oldObject: makeDeployment() });
    expect((await mutate(readReview(review), ports)).audit.verdict).toBe('hold');
    expect(ports.asked).not.toContain('missingRights');
  });

  it('even if the image would be an upgrade', async () => {
    const { answer } = ask(makeDeployment(), makeDeployment({ image: older }), { failing: ['run'] });
    expect((await answer).audit.verdict).toBe('hold');
  });
});

describe('what is said', () => {
  const why = 'afadmin@pg.internal:6432: password authentication failed for user afadmin';
  const worlds: [string, World, RegExp][] = [
    ['where the database is and who logs in', { database: { state: 'unreadable', why } }, /afadmin|pg\.internal/],
    ['what the registry answers', { learned: {}, registry: { 'my/airflow:x': { unknown: `${why}` } } }, /afadmin/],
    ['which rights are missing', { missingRights: ['create pods/exec'] }, /pods\/exec/],
    ['an error of the cluster', { failing: ['run'] }, /out of order/],
  ];
  const told = async (world: World) => {
    const image = world.registry ? 'my/airflow:x' : older;
    const unsaid: string[] = [];
    const ports = { ...makePorts({ stored: makeDeployment(), ...world }), unsaid: (text: string) => unsaid.push(text) };
    const review = makeReview({ object: makeDeployment({ image }), oldObject: makeDeployment() });
    const { status, warnings } = await mutate(readReview(review), ports);
    return { text: [status?.message, ...warnings].join(' '), unsaid: unsaid.join(' ') };
  };

  it.each(worlds)('%s: to no caller that anyone may be, but in our log', async (_, world, secret) => {
    const { text, unsaid } = await told(world);
    expect(text).toMatch(/^ ?downdraft/);
    expect(text).not.toMatch(secret);
    expect(unsaid).toMatch(secret);
  });

  it.each(worlds)('%s: to callers that have shown a certificate', async (_, world, secret) => {
    const { text, unsaid } = await told({ ...world, callersKnown: true });
    expect(text).toMatch(secret);
    expect(unsaid).toBe('');
  });
});

describe('where the policy only observes', () => {
  const update = () => ask(makeDeployment({ image: older }), makeDeployment(), { mode: 'Observe' }).answer;

  it('a change is let through untouched, with a word', async () => {
    const { audit, patch, warnings } = await update();
    expect(audit).toEqual({
      verdict: 'allow',
      reason: 'Observed',
      observed: { verdict: 'hold', reason: 'DatabaseAhead' },
    });
    expect(patch).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  it.each(['storedWorkload', 'run', 'learnedImages', 'database', 'missingRights'] satisfies (keyof Ports)[])(
    'nothing is held, although %s cannot be looked at',
    async (name) => {
      const world: World = { mode: 'Observe', failing: [name] };
      const { audit, patch } = await ask(makeDeployment({ image: older }), makeDeployment(), world).answer;
      expect(audit).toMatchObject({ verdict: 'allow', reason: 'Observed' });
      expect(patch).toEqual([]);
    },
  );

  it('returning in mid-downgrade is held all the same, a third version refused', async () => {
    const run = makeRun({ status: { schemaStartedAt: '2026-11-21T11:00:00Z' } });
    const held = makeDeployment({ image: older, held: true });
    const { audit } = await ask(makeDeployment(), held, { mode: 'Observe', run }).answer;
    expect(audit).toEqual({ verdict: 'hold', reason: 'NewerImageRequested' });
    const third = makeDeployment({ image: 'apache/airflow:2.11.0' });
    const refused = await ask(third, held, { mode: 'Observe', run }).answer;
    expect(refused.audit).toEqual({ verdict: 'deny', reason: 'DowngradeUnderWay' });
  });
});

describe('a workload whose own labels were changed before', () => {
  it.each([
    ['release', 'hold'],
    ['component', 'hold'],
    ['tier', 'deny'],
  ])('%s: is still known by those of its pods', async (name, verdict) => {
    const relabelled = (image: string) => {
      const object = makeDeployment({ image });
      delete object.metadata.labels?.[name];
      return object;
    };
    const { audit } = await ask(relabelled(older), relabelled('apache/airflow:3.2.1')).answer;
    expect(audit).toEqual({ verdict, reason: 'DatabaseAhead' });
  });
});

describe('a workload whose labels go in the same change that sets an older image, which a wide selector lets go', () => {
  const changed = ['tier', 'release', 'component'].flatMap((name) =>
    [undefined, 'other'].map((value) => [name, value] as const),
  );
  const relabelled = (name: string, value: string | undefined, image: string) => {
    const object = makeDeployment({ image });
    for (const metadata of [object.metadata, object.spec.template.metadata!]) {
      delete metadata.labels![name];
      if (value !== undefined) metadata.labels![name] = value;
    }
    return object;
  };

  it.each(changed)('%s: %s, and the same image is let through, an older one never', async (name, value) => {
    const [kept, back] = [makeDeployment().spec.template.spec.containers[0]!.image!, older].map((image) =>
      ask(relabelled(name, value, image), makeDeployment()),
    );
    expect((await kept!.answer).audit).toMatchObject({ verdict: 'allow' });
    const { audit } = await back!.answer;
    // A release of another name is a release: it is held as that one.
    const verdict = name === 'release' && value !== undefined ? 'hold' : 'deny';
    expect(audit).toMatchObject({ verdict, reason: 'DatabaseAhead' });
  });

  it('those of its pods alone: refused, since nobody would find it to let it go', async () => {
    const object = makeDeployment({ image: older, podLabels: { tier: 'other' } });
    const { audit, status } = await ask(object, makeDeployment()).answer;
    expect(audit).toEqual({ verdict: 'deny', reason: 'DatabaseAhead' });
    expect(status?.message).toContain('its own labels (tier or app, release, component) are missing');
  });
});

describe('a hold that is taken off', () => {
  const held = [
    makeDeployment({ image: older, held: true }),
    makeDeployment({ image: older, held: { before: { paused: true } }, paused: true }),
    makeStatefulSet({ image: older, held: { before: { partition: 2 } } }),
    makeStatefulSet({ image: older, held: { before: { gated: true } } }),
  ];
  const resumed = (w: WorkloadObject) => merge(w, resumePatch(w.kind!, w)) as WorkloadObject;
  const unread: World = { database: { state: 'unreadable', why: 'mysql' } };
  const by = (username: string, object: WorkloadObject, oldObject: WorkloadObject, world: World = unread) =>
    mutate(readReview(makeReview({ object, oldObject, username })), makePorts({ stored: oldObject, ...world }));

  it.each(held)('by downdraft itself stays off, although the database cannot be read from here (%#)', async (old) => {
    const object = resumed(old);
    const answer = await by(ownAccount, object, old);
    expect(answer).toMatchObject({ allowed: true, patch: [], audit: { verdict: 'allow', reason: 'Resumed' } });
    expect(validate(readReview(makeReview({ object, oldObject: old, username: ownAccount }))).allowed).toBe(true);
    for (const other of ['jane', '', 'system:serviceaccount:air:downdraft'])
      expect((await by(other, object, old)).audit).toEqual({ verdict: 'hold', reason: 'DatabaseUnreadable' });
  });

  it.each<[string, (w: WorkloadObject) => WorkloadObject, World]>([
    ['with another image', (w) => makeDeployment({ image: 'acme/airflow:1', name: w.metadata.name }), unread],
    ['by half', (w) => ({ ...w, spec: { ...w.spec, paused: false } }), unread],
    ['while our own name is not told', resumed, { ...unread, failing: ['ownAccount'] }],
    ['while our own name is not told in time', resumed, { ...unread, hanging: ['ownAccount'], budgetMs: 50 }],
  ])('by downdraft itself, but %s, is judged as anybody does it', async (_, change, world) => {
    const answer = await by(ownAccount, change(held[0]!), held[0]!, world);
    expect(answer.audit).toEqual({ verdict: 'hold', reason: 'DatabaseUnreadable' });
  });
});

describe('nobody is asked', () => {
  it.each([
    ['the image is the same', makeDeployment({ replicas: 4 }), makeDeployment()],
    [
      'a held workload is scaled',
      makeDeployment({ image: older, held: true, replicas: 4 }),
      makeDeployment({ image: older, held: true }),
    ],
    [
      'it is another application',
      makeDeployment({ component: 'redis', image: 'redis:8' }),
      makeDeployment({ component: 'redis' }),
    ],
  ])('when %s', async (_, object, old) => {
    const { ports, answer } = ask(object, old);
    expect((await answer).patch).toEqual([]);
    expect(ports.asked).toEqual([]);
  });
});

describe('the connection', () => {
  it('is that of the stored workload, not that of the review', async () => {
    const dialled: WorkloadObject[] = [];
    const real = makeDeployment({ annotations: { real: 'yes' } });
    const ports = makePorts({ stored: real });
    const database = ports.database;
    ports.database = (workload, ...rest) => {
      dialled.push(workload);
      return database(workload, ...rest);
    };
    const forged = makeDeployment();
    forged.spec.template.spec.containers[0]!.env = [
      { name: 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', value: 'postgresql://evil/x' },
    ];
    const object = structuredClone(forged);
    object.spec.template.spec.containers[0]!.image = older;
    object.spec.template.spec.initContainers![0]!.image = older;
    await mutate(readReview(makeReview({ object, oldObject: forged })), ports);
    expect(dialled).toEqual([real]);
  });

  it('is looked up under the name of the request, whatever the object calls itself', async () => {
    const asked: string[] = [];
    const ports = makePorts({ stored: (...names) => void asked.push(names.join('/')) as undefined });
    const review = makeReview({ object: makeDeployment({ image: older, name: 'other' }), oldObject: makeDeployment() });
    review.request.name = 'af-scheduler';
    const { warnings } = await mutate(readReview(review), ports);
    expect(asked).toEqual(['Deployment/air/af-scheduler']);
    expect(warnings[0]).toContain('deployment/af-scheduler:');
  });
});

it('says in every warning no more than an API server passes on', async () => {
  const image = `registry.example/${'long/'.repeat(60)}airflow:1`;
  const { answer } = ask(makeDeployment({ image }), makeDeployment());
  expect((await answer).warnings.length).toBe(2);
});

it('holds the target of a run whose schema step is in the middle', async () => {
  const run = makeRun({ status: { schemaStartedAt: '2026-11-21T11:00:00Z' } });
  const { answer } = ask(
    makeDeployment({ image: older, component: 'dag-processor' }),
    makeDeployment({ component: 'dag-processor' }),
    { run },
  );
  expect((await answer).audit).toEqual({ verdict: 'hold', reason: 'DatabaseAhead' });
});
