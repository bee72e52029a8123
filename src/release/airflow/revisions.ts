/**
 * Releases and revisions: which schema each released Airflow and each provider needs, and which of two is ahead.
 *
 * The facts are in heads.json, made from the released packages by `npm run heads`:
 *
 *   core      chains    [[entry, ...], ...]   scripts, each after those that it follows. An entry is a revision, or
 *                                             [revision, what it follows, ...] where that is not just the entry before
 *             releases  {version: {chain, head, file, sha256}}   a release knows its chain up to its head
 *   managers  {version table: {class, chains, releases}}         the same for a provider with a schema of its own
 *
 * There is more than one chain since scripts were squashed: images of 2.x begin with Airflow's first revision, those of
 * 3.0 and 3.1 with 937cbd173ca1, those from 3.2 on with 4bc4d934e2bc, which stands for all up to c804e5c76e3e. What a
 * chain has lost is taken from the chain before it, so that an old revision can still be placed.
 *
 * What is not in the file is unknown, and nothing here guesses: then the images themselves are asked.
 */
import { compare, explain } from '@renovatebot/pep440';
import heads from './heads.json' with { type: 'json' };

/** Core table; every other alembic_version% table is a provider's. */
export const coreTable = 'alembic_version';

/** Letters and digits, since 1b2c3d4e5f6g is a real one; the oldest have fewer than twelve. */
export type Revision = string;

/** The database's revision as seen from a head. */
export type Relation = 'same' | 'ahead' | 'behind' | 'unrelated' | 'unknown';

/** A chain as a graph: each revision with those it follows. Insertion order is from the oldest to the newest. */
type Chain = Map<Revision, Revision[]>;

interface Lineage {
  /** As the packages have them, with what was squashed away put back. */
  whole: Chain[];
  releases: Map<string, { chain: number; head: Revision }>;
}

interface StoredLineage {
  chains: (string | string[])[][];
  releases: Record<string, { chain: number; head: string }>;
}

/** Two ids for one schema: what 2.6.2 ends with, and the script that replaced it in 3.2 (apache/airflow#59205). */
const squashed: Record<Revision, Revision> = { '4bc4d934e2bc': 'c804e5c76e3e', c804e5c76e3e: '4bc4d934e2bc' };

const core = lineageFrom(heads.core);

const managers = new Map(
  Object.entries(heads.managers).map(([table, stored]) => [table, { class: stored.class, ...lineageFrom(stored) }]),
);

/** The oldest release that a database is downgraded to: images of 3.0 and 3.1 have no scripts for what came before. */
export const lowestSupported = '2.7.0';

/**
 * The head of a release, by exact version in any PEP 440 spelling. Post and local releases (3.1.8.post1, 3.1.8+local)
 * have the scripts of their base. Undefined for pre-releases, for releases that the table lacks (a patch release can
 * carry migrations) and for what is no version.
 */
export function headOf(version: string): Revision | undefined {
  return releaseIn(core, version)?.head;
}

/** The releases whose head a revision is, ascending. */
export function releasesAt(revision: Revision): string[] {
  return [...core.releases].filter(([, release]) => release.head === revision).map(([version]) => version);
}

/** A revision in a person's words: "3.2.x (1d6611b6ab7c)", "a revision between 3.1.8 and 3.2.0 (…)", "an unknown revision (…)". */
export function describeRevision(revision: Revision): string {
  return `${placeOf(revision)} (${revision})`;
}

/** Compares the database's core revision with an image's head, by the newest chain that has both. */
export function compareRevisions(database: Revision, head: Revision): Relation {
  return compareIn(core, database, head);
}

/** The manager that keeps its revision in this table, by class path; undefined for a table we know nothing of. */
export function managerOf(versionTable: string): { class: string; versionTable: string } | undefined {
  const manager = managers.get(versionTable);
  return manager && { class: manager.class, versionTable };
}

/** As compareRevisions, for a provider's version table. A table we know nothing of is 'unknown'. */
export function compareProviderRevisions(versionTable: string, database: Revision, head: Revision): Relation {
  const manager = managers.get(versionTable);
  if (manager) return compareIn(manager, database, head);
  return 'unknown';
}

/** True for a provider's very first revision: nothing can be behind it, so no image is. */
export function isLowestProviderRevision(versionTable: string, revision: Revision): boolean {
  const manager = managers.get(versionTable);
  return manager?.whole.every((chain) => [...chain.keys()][0] === revision) ?? false;
}

function lineageFrom(stored: StoredLineage): Lineage {
  const whole: Chain[] = [];
  for (const chain of stored.chains.map(chainFrom)) whole.push(restored(chain, whole));
  return { whole, releases: new Map(Object.entries(stored.releases)) };
}

function chainFrom(entries: (string | string[])[]): Chain {
  const chain: Chain = new Map();
  let before: Revision[] = [];
  for (const entry of entries) {
    const [revision, ...down] = typeof entry === 'string' ? [entry, ...before] : entry;
    chain.set(revision!, down);
    before = [revision!];
  }
  return chain;
}

/** Puts before a chain's first revision what the newest earlier chain has before that one. */
function restored(chain: Chain, earlier: Chain[]): Chain {
  const base = [...chain.keys()][0]!;
  const longer = earlier.findLast((candidate) => nameIn(candidate, base));
  if (!longer) return chain;
  const known = nameIn(longer, base)!;
  const lost = ancestry(longer, known);
  lost.delete(known);
  return new Map([...[...longer].filter(([revision]) => lost.has(revision)), ...chain, [base, longer.get(known)!]]);
}

/** The name under which a chain has a revision: its own or that of its squashed twin. */
function nameIn(chain: Chain, revision: Revision): Revision | undefined {
  return [revision, squashed[revision]].find((name) => name !== undefined && chain.has(name));
}

function chainWith(lineage: Lineage, ...revisions: Revision[]): Chain | undefined {
  return lineage.whole.findLast((chain) => revisions.every((revision) => nameIn(chain, revision)));
}

/** A revision with all that it follows. */
function ancestry(chain: Chain, revision: Revision): Set<Revision> {
  const found = new Set<Revision>();
  const waiting = [nameIn(chain, revision)];
  for (const next of waiting) {
    if (next === undefined || found.has(next)) continue;
    found.add(next);
    waiting.push(...chain.get(next)!);
  }
  return found;
}

function compareIn(lineage: Lineage, database: Revision, head: Revision): Relation {
  const chain = chainWith(lineage, database, head);
  if (!chain) return chainWith(lineage, database) && chainWith(lineage, head) ? 'unrelated' : 'unknown';
  const [databaseName, headName] = [nameIn(chain, database)!, nameIn(chain, head)!];
  if (databaseName === headName) return 'same';
  if (ancestry(chain, databaseName).has(headName)) return 'ahead';
  return ancestry(chain, headName).has(databaseName) ? 'behind' : 'unrelated';
}

function releaseIn(lineage: Lineage, version: string): { chain: number; head: Revision } | undefined {
  // As it is written in the table, nearly always: to take a version apart is dear.
  const written = lineage.releases.get(version);
  if (written) return written;
  const parsed = explain(version.trim());
  if (!parsed || parsed.is_prerelease || parsed.epoch !== 0) return undefined;
  const wanted = parsed.release.join('.');
  // 3.2 and 3.2.0 are one.
  const known = lineage.releases.get(wanted);
  if (known) return known;
  const same = [...lineage.releases.keys()].find((release) => compare(release, wanted) === 0);
  return same === undefined ? undefined : lineage.releases.get(same);
}

function placeOf(revision: Revision): string {
  const here = releasesAt(revision);
  if (here.length > 0) return rangesOf(here);
  if (!chainWith(core, revision)) return 'an unknown revision';
  const releases = [...core.releases];
  const below = releases.findLast(([, { head }]) => compareRevisions(revision, head) === 'ahead')?.[0];
  const above = releases.find(([, { head }]) => compareRevisions(revision, head) === 'behind')?.[0];
  return below ? `a revision between ${below} and ${above}` : `a revision before ${above}`;
}

/** Releases in a row as one: 3.2.x when they are all there are of a minor, else "3.0.3 to 3.0.6". */
function rangesOf(versions: string[]): string {
  const minors = Map.groupBy(versions, minorOf);
  return [...minors].map(([minor, patches]) => rangeOf(minor, patches)).join(', ');
}

function rangeOf(minor: string, patches: string[]): string {
  const [first, last] = [patches[0]!, patches.at(-1)!];
  if (patches.length === 1) return first;
  const all = [...core.releases.keys()].filter((version) => minorOf(version) === minor);
  return all.length === patches.length ? `${minor}.x` : `${first} to ${last}`;
}

/** The minor that a release of the table belongs to: 3.1.8 gives 3.1. */
export function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}
