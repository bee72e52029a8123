/**
 * What was learned about images, as it is kept: for one release of one namespace alone, and never all. Which providers an
 * image enforces is configuration, and what its pod prints is the word of whoever made the pod's template: another
 * namespace or release is never judged by it. Pure.
 */
import { createHash } from 'node:crypto';
import type { ImageKnowledge } from './release.ts';
import { managerHeads } from './told.ts';
import { record } from './unknown.ts';

/** For whom something was learned. */
export interface Owner {
  namespace: string;
  release: string;
}

/** One entry: what was learned, for whom, and when it was last of use (ISO 8601). */
export interface Learned extends Owner {
  usedAt: string;
  knowledge: ImageKnowledge;
}

/** Bounds of the whole store, well under the 1 MiB that one object may have. */
export const mostLearned = 2000;
export const mostLearnedBytes = 600_000;
/** One release's images take a hundred bytes each, and three hundred with their providers. */
const mostBytesOfOne = 4000;

/** The key of an entry. A tenant can't meet another's: namespace and release are in it. */
export function keyOf({ namespace, release }: Owner, image: string): string {
  return createHash('sha256')
    .update(JSON.stringify([namespace, release, image]))
    .digest('hex')
    .slice(0, 40);
}

/** An entry as text; undefined for one that is too large to be kept. */
export function written({ namespace, release, usedAt, knowledge }: Learned): string | undefined {
  const text = JSON.stringify({ namespace, release, usedAt, ...knowledge });
  return text.length > mostBytesOfOne ? undefined : text;
}

/** An entry as it was written; undefined for anything else, which counts as not learned. */
export function readLearned(text: string): Learned | undefined {
  if (text.length > mostBytesOfOne) return undefined;
  let found: Record<string, unknown> | undefined;
  try {
    found = record(JSON.parse(text));
  } catch {
    return undefined;
  }
  if (!found) return undefined;
  const { namespace, release, usedAt, image, version, coreHead, imageID, managers } = found;
  if (![namespace, release, usedAt, image, version].every((one) => typeof one === 'string')) return undefined;
  if (![coreHead, imageID].every((one) => one === undefined || typeof one === 'string')) return undefined;
  if (found.source !== 'probe' || (managers !== undefined && managerHeads(managers, '') !== undefined))
    return undefined;
  const knowledge = { image, source: 'probe', version, coreHead, managers, imageID };
  const said = Object.entries(knowledge).filter(([, value]) => value !== undefined);
  return {
    namespace: namespace as string,
    release: release as string,
    usedAt: usedAt as string,
    knowledge: Object.fromEntries(said) as unknown as ImageKnowledge,
  };
}

/**
 * Which keys go so that `added` fits: what can't be read, then the longest unused of whichever namespace has most. So who
 * fills the store pushes out no one but himself.
 */
export function crowdedOut(data: Readonly<Record<string, string>>, added: { key: string; text: string }): string[] {
  const out: string[] = [];
  const byNamespace = new Map<string, { key: string; usedAt: string; bytes: number }[]>();
  const put = (key: string, text: string) => {
    const entry = readLearned(text);
    if (!entry) return void out.push(key);
    const own = byNamespace.get(entry.namespace) ?? [];
    own.push({ key, usedAt: entry.usedAt, bytes: key.length + text.length });
    byNamespace.set(entry.namespace, own);
  };
  for (const [key, text] of Object.entries(data)) if (key !== added.key) put(key, text);
  put(added.key, added.text);
  for (const own of byNamespace.values()) own.sort((a, b) => a.usedAt.localeCompare(b.usedAt));
  const bytesOf = (own: readonly { bytes: number }[]) => own.reduce((sum, { bytes }) => sum + bytes, 0);
  const all = () => [...byNamespace.values()];
  const count = () => all().reduce((sum, own) => sum + own.length, 0);
  const bytes = () => all().reduce((sum, own) => sum + bytesOf(own), 0);
  while (count() > mostLearned || bytes() > mostLearnedBytes) {
    const largest = all().reduce((most, own) => (bytesOf(own) > bytesOf(most) ? own : most));
    const at = largest.findIndex(({ key }) => key !== added.key);
    if (at < 0) break;
    out.push(...largest.splice(at, 1).map(({ key }) => key));
  }
  return out;
}
