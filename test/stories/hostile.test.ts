/**
 * A release that lives where everything is stricter than in our own clusters (hostilenamespace.ts): taken from 3.2.1 back
 * to 3.1.8 and up again; begun once more and called off. downdraft may read no Secret of it, so that all it knows of
 * the database it is told by pods.
 *
 * They fail when (tried on the world in memory and on a real API server):
 *   upgrade    the webhook puts back each hold that the controller takes off where the database can't be read from outside
 *   downgrade  the probe's end is taken from its pod, which the mesh's proxy keeps running; the runner comes without the
 *              database's proxy, or with the source's anti-affinity; the gate's trial is a pod that no rule lets by
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import type { Manifest } from '../manifests/render.ts';
import { apply, databaseOf, dataNamespace, namespace, release, releaseOf, rulesOf } from './hostilenamespace.ts';
import { downgradesOf, headsOf, must, onNode, type Place, psql, untilOver, untilServes } from './place.ts';

const minutes = 60_000;
const newer = { core: '1d6611b6ab7c', fab: '02ca36b0235b' };
const older = { core: '509b94a1042d', fab: '6709f7a774b9' };
let place: Place;

onNode('stories: hostile', (started) => {
  place = started;
});

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
    'S0-3: goes back to 3.1.8 by kubectl apply, and Airflow serves',
    async () => {
      const said = await deploy('3.1.8');
      expect(said).toMatch(/Warning: downdraft holds deployment\/af-scheduler/);
      const over = await untilOver(place, namespace, release);
      expect(over.status).toMatchObject({ phase: 'Done', reason: 'Downgraded' });
      await untilServes(place, namespace, release, '3.1.8');
      expect(await heads()).toEqual(older);
      await expectNothingLeft();
    },
    15 * minutes,
  );

  it(
    'S0-13: an upgrade is let go by itself, though its database can only be read by pods',
    async () => {
      const before = (await downgradesOf(place, namespace, release)).length;
      await deploy('3.2.1');
      await untilServes(place, namespace, release, '3.2.1');
      expect(await heads()).toEqual(newer);
      expect(await downgradesOf(place, namespace, release)).toHaveLength(before);
      await expectNothingLeft();
    },
    15 * minutes,
  );

  it(
    'called off in the middle of the drain, it serves 3.2.1 again with its data',
    async () => {
      const before = (await downgradesOf(place, namespace, release)).length;
      await deploy('3.1.8');
      const begun = await waitFor('it drains', 8 * minutes, async () => {
        const last = (await downgradesOf(place, namespace, release)).slice(before).at(-1);
        return last?.status?.record?.drainStartedAt ? last : undefined;
      });
      const patch = ['--type', 'merge', '-p', '{"spec":{"abort":true}}'];
      must(await place.kubectl(['-n', namespace, 'patch', 'downgrade', begun.metadata.name, ...patch]));
      const over = await untilOver(place, namespace, release, before);
      expect(['Reverted', 'Returned']).toContain(over.status?.reason);
      await untilServes(place, namespace, release, '3.2.1');
      expect(await heads()).toEqual(newer);
      await expectNothingLeft();
    },
    15 * minutes,
  );
});
