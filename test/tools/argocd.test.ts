/** Argo CD 3.1.16: what a person sees in the Application while it is held, and that self-heal does not fight. Rows S0-4, G40. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { imageOf } from '../loop/images.ts';
import { type Application, type ApplicationShape, makeApplication, type Seen } from './application.ts';
import { type ArgoCD, startArgoCD } from './argocd.ts';
import { changed, faultsAt, newer, older, outcomeOf, ownedByUs, storedIn } from './ends.ts';
import { emptyHeads, headsOf, setHeads } from './heads.ts';
import { all, heldOf, makeSite, type Site, startTools, type ToolPlace, untilServes, workloadsOf } from './place.ts';

let place: ToolPlace;
let argo: ArgoCD;

// Argo CD's own work fills the machine.
vi.setConfig({ maxConcurrency: 2 });

beforeAll(async () => {
  place = await startTools('tools: Argo CD');
  argo = await startArgoCD(place);
}, 1_800_000);

afterAll(async () => {
  await argo?.stop();
  await place?.stop();
}, 60_000);

const noJobs = { migrateDatabaseJob: { enabled: false }, createUserJob: { enabled: false } };
const hook = (phase: string) => ({
  useHelmHooks: false,
  jobAnnotations: {
    'argocd.argoproj.io/hook': phase,
    'argocd.argoproj.io/hook-delete-policy': 'BeforeHookCreation,HookSucceeded',
  },
});

/** What Airflow's documentation asks for with Argo CD. */
const syncHooks = { migrateDatabaseJob: hook('Sync'), createUserJob: hook('Sync') };

const isWell = (seen: Seen) =>
  seen.sync === 'Synced' && seen.health === 'Healthy' && seen.operation?.phase === 'Succeeded';

/** A site that Argo CD has brought to 3.2.1. */
async function synced(namespace: string, shape: ApplicationShape): Promise<{ site: Site; app: Application }> {
  const site = await makeSite(place, namespace, newer);
  const app = await makeApplication(place, site, newer, shape);
  if (!shape.automated) await app.sync();
  await app.until('installed', isWell);
  await untilServes(place, site, newer);
  return { site, app };
}

/** When the operations began that began while `act` ran. */
async function operationsDuring(app: Application, act: () => Promise<void>): Promise<string[]> {
  const begun = new Set<string>();
  let looking = true;
  const first = (await app.see()).operation?.startedAt;
  const looks = (async () => {
    while (looking) {
      const { operation } = await app.see();
      if (operation && operation.startedAt !== first) begun.add(operation.startedAt);
      await delay(100);
    }
  })();
  await act();
  looking = false;
  await looks;
  return [...begun];
}

/** While it is held: each workload is as Git has it, and the whole is Suspended. */
function showsHeld({ health, resources }: Seen): boolean {
  const workloads = resources.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  const synced = workloads.filter(({ status }) => status === 'Synced');
  return health === 'Suspended' && synced.length === 4;
}

const saysOfOperation = ({ operation }: Seen, phase: string, message: RegExp) =>
  operation?.phase === phase && message.test(operation.message ?? '');

const waits = /^waiting for (healthy state of apps\/Deployment|completion of hook batch\/Job)\/af-/;
const done = /^successfully synced \(all tasks run\)$/;

it.concurrent('a sync by hand, Jobs as Sync hooks: it runs until the database is back, then succeeds; and forward again', async () => {
  const { site, app } = await synced('by-hand', { source: 'chart', values: syncHooks });
  place.controller.pause(site.namespace);
  await app.commit(older);
  await app.until('OutOfSync', ({ sync }) => sync === 'OutOfSync');
  await app.sync();
  await app.until('held', (seen) => saysOfOperation(seen, 'Running', waits) && showsHeld(seen));
  expect(await heldOf(place, site)).toEqual(all);
  place.controller.resume(site.namespace);
  await app.until('synced', isWell);
  expect(await outcomeOf(place, site)).toBe('Downgraded');
  expect(await faultsAt(place, site, older)).toEqual([]);
  await app.commit(newer);
  await app.until('OutOfSync', ({ sync }) => sync === 'OutOfSync');
  await app.sync();
  await app.until('synced', isWell);
  expect(await headsOf(place, site.namespace)).toBe(newer);
  expect(await faultsAt(place, site, newer, performance.now())).toEqual([]);
}, 240_000);

it.concurrent('Helm hooks are PostSync: the sync waits for the held Deployments, then runs the Jobs and succeeds', async () => {
  const { site, app } = await synced('post-sync', { source: 'chart', automated: true });
  place.controller.pause(site.namespace);
  const begun = await operationsDuring(app, async () => {
    await app.commit(older);
    await app.until('held', (seen) => saysOfOperation(seen, 'Running', waits) && showsHeld(seen));
    place.controller.resume(site.namespace);
    await app.until('synced', isWell);
  });
  expect(begun).toHaveLength(1);
  expect(await outcomeOf(place, site)).toBe('Downgraded');
  expect(await faultsAt(place, site, older)).toEqual([]);
}, 240_000);

const shape = { source: 'manifests', automated: true, values: noJobs } as const;
const emptied = 'alembic_version is empty but tables of Airflow exist; migrating now would stamp an old schema as new';

/** Where the Application tells of a denial: in its operation, or in a condition, before any operation. */
const told = {
  operation: ({ operation }: Seen) => operation?.message?.includes(emptied) === true,
  condition: ({ conditions, sync }: Seen) =>
    sync === 'Unknown' && conditions.some((c) => c.type === 'ComparisonError' && c.message.includes(emptied)),
};

describe.concurrent.each([
  ['client-side diff', {}, told.operation],
  ['server-side diff', { 'argocd.argoproj.io/compare-options': 'ServerSideDiff=true' }, told.condition],
])('automated, with self-heal and %s', (name, annotations, isDenied) => {
  it.concurrent('S0-7: a commit of the older version: denied in words; once cured, held by its retry; no fight; well in the end', async () => {
    const namespace = name.replaceAll(' ', '-');
    const { site, app } = await synced(namespace, { ...shape, annotations });
    place.controller.pause(namespace);
    await emptyHeads(place, namespace);
    const before = await storedIn(place, site);
    await app.commit(older);
    await app.until('denied', isDenied);
    expect(changed(before, await storedIn(place, site))).toEqual([]);
    await setHeads(place, namespace, newer);
    // After a comparison that failed, 3.1.16 says Synced by what it kept of the one before, and does nothing.
    if (isDenied === told.condition) await app.refresh();
    await app.until('held', (seen) => saysOfOperation(seen, 'Succeeded', done) && showsHeld(seen));
    // Longer than a resync and a self-heal take.
    expect(await operationsDuring(app, () => delay(5000))).toEqual([]);
    expect(await app.see()).toMatchObject({ sync: 'Synced', health: 'Suspended', conditions: [] });
    expect(showsHeld(await app.see())).toBe(true);
    expect(await heldOf(place, site)).toEqual(all);
    place.controller.resume(namespace);
    expect(await outcomeOf(place, site)).toBe('Downgraded');
    await app.until('well', isWell);
    expect(await operationsDuring(app, () => delay(4000))).toEqual([]);
    expect(await app.see()).toMatchObject({ sync: 'Synced', health: 'Healthy', conditions: [] });
    expect(await faultsAt(place, site, older)).toEqual([]);
    expect(ownedByUs(await workloadsOf(place, site))).toEqual([]);
  }, 240_000);
});

it.concurrent('a commit of the older version and one that reverts it: nothing is restarted', async () => {
  const { site, app } = await synced('withdrawn', shape);
  const { namespace, registry } = site;
  place.controller.pause(namespace);
  const ran = place.kubelet.ran.filter((c) => c.namespace === namespace).length;
  await app.commit(older);
  await app.until('held', showsHeld);
  await app.commit(newer);
  await waitFor('the newer version asked for again', 60_000, async () =>
    (await workloadsOf(place, site)).map(readWorkload).every((w) => w?.image === imageOf(registry, newer)),
  );
  place.controller.resume(namespace);
  await app.until('well', isWell);
  expect(await faultsAt(place, site, newer)).toEqual([]);
  expect(place.kubelet.ran.filter((c) => c.namespace === namespace)).toHaveLength(ran);
}, 240_000);

it.concurrent('paused: false written in Git is undone in the very request; the hold stands and the run ends', async () => {
  const { site, app } = await synced('unpausing', shape);
  const unpausing = (text: string) =>
    text.replaceAll(/^(kind: Deployment\n[\s\S]*?\nspec:\n)/gm, '$1  paused: false\n');
  place.controller.pause(site.namespace);
  await app.commit(older, unpausing);
  // Git asks for what may not be yet: the one case in which Argo CD sees drift and tries again, ever more slowly.
  await app.until('OutOfSync and Suspended', ({ sync, health }) => sync === 'OutOfSync' && health === 'Suspended');
  const tries = await operationsDuring(app, () => delay(6000));
  expect(tries).not.toEqual([]);
  expect(await heldOf(place, site)).toEqual(all);
  place.controller.resume(site.namespace);
  expect(await outcomeOf(place, site)).toBe('Downgraded');
  await app.until('well', isWell);
  expect(await faultsAt(place, site, older)).toEqual([]);
}, 240_000);

it('nothing went wrong in the stand-ins', () => {
  expect(place.faults).toEqual([]);
});
