/** One release of the example chart in the hands of a helm, 3 or 4. */
import { expect } from 'vitest';
import type { Metadata } from '../../src/release/model/kubernetes.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { changed, faultsAt, newer, older, ownedByUs, storedIn } from './ends.ts';
import { all, chart, makeSite, type Site, type ToolPlace, untilServes, workloadsOf } from './place.ts';
import { must, type Said, warningsIn } from './terminal.ts';

export interface Helm {
  /** The program. */
  name: string;
  /** Its option that rolls back when something fails. */
  rollbackOnFailure: string;
  place(): ToolPlace;
}

/** One release of the example chart and a helm that works on it. */
function releaseIn(helm: Helm, site: Site) {
  const type = (args: string[]) => helm.place().type(helm.name, [...args, '-n', site.namespace, '--timeout', '90s']);
  return {
    install: (version: typeof newer, ...more: string[]) =>
      type(['install', 'af', chart, ...site.values(version), ...more]),
    upgrade: (version: typeof newer, ...more: string[]) =>
      type(['upgrade', 'af', chart, ...site.values(version), ...more]),
    rollback: (to: number, ...more: string[]) => type(['rollback', 'af', String(to), ...more]),
    /** Statuses of the revisions, oldest first. */
    history: async () => {
      const said = await helm.place().type(helm.name, ['history', 'af', '-n', site.namespace, '-o', 'json']);
      return (JSON.parse(said.stdout) as { status: string }[]).map(({ status }) => status);
    },
  };
}

/** A site with the release installed by this helm and serving. */
export async function installed(helm: Helm, namespace: string, version = newer) {
  const place = helm.place();
  const site = await makeSite(place, namespace, version);
  const release = releaseIn(helm, site);
  must(await release.install(version));
  await untilServes(place, site, version);
  // By this label the record webhook knows the namespaces that it is for.
  await waitFor(`the label on ${namespace}`, 15_000, async () => {
    const path = `/api/v1/namespaces/${namespace}`;
    return (await place.client.request<{ metadata: Metadata }>('GET', path))?.metadata.labels?.[label.airflow];
  });
  return { place, site, release };
}

/** helm said that all four are held, and what happens next. */
export function expectHoldsSaid(said: Said): void {
  const warnings = warningsIn(said);
  for (const name of all)
    expect(warnings).toContain(
      `downdraft holds ${name}: the database is at 3.2.x (1d6611b6ab7c), image 3.1.8 needs 509b94a1042d`,
    );
  expect(said.stderr).toContain('downdraft will take the database back first; watch: kubectl -n ');
}

/** The same values again, then others: no conflict, no hold, and what was asked for is there. */
export async function expectUndisturbed(helm: Helm, site: Site): Promise<void> {
  const place = helm.place();
  const release = releaseIn(helm, site);
  const before = await storedIn(place, site);
  const same = await release.upgrade(older);
  expect(must(same)).toContain('has been upgraded');
  expect(warningsIn(same)).toEqual([]);
  expect(changed(before, await storedIn(place, site))).toEqual([]);
  must(await release.upgrade(older, '--set', 'scheduler.replicas=2', '--set', 'triggerer.replicas=2'));
  const replicas = (await workloadsOf(place, site)).map(({ spec }) => spec.replicas);
  expect(replicas).toEqual([1, 1, 2, 2]);
  expect(await faultsAt(place, site, older)).toEqual([]);
  expect(ownedByUs(await workloadsOf(place, site))).toEqual([]);
}
