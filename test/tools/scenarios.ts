/** What a person does with helm, 3 or 4, and must find; helm3.test.ts and helm4.test.ts run it with either. */
import { expect, it } from 'vitest';
import { imageOf } from '../loop/images.ts';
import { pods } from '../loop/release.ts';
import { changed, faultsAt, newer, older, outcomeOf, storedIn } from './ends.ts';
import { emptyHeads, headsOf } from './heads.ts';
import { expectHoldsSaid, expectUndisturbed, type Helm, installed } from './helm.ts';
import { all, chart, heldOf, untilServes } from './place.ts';
import { must } from './terminal.ts';

/** Upgrades that succeed. */
export function tellUpgrades(helm: Helm): void {
  const short = helm.name;

  it.concurrent('upgrade to the older version: warnings, it waits for the database, nothing disturbs the next upgrades', async () => {
    const { place, site, release } = await installed(helm, `${short}-upgrade`);
    const began = performance.now();
    const said = await release.upgrade(older);
    expect(said.code, said.stderr).toBe(0);
    // The migration Job's pod was held, too: when helm says that it is done, the database is back.
    expect(await headsOf(place, site.namespace)).toBe(older);
    expectHoldsSaid(said);
    expect(await outcomeOf(place, site)).toBe('Downgraded');
    expect(await faultsAt(place, site, older, began)).toEqual([]);
    expect(await release.history()).toEqual(['superseded', 'deployed']);
    await expectUndisturbed(helm, site);
  }, 180_000);

  it.concurrent('upgrade --wait returns when the older pods may start', async () => {
    const { place, site, release } = await installed(helm, `${short}-wait`);
    const said = await release.upgrade(older, '--wait');
    expect(said.code, said.stderr).toBe(0);
    expectHoldsSaid(said);
    expect(await headsOf(place, site.namespace)).toBe(older);
    expect(await outcomeOf(place, site)).toBe('Downgraded');
    expect(await faultsAt(place, site, older)).toEqual([]);
  }, 180_000);

  it.concurrent('while it is held: the same upgrade again, a dry run and a diff change nothing, and the run goes on', async () => {
    const { place, site, release } = await installed(helm, `${short}-held`);
    place.controller.pause(site.namespace);
    expectHoldsSaid(await release.upgrade(older, '--no-hooks'));
    expect(await heldOf(place, site)).toEqual(all);
    const before = await storedIn(place, site);
    const again = await release.upgrade(older, '--no-hooks');
    expect(again.code, again.stderr).toBe(0);
    must(await release.upgrade(older, '--no-hooks', '--dry-run=server'));
    expect(changed(before, await storedIn(place, site))).toEqual([]);
    const manifest = must(await place.type(helm.name, ['get', 'manifest', 'af', '-n', site.namespace]));
    const diff = await place.kubectl(['diff', '-n', site.namespace, '-f', '-'], { input: manifest });
    expect([diff.code, diff.stdout]).toEqual([0, '']);
    must(await release.upgrade(older, '--no-hooks', '--set', 'scheduler.replicas=2'));
    expect(await heldOf(place, site)).toEqual(all);
    place.controller.resume(site.namespace);
    expect(await outcomeOf(place, site)).toBe('Downgraded');
    expect(await faultsAt(place, site, older)).toEqual([]);
  }, 180_000);
}

/** Ways that run no hook. */
export function tellRollbacks(helm: Helm): void {
  const short = helm.name;

  it.concurrent('--no-hooks and rollback return at once, with the warnings; the run comes to its end without them', async () => {
    const { place, site, release } = await installed(helm, `${short}-rollback`, older);
    must(await release.upgrade(newer));
    await untilServes(place, site, newer);
    expect(await headsOf(place, site.namespace)).toBe(newer);
    place.controller.pause(site.namespace);
    const began = performance.now();
    const said = await release.rollback(1, '--wait');
    expect(said.code, said.stderr).toBe(0);
    expectHoldsSaid(said);
    expect([await heldOf(place, site), await headsOf(place, site.namespace)]).toEqual([all, newer]);
    place.controller.resume(site.namespace);
    expect(await outcomeOf(place, site)).toBe('Downgraded');
    expect(await faultsAt(place, site, older, began)).toEqual([]);
    // And forward again, as ever.
    must(await release.upgrade(newer));
    // A pod that starts before the migration waits for it in its init container, which the fake kubelet does not do.
    expect(await faultsAt(place, site, newer, performance.now())).toEqual([]);
  }, 180_000);
}

/** Upgrades that fail. */
export function tellFailures(helm: Helm): void {
  const short = helm.name;

  it.concurrent(`${helm.rollbackOnFailure}, out of time while it is held: the newer version is wanted again, and the run ends as Canceled`, async () => {
    const { place, site, release } = await installed(helm, `${short}-atomic`);
    // An image that can't be pulled keeps the run where nothing has been touched yet.
    place.kubelet.broken.add(imageOf(site.registry, older));
    const serving = async () => {
      const mine = (await pods(place.client, site.namespace)).filter(
        (p) => p.metadata.ownerReferences?.[0]?.kind !== 'Job',
      );
      return mine.map((p) => p.metadata.uid).sort();
    };
    const before = await serving();
    const args = ['upgrade', 'af', chart, ...site.values(older), helm.rollbackOnFailure, '--timeout', '6s'];
    const said = await place.type(helm.name, [...args, '-n', site.namespace]);
    expect(said.code).toBe(1);
    expectHoldsSaid(said);
    expect(said.stderr).toContain('post-upgrade hooks failed');
    expect(await outcomeOf(place, site)).toBe('Canceled');
    expect(await faultsAt(place, site, newer)).toEqual([]);
    expect(await release.history()).toEqual(['superseded', 'failed', 'deployed']);
    expect(await serving()).toEqual(before);
  }, 180_000);

  it.concurrent(`${helm.rollbackOnFailure}, before any controller has looked: nothing of the request is left`, async () => {
    const { place, site } = await installed(helm, `${short}-early`);
    place.controller.pause(site.namespace);
    const args = ['upgrade', 'af', chart, ...site.values(older), helm.rollbackOnFailure, '--timeout', '6s'];
    const said = await place.type(helm.name, [...args, '-n', site.namespace]);
    expect([said.code, said.stderr]).toEqual([1, expect.stringContaining('post-upgrade hooks failed')]);
    place.controller.resume(site.namespace);
    // The migration Job of the older version, which helm leaves there, is one of the things that must not be left gated.
    expect(await faultsAt(place, site, newer)).toEqual([]);
  }, 180_000);

  it.concurrent.each([[[]], [[helm.rollbackOnFailure]]])(
    'a denial (options: %j) is the error that helm prints; nothing is changed',
    async (more) => {
      const { place, site, release } = await installed(helm, `${short}-deny${more.length}`);
      await emptyHeads(place, site.namespace);
      const before = await storedIn(place, site);
      const config = ['--set', 'config.core.parallelism=8'];
      const said = await release.upgrade(older, ...config, ...more);
      expect(said.code).toBe(1);
      expect(said.stderr).toContain('alembic_version is empty but tables of Airflow exist');
      expect(said.stderr).toContain('Put the revision back (INSERT INTO alembic_version) or restore a backup');
      expect(changed(before, await storedIn(place, site))).toEqual([]);
      // Helm's own record was denied first, so there is not even a failed revision.
      expect(said.stderr).toContain('admission webhook "record.downdraft.dev" denied the request');
      expect(await release.history()).toEqual(['deployed']);
    },
    180_000,
  );
}
