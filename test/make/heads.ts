/** What the released packages have, as heads.json tells it, for tests that stand in for them. */
import heads from '../../src/release/airflow/heads.json' with { type: 'json' };

type Stored = Record<string, { chain: number; head: string }>;

/** The revisions that a release's image has scripts for, oldest first; its first one is as far as it can go back. */
export function chainOf(version: string): string[] | undefined {
  const release = (heads.core.releases as Stored)[version];
  if (!release) return undefined;
  const chain = heads.core.chains[release.chain]!.map((entry) => (typeof entry === 'string' ? entry : entry[0]!));
  return chain.slice(0, chain.indexOf(release.head) + 1);
}

/** The head of a provider's release. */
export function providerHeadOf(versionTable: string, version: string): string | undefined {
  const managers: Record<string, { releases: Stored }> = heads.managers;
  return managers[versionTable]?.releases[version]?.head;
}
