/**
 * A release that lives where everything is stricter than in our own clusters (hostilenamespace.ts): taken from 3.2.1 back
 * to 3.1.8 and up again; begun once more and aborted. downdraft may read no Secret of it, so that all it knows of
 * the database it is told by pods.
 *
 * They fail when (tried on the world in memory and on a real API server):
 *   upgrade    the webhook puts back each hold that the controller takes off where the database can't be read from outside
 *   downgrade  the probe's end is taken from its pod, which the mesh's proxy keeps running; the runner comes without the
 *              database's proxy, or with the source's anti-affinity; the gate's trial is a pod that no rule lets by
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';
import type { Manifest } from '../manifests/render.ts';
import { apply, databaseOf, dataNamespace, namespace, release, releaseOf, rulesOf } from './hostilenamespace.ts';
import { onNode } from './node.ts';
import { downgradesOf, headsOf, must, psql, untilOver, untilServes } from './place.ts';

const minutes = 60_000;
const newer = { core: '1d6611b6ab7c', fab: '02ca36b0235b' };
const older = { core: '509b94a1042d', fab: '6709f7a774b9' };
const place = onNode([namespace, dataNamespace]);

const heads = () => headsOf(place, dataNamespace, 'af');
const deploy = async (version: string) => await apply(place, await releaseOf(place, version));

beforeAll(async () => {
  must(await place.kubectl(['apply', '-f', '-'], { input: listOf(rulesOf(place)) }));
  must(await place.kubectl(['apply', '-f', '-'], { input: listOf(await databaseOf(place)) }));
  await waitFor('the database', 3 * minutes, async () => await psqlAnswers(), 500);
  await forbidSecrets();
  await deploy('3.2.1');
  await untilServes(place, namespace, release, '3.2.1');
}, 15 * minutes);

/** What rules the whole cluster would be there for the next story, too. */
afterAll(async () => {
  const everywhere = rulesOf(place).filter(({ kind, metadata }) => kind !== 'Namespace' && !metadata.namespace);
  must(await place.kubectl(['delete', '-f', '-'], { input: listOf(everywhere) }));
});

function listOf(items: Manifest[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** While the image sets the database up, nothing answers by TCP. */
async function psqlAnswers(): Promise<boolean> {
  return await psql(place, dataNamespace, 'af', 'SELECT 1').then(
    () => true,
    () => false,
  );
}

/** As the README says how to narrow it, without a Role for this namespace. */
async function forbidSecrets(): Promise<void> {
  const role = await place.get<Manifest>('clusterrole', 'downdraft');
  role.rules = role.rules.filter(
    (rule: Manifest) => !rule.resources?.some((r: string) => /^(secrets|configmaps)$/.test(r)),
  );
  must(await place.kubectl(['replace', '-f', '-'], { input: JSON.stringify(role) }));
}

const patch = (name: string, body: object) =>
  place.kubectl(['-n', namespace, 'patch', name, '--type', 'merge', '-p', JSON.stringify(body)]);

const partition = (value: number | null) => ({ spec: { updateStrategy: { rollingUpdate: { partition: value } } } });

/** What an owner may have stopped, as kubectl names it, and how it is stopped and let go. */
const kept = [
  { name: 'deployment/af-dag-processor', stop: { spec: { paused: true } }, letGo: { spec: { paused: null } } },
  { name: 'statefulset/af-triggerer', stop: partition(1), letGo: partition(0) },
];

async function keepBack(): Promise<void> {
  for (const { name, stop } of kept) must(await patch(name, stop));
}

/** They are stopped as their owner stopped them, with Ready pods of this version, and asked for the newer one. */
async function expectKeptBack(version: string): Promise<void> {
  for (const { name, stop } of kept) {
    const [kind, of] = name.split('/') as [string, string];
    const object = await place.get<Manifest>(kind, of, namespace);
    expect(object).toMatchObject(stop);
    expect(object.spec.template.spec.containers[0].image).toMatch(/:3\.2\.1$/);
    expect(object.status).toMatchObject({ replicas: 1, readyReplicas: 1 });
    const labels = `release=${release},component=${of.replace('af-', '')}`;
    const pods = await place.list<Manifest>('pods', namespace, '-l', labels);
    expect(pods.flatMap(({ spec }) => spec.containers.map((c: Manifest) => c.image))).toContain(
      `apache/airflow:${version}`,
    );
  }
}

/** Workloads that are held. */
async function heldIn(): Promise<string[]> {
  const stored = await place.list<Manifest>('deployments,statefulsets', namespace);
  return stored.filter(({ metadata }) => metadata.annotations?.['downdraft.dev/hold']).map((w) => w.metadata.name);
}

async function expectNothingLeft(): Promise<void> {
  await waitFor('runner and probe are gone', minutes, async () => {
    return (await place.list('pods', namespace, '-l', 'downdraft.dev/role')).length === 0;
  });
  const gates = await place.kubectl(['get', 'mutatingwebhookconfigurations', '-o', 'name']);
  expect(gates.stdout).not.toContain('downdraft-drain');
  const stored = await place.list<Manifest>('deployments,statefulsets', namespace);
  for (const { metadata, spec } of stored) {
    expect(Object.keys(metadata.annotations ?? {}).filter((a) => a.includes('downdraft.dev/hold'))).toEqual([]);
    expect(spec.paused ?? false).toBe(false);
  }
}

describe('a release behind a mesh, a database proxy, quotas and policies', () => {
  it(
    'story 2 (S0-3): goes back to 3.1.8 by kubectl apply, Airflow serves, and kubectl diff is empty',
    async () => {
      const said = await deploy('3.1.8');
      expect(said).toContain('Warning: downdraft holds deployment/af-scheduler');
      expect(said).toContain('Warning: downdraft holds statefulset/af-triggerer');
      const over = await untilOver(place, namespace, release);
      expect(over.status).toMatchObject({ phase: 'Done', reason: 'Downgraded' });
      await untilServes(place, namespace, release, '3.1.8');
      expect(await heads()).toEqual(older);
      await expectNothingLeft();
      // A Job that is over goes by itself.
      const lasting = (await releaseOf(place, '3.1.8')).filter(({ kind }) => kind !== 'Job');
      const diff = await place.kubectl(['diff', '-f', '-'], { input: listOf(lasting) });
      expect(diff, diff.stderr).toMatchObject({ ok: true, stdout: '' });
    },
    15 * minutes,
  );

  it(
    'S0-13: an upgrade is let go by itself, though its database can only be read by pods; what its owner keeps back stays so',
    async () => {
      const before = (await downgradesOf(place, namespace, release)).length;
      await keepBack();
      const said = await deploy('3.2.1');
      for (const { name } of kept) expect(said).toContain(`downdraft holds ${name}`);
      await waitFor('nothing is held', 8 * minutes, async () => (await heldIn()).length === 0);
      await expectKeptBack('3.1.8');
      for (const { name, letGo } of kept) must(await patch(name, letGo));
      await untilServes(place, namespace, release, '3.2.1');
      expect(await heads()).toEqual(newer);
      expect(await downgradesOf(place, namespace, release)).toHaveLength(before);
      await expectNothingLeft();
    },
    15 * minutes,
  );

  it(
    'kept back by its owner, it asks to be let go; aborted once the drain has begun, it serves 3.2.1 again',
    async () => {
      const before = (await downgradesOf(place, namespace, release)).length;
      await keepBack();
      await deploy('3.1.8');
      const asked = await waitFor('it says what is kept back', 5 * minutes, async () => {
        const { reason, message } = (await downgradesOf(place, namespace, release)).slice(before).at(-1)?.status ?? {};
        return reason === 'PausedByOwner' && String(message);
      });
      const typed = [...asked.matchAll(/: (kubectl [^;]*?)(?=;|\. It stays)/g)].map(([, command]) => command!);
      expect(typed).toHaveLength(kept.length);
      for (const command of typed) await run('sh', ['-c', command], { env: { ...process.env, ...place.cluster.env } });
      const begun = await waitFor('it drains', 8 * minutes, async () => {
        const last = (await downgradesOf(place, namespace, release)).slice(before).at(-1);
        return last?.status?.record?.drainStartedAt ? last : undefined;
      });
      must(await patch(`downgrade/${begun.metadata.name}`, { spec: { abort: true } }));
      const over = await untilOver(place, namespace, release, before);
      expect(['Canceled', 'Returned']).toContain(over.status?.reason);
      await untilServes(place, namespace, release, '3.2.1');
      expect(await heads()).toEqual(newer);
      await expectNothingLeft();
    },
    15 * minutes,
  );
});
