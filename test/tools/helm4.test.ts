/** helm 4, which installs by server-side apply and goes on as the release began. Rows S0-4, G34, G37, G38. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { ensureTool } from '../cluster/build/binaries.ts';
import { faultsAt, older, outcomeOf } from './ends.ts';
import { expectHoldsSaid, expectUndisturbed, type Helm, installed } from './helm.ts';
import { startTools, type ToolPlace, workloadsOf } from './place.ts';
import { tellFailures, tellRollbacks, tellUpgrades } from './scenarios.ts';

let place: ToolPlace;
const helm: Helm = { name: 'helm4', rollbackOnFailure: '--rollback-on-failure', place: () => place };

// Each mostly waits, but what they wait for shares the machine.
vi.setConfig({ maxConcurrency: 3 });

beforeAll(async () => {
  place = await startTools('tools: helm 4', [await ensureTool('helm4')]);
}, 1_800_000);

afterAll(async () => await place?.stop(), 60_000);

tellUpgrades(helm);
tellRollbacks(helm);
tellFailures(helm);

it.concurrent('a release that helm 4 installed is applied by the server, and stays so through a downgrade', async () => {
  const { site, release } = await installed(helm, 'helm4-server');
  const appliers = async () => {
    type Managed = { manager: string; operation: string; subresource?: string };
    const fields = (await workloadsOf(place, site)).map(
      ({ metadata }) => (metadata as { managedFields?: Managed[] }).managedFields ?? [],
    );
    return fields.map((all) => all.filter((f) => f.operation === 'Apply').map((f) => f.manager));
  };
  expect(await appliers()).toEqual([['helm'], ['helm'], ['helm'], ['helm']]);
  expectHoldsSaid(await release.upgrade(older, '--server-side=true', '--wait'));
  expect(await outcomeOf(place, site)).toBe('Downgraded');
  expect(await faultsAt(place, site, older)).toEqual([]);
  await expectUndisturbed(helm, site);
  expect(await appliers()).toEqual([['helm'], ['helm'], ['helm'], ['helm']]);
}, 180_000);

it('nothing went wrong in the stand-ins', () => {
  expect(place.faults).toEqual([]);
});
