/** helm 3, whose upgrades are three-way merges on the client. Rows S0-4, G34, G37, G38. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { faultsAt, older, outcomeOf } from './ends.ts';
import { expectHoldsSaid, type Helm, installed } from './helm.ts';
import { startTools, type ToolPlace } from './place.ts';
import { tellFailures, tellRollbacks, tellUpgrades } from './scenarios.ts';

let place: ToolPlace;
const helm: Helm = { name: 'helm', rollbackOnFailure: '--atomic', place: () => place };

// Each mostly waits, but what they wait for shares the machine.
vi.setConfig({ maxConcurrency: 3 });

beforeAll(async () => {
  place = await startTools('tools: helm 3');
}, 180_000);

afterAll(async () => await place?.stop(), 60_000);

tellUpgrades(helm);
tellRollbacks(helm);
tellFailures(helm);

it.concurrent('upgrade --force, which puts whole objects, is held as any other and leaves nothing behind', async () => {
  const { site, release } = await installed(helm, 'helm-force');
  const said = await release.upgrade(older, '--force');
  expect(said.code, said.stderr).toBe(0);
  expectHoldsSaid(said);
  expect(await outcomeOf(place, site)).toBe('Downgraded');
  expect(await faultsAt(place, site, older)).toEqual([]);
}, 180_000);

it('nothing went wrong in the stand-ins', () => {
  expect(place.faults).toEqual([]);
});
