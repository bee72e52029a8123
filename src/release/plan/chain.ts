/** Ways through a chain of Alembic's revisions. */
import type { ChainLink } from '../model/runner.ts';

/** Number of revisions undone from `from` down to `to`; undefined when `to` is no ancestor. Follows the first parent only where there is one. */
export function distance(chain: readonly ChainLink[], from: string, to: string): number | undefined {
  const parents = new Map(chain.map((link) => [link.revision, link.down]));
  let frontier = [from];
  const seen = new Set<string>();
  for (let undone = 0; frontier.length > 0; undone++) {
    if (frontier.includes(to)) return undone;
    const next = frontier.flatMap((r) => parents.get(r) ?? []).filter((r) => !seen.has(r));
    for (const r of next) seen.add(r);
    frontier = next;
  }
  return undefined;
}

/** Revisions that are undone from `from` (with it) down to `to` (without it), newest first as far as the chain is a line. */
export function revisionsBetween(chain: readonly ChainLink[], from: string, to: string): string[] {
  const parents = new Map(chain.map((link) => [link.revision, [link.down ?? []].flat()]));
  const undone = new Set<string>();
  const visit = (revision: string) => {
    if (revision === to || undone.has(revision)) return;
    undone.add(revision);
    for (const parent of parents.get(revision) ?? []) visit(parent);
  };
  visit(from);
  return [...undone];
}
