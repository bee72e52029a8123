/** kubectl and kustomize: every verb that ends in an update of a workload. Rows S0-4, S0-10, G41, G44 (no migration Job). */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { apps } from '../../src/cluster/client/paths.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { imageOf, type Version } from '../loop/images.ts';
import { downgrades } from '../loop/release.ts';
import { changed, faultsAt, newer, older, outcomeOf, ownedByUs, storedIn } from './ends.ts';
import { emptyHeads, setHeads } from './heads.ts';
import {
  all,
  chart,
  heldOf,
  makeSite,
  type Site,
  startTools,
  type ToolPlace,
  untilServes,
  workloadsOf,
} from './place.ts';
import { must, type TypeOptions, warningsIn } from './terminal.ts';

let place: ToolPlace;

// Each mostly waits, but what they wait for shares the machine.
vi.setConfig({ maxConcurrency: 3 });

beforeAll(async () => {
  place = await startTools('tools: kubectl');
}, 180_000);

afterAll(async () => await place?.stop(), 60_000);

const noJobs = ['--set', 'migrateDatabaseJob.enabled=false', '--set', 'createUserJob.enabled=false'];
const because = 'the database is at 3.2.x (1d6611b6ab7c), image 3.1.8 needs 509b94a1042d';

/** kubectl in the site's namespace. */
const kubectl = (site: Site, args: string[], options?: TypeOptions) =>
  place.kubectl(['-n', site.namespace, ...args], options);

/** The manifests of the release, as helm renders them. */
async function rendered(site: Site, version: Version, ...more: string[]): Promise<string> {
  const args = ['template', 'af', chart, '-n', site.namespace, ...site.values(version, ...noJobs, ...more)];
  return (await place.type('helm', args)).stdout;
}

/** A site whose release was installed by kubectl, by `kubectl apply` or by other words, and serves. */
async function applied(namespace: string, by = ['apply', '-f', '-']): Promise<Site> {
  const site = await makeSite(place, namespace, newer);
  must(await kubectl(site, by, { input: await rendered(site, newer) }));
  await untilServes(place, site, newer);
  return site;
}

/** Lets the controller go on, and awaits the end on the older version. */
async function expectTakenBack(site: Site, began = 0): Promise<void> {
  place.controller.resume(site.namespace);
  expect(await outcomeOf(place, site)).toBe('Downgraded');
  expect(await faultsAt(place, site, older, began)).toEqual([]);
  expect(ownedByUs(await workloadsOf(place, site))).toEqual([]);
}

/** One workload after the other gets the older image, by `kubectl set image`. */
async function setImages(site: Site, version: Version) {
  const image = `*=${imageOf(site.registry, version)}`;
  return kubectl(site, ['set', 'image', ...all, image]);
}

/** Kubernetes' own controllers have written what they think of the workloads as stored: a diff shows status, too. */
async function untilSeenByTheirControllers(site: Site): Promise<void> {
  await waitFor('the workloads seen by their controllers', 30_000, async () =>
    (await workloadsOf(place, site)).every(
      ({ metadata, status }) => status?.observedGeneration === metadata.generation,
    ),
  );
}

const client = ['apply', '-f', '-'];
const server = ['apply', '--server-side', '-f', '-'];
const replace = ['replace', '-f', '-'];
/** The verb, what it is installed by, and what it says of a workload that it changed. */
const verbs: [string, { install: string[]; by: string[]; word: string }][] = [
  ['apply', { install: client, by: client, word: 'configured' }],
  ['apply --server-side', { install: server, by: server, word: 'serverside-applied' }],
  ['replace', { install: ['create', '--save-config', '-f', '-'], by: replace, word: 'replaced' }],
];

describe.concurrent.each(verbs)('kubectl %s', (verb, { install, by, word }) => {
  it.concurrent('S0-9: of the older version is held with a warning for each workload; the same again, a diff and other values find no conflict', async () => {
    const site = await applied(verb.replaceAll(/\W+/g, '-'), install);
    place.controller.pause(site.namespace);
    const began = performance.now();
    const said = await kubectl(site, by, { input: await rendered(site, older) });
    expect(said.code, said.stderr).toBe(0);
    for (const name of all) {
      expect(said.stderr).toContain(`Warning: downdraft holds ${name}: ${because}`);
      expect(said.stdout).toMatch(new RegExp(`${name.replace('/', '.apps/')} ${word}`));
    }
    expect(await heldOf(place, site)).toEqual(all);
    await untilSeenByTheirControllers(site);
    // The hold is no drift.
    const before = await storedIn(place, site);
    const diffing = by.includes('--server-side') ? ['diff', '--server-side', '-f', '-'] : ['diff', '-f', '-'];
    const diff = await kubectl(site, diffing, { input: await rendered(site, older) });
    expect([diff.code, diff.stdout, diff.stderr]).toEqual([0, '', '']);
    const again = await kubectl(site, by, { input: await rendered(site, older) });
    expect(again.code, again.stderr).toBe(0);
    expect(await heldOf(place, site)).toEqual(all);
    if (verb !== 'replace') expect(changed(before, await storedIn(place, site))).toEqual([]);
    await expectTakenBack(site, began);
    const after = await kubectl(site, diffing, { input: await rendered(site, older) });
    expect([after.code, after.stdout]).toEqual([0, '']);
    const more = await kubectl(site, by, { input: await rendered(site, older, '--set', 'scheduler.replicas=2') });
    expect([more.code, warningsIn(more)]).toEqual([0, []]);
    expect(await faultsAt(place, site, older)).toEqual([]);
  }, 180_000);
});

describe.concurrent('kubectl on single workloads', () => {
  it.concurrent('set image of all four at once: four warnings, and the run ends', async () => {
    const site = await applied('set-image');
    const said = await setImages(site, older);
    expect(said.code, said.stderr).toBe(0);
    for (const name of all) expect(said.stderr).toContain(`Warning: downdraft holds ${name}: ${because}`);
    expect(said.stdout).toContain('deployment.apps/af-scheduler image updated');
    await expectTakenBack(site);
  }, 180_000);

  it.concurrent('edit and patch are held, too', async () => {
    const site = await applied('edit');
    place.controller.pause(site.namespace);
    const editor = join(place.folder, 'editor');
    await writeFile(editor, '#!/bin/sh\nexec sed -i s/:3.2.1/:3.1.8/ "$1"\n');
    await chmod(editor, 0o755);
    for (const name of all.slice(0, 3)) {
      const said = await kubectl(site, ['edit', name], { env: { EDITOR: editor } });
      expect(said.code, said.stderr).toBe(0);
      expect(said.stdout).toBe(`${name.replace('/', '.apps/')} edited\n`);
      expect(said.stderr).toContain(`Warning: downdraft holds ${name}: ${because}`);
    }
    const image = imageOf(site.registry, older);
    const pod = {
      containers: [{ name: 'triggerer', image }],
      initContainers: [{ name: 'wait-for-airflow-migrations', image }],
    };
    const patch = JSON.stringify({ spec: { template: { spec: pod } } });
    const said = await kubectl(site, ['patch', all[3]!, '-p', patch]);
    expect(said.stderr).toContain(`Warning: downdraft holds ${all[3]}: ${because}`);
    await expectTakenBack(site);
  }, 180_000);

  it.concurrent('rollout undo to the older version is held', async () => {
    const site = await makeSite(place, 'undo', older);
    must(await kubectl(site, client, { input: await rendered(site, older) }));
    await untilServes(place, site, older);
    must(await setImages(site, newer));
    await setHeads(place, site.namespace, newer);
    await untilServes(place, site, newer);
    const began = performance.now();
    place.controller.pause(site.namespace);
    for (const name of all) {
      const said = await kubectl(site, ['rollout', 'undo', name]);
      expect(said.code, said.stderr).toBe(0);
      expect(said.stderr).toContain(`Warning: downdraft holds ${name}: ${because}`);
      expect(said.stdout).toContain(`${name.replace('/', '.apps/')} rolled back`);
    }
    const again = await kubectl(site, ['rollout', 'undo', 'deployment/af-scheduler']);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('cannot rollback a paused deployment')]);
    await expectTakenBack(site, began);
  }, 180_000);

  it.concurrent('while held: resume is held again, undo and restart are refused by kubectl, scale and dry runs are as ever', async () => {
    const site = await applied('while-held');
    place.controller.pause(site.namespace);
    must(await setImages(site, older));
    const before = await storedIn(place, site);
    const resume = await kubectl(site, ['rollout', 'resume', 'deployment/af-scheduler']);
    expect(warningsIn(resume)[0]).toBe(`downdraft holds deployment/af-scheduler: ${because}`);
    const undo = await kubectl(site, ['rollout', 'undo', 'deployment/af-scheduler']);
    expect([undo.code, undo.stderr]).toEqual([1, expect.stringContaining('no rollout history found')]);
    const restart = await kubectl(site, ['rollout', 'restart', 'deployment/af-scheduler']);
    expect([restart.code, restart.stderr]).toEqual([1, expect.stringContaining("can't restart paused deployment")]);
    const status = await kubectl(site, ['rollout', 'status', 'deployment/af-scheduler', '--timeout=2s']);
    expect([status.code, status.stdout]).toEqual([1, expect.stringContaining('Waiting for deployment')]);
    for (const dry of [
      ['apply', '--dry-run=server', '-f', '-'],
      ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '-f', '-'],
    ])
      must(await kubectl(site, dry, { input: await rendered(site, older) }));
    expect(changed(before, await storedIn(place, site))).toEqual([]);
    expect(await heldOf(place, site)).toEqual(all);
    must(await kubectl(site, ['scale', 'deployment/af-scheduler', '--replicas=2']));
    must(await kubectl(site, ['scale', 'statefulset/af-triggerer', '--replicas=2']));
    expect(await heldOf(place, site)).toEqual(all);
    await expectTakenBack(site);
    expect((await workloadsOf(place, site)).map(({ spec }) => spec.replicas)).toEqual([1, 1, 2, 2]);
  }, 180_000);

  it.concurrent('S4-18: dry runs of the older version get the same answer and store nothing', async () => {
    const site = await applied('dry-run');
    const before = await storedIn(place, site);
    const said = await kubectl(site, ['apply', '--dry-run=server', '-f', '-'], { input: await rendered(site, older) });
    expect(said.code, said.stderr).toBe(0);
    for (const name of all) expect(said.stderr).toContain(`Warning: downdraft holds ${name}: ${because}`);
    const diff = await kubectl(site, ['diff', '-f', '-'], { input: await rendered(site, older) });
    expect(diff.code).toBe(1);
    expect(diff.stdout).toContain('+  paused: true');
    expect(changed(before, await storedIn(place, site))).toEqual([]);
  }, 180_000);

  it.concurrent('the newer image set again while held: everything is let go, nothing was restarted', async () => {
    const site = await applied('withdrawn');
    place.controller.pause(site.namespace);
    must(await setImages(site, older));
    const ran = place.kubelet.ran.filter((c) => c.namespace === site.namespace).length;
    must(await setImages(site, newer));
    place.controller.resume(site.namespace);
    expect(await faultsAt(place, site, newer)).toEqual([]);
    expect(place.kubelet.ran.filter((c) => c.namespace === site.namespace)).toHaveLength(ran);
  }, 180_000);
});

it.concurrent('kustomize build | apply: images changed by an overlay are held; the same overlay again changes nothing', async () => {
  const site = await applied('kustomize');
  const folder = join(place.folder, 'kustomize');
  await mkdir(folder);
  await writeFile(join(folder, 'release.yaml'), await rendered(site, newer));
  const images = [{ name: `${site.registry}/apache/airflow`, newTag: older }];
  await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify({ resources: ['release.yaml'], images }));
  const built = must(await place.kubectl(['kustomize', folder]));
  const said = await kubectl(site, client, { input: built });
  for (const name of all) expect(said.stderr).toContain(`Warning: downdraft holds ${name}: ${because}`);
  await expectTakenBack(site);
  const before = await storedIn(place, site);
  must(await kubectl(site, ['apply', '-k', folder]));
  expect(changed(before, await storedIn(place, site))).toEqual([]);
}, 180_000);

describe.concurrent('replace --force', () => {
  it.concurrent('deletes and creates: what comes is held; with no old pod left to work in, it says so, and what to do helps', async () => {
    const site = await applied('replace-force');
    const said = await kubectl(site, ['replace', '--force', '-f', '-'], { input: await rendered(site, older) });
    expect(said.code, said.stderr).toBe(0);
    console.info(said.stderr);
    await waitFor('the hold', 30_000, async () => (await heldOf(place, site)).length === all.length);
    const [run] = await waitFor('the reason', 30_000, async () => {
      const runs = await downgrades(place.client, site.namespace);
      return runs[0]?.status?.reason === 'NoOldPod' && runs;
    });
    expect(run!.status!.message).toContain('set the image back to it, wait until a pod runs, then set');
    must(await setImages(site, newer));
    await waitFor('the first to end', 30_000, async () => {
      const runs = await downgrades(place.client, site.namespace);
      return runs.find(({ metadata }) => metadata.uid === run!.metadata.uid)?.status?.record?.outcome === 'Canceled';
    });
    expect(await faultsAt(place, site, newer, performance.now())).toEqual([]);
    // What was made anew has no history that its hold could be believed by, so the image may have been asked once more.
    const over = await waitFor('all to be let go', 30_000, async () => {
      const runs = await downgrades(place.client, site.namespace);
      const ended = runs.every(({ status }) => status?.record?.completedAt);
      return ended && (await heldOf(place, site)).length === 0 && runs.map(({ status }) => status!.record!.outcome);
    });
    expect(['Canceled', 'NotNeeded']).toEqual(expect.arrayContaining(over));
    const began = performance.now();
    must(await setImages(site, older));
    expect(await outcomeOf(place, site, over.length + 1)).toBe('Downgraded');
    expect(await faultsAt(place, site, older, began)).toEqual([]);
  }, 180_000);
});

describe.concurrent('a denial', () => {
  it.concurrent.each<[string, (site: Site) => Promise<import('./terminal.ts').Said>]>([
    ['apply', async (site) => kubectl(site, client, { input: await rendered(site, older) })],
    [
      'apply --server-side',
      async (site) => kubectl(site, [...server, '--force-conflicts'], { input: await rendered(site, older) }),
    ],
    ['replace', async (site) => kubectl(site, replace, { input: await rendered(site, older) })],
    ['set image', async (site) => setImages(site, older)],
    ['diff', async (site) => kubectl(site, ['diff', '-f', '-'], { input: await rendered(site, older) })],
  ])(
    'of %s is an error for each workload, with what to do; none of them is changed',
    async (verb, act) => {
      const site = await applied(`deny-${verb.replaceAll(/\W+/g, '-')}`);
      await emptyHeads(place, site.namespace);
      const before = await workloadsOf(place, site);
      const said = await act(site);
      expect(said.code).not.toBe(0);
      const named = verb === 'diff' ? all.slice(0, 1) : all;
      for (const name of named)
        expect(said.stderr).toContain(
          `denied the request: downdraft: ${name}: alembic_version is empty but tables of Airflow exist`,
        );
      expect(said.stderr).toContain('Put the revision back (INSERT INTO alembic_version) or restore a backup');
      const images = (workloads: typeof before) => workloads.map((w) => w.spec);
      expect(images(await workloadsOf(place, site))).toEqual(images(before));
      expect(await heldOf(place, site)).toEqual([]);
      const replicaSets = await place.client.request<{ items: object[] }>('GET', apps(site.namespace, 'replicasets'));
      expect(replicaSets.items).toHaveLength(3);
    },
    180_000,
  );
});

it('nothing went wrong in the stand-ins', () => {
  expect(place.faults).toEqual([]);
});
