/** Which Airflow a pod of the test runs, told from its image's tag or from the digest that the fake kubelet gives it. */
import { managerOf } from '../../src/release/airflow/revisions.ts';
import type { ChainLink } from '../../src/release/model/runner.ts';
import { chainOf, providerHeadOf } from '../make/heads.ts';
import { revisionsOf } from '../make/release.ts';

export type Version = keyof typeof revisionsOf;

export const newer: Version = '3.2.1';
export const older: Version = '3.1.8';

/** The registry differs per run, so that what one run learns of an image is news to the next one. */
export function imageOf(registry: string, version: Version): string {
  return `${registry}/apache/airflow:${version}`;
}

/** The digest under which kubelet reports an image, as a name that can be pulled. */
export function imageIdOf(image: string): string {
  const repository = image.split('@')[0]!.replace(/:[^:/]*$/, '');
  return `${repository}@sha256:${hexOf(versionOf(image))}`;
}

/** The Airflow in an image; throws for one that is none of the test's. */
export function versionOf(image: string): Version {
  const versions = Object.keys(revisionsOf) as Version[];
  const version = versions.find((v) => image.endsWith(`:${v}`) || image.endsWith(`@sha256:${hexOf(v)}`));
  if (!version) throw new Error(`no Airflow in image ${image}`);
  return version;
}

function hexOf(version: Version): string {
  return version.replaceAll('.', '').padEnd(64, '0');
}

/** FAB's providers that came with these Airflows (constraints of 3.2.1 and 3.1.8). */
const fabOf: Record<Version, string> = { '3.2.1': '3.6.1', '3.1.8': '3.5.0' };
const fabTable = 'alembic_version_fab';

/** The scripts in an image, from the released packages (heads.json): core and FAB, newest first. */
export function scriptsOf(version: Version) {
  const fabHead = providerHeadOf(fabTable, fabOf[version]);
  const manager = managerOf(fabTable);
  const core = chainOf(version);
  if (!core || !manager || fabHead !== revisionsOf[version].fab) throw new Error(`the table lacks ${version}`);
  const fab = version === newer ? [revisionsOf[older].fab, revisionsOf[newer].fab] : [revisionsOf[older].fab];
  return {
    core: { heads: [core.at(-1)!], chain: linksOf(core) },
    managers: [{ class: manager.class, versionTable: fabTable, heads: [fab.at(-1)!], chain: linksOf(fab) }],
  };
}

function linksOf(chain: readonly string[]): ChainLink[] {
  return chain.map((revision, at) => ({ revision, down: chain[at - 1] ?? null })).reverse();
}

/** The revisions to reverse, newest first. Throws where one does not lie below the other. */
export function between(chain: ChainLink[], from: string, to: string): ChainLink[] {
  const at = chain.findIndex((link) => link.revision === from);
  const end = chain.findIndex((link) => link.revision === to);
  if (at < 0 || end < at) throw new Error(`${to} does not lie below ${from}`);
  return chain.slice(at, end);
}
