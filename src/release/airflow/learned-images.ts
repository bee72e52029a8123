/**
 * What was learned about images, as it is kept: for one release of one namespace alone, and never all. Which providers an
 * image enforces is configuration, and what its pod prints is the word of whoever made the pod's template: another
 * namespace or release is never judged by it. Pure.
 */
import { createHash } from 'node:crypto';
import type { ImageKnowledge, Learned, Owner } from '../model/image.ts';
import { record } from '../model/json.ts';
import { managerHeads } from '../model/messages.ts';

/** Bounds of the whole store, well under the 1 MiB that one object may have. */
export const mostLearned = 1500;

export const mostLearnedBytes = 750_000;

/** One with a provider takes some 450. */
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
  const namespaces = new Map<string, { bytes: number; entries: { key: string; usedAt: string; bytes: number }[] }>();
  let [count, bytes] = [0, 0];
  for (const [key, text] of [...Object.entries(data).filter(([one]) => one !== added.key), [added.key, added.text]]) {
    const entry = readLearned(text!);
    if (!entry) out.push(key!);
    if (!entry) continue;
    const own = namespaces.get(entry.namespace) ?? { bytes: 0, entries: [] };
    namespaces.set(entry.namespace, own);
    const size = key!.length + text!.length;
    own.entries.push({ key: key!, usedAt: entry.usedAt, bytes: size });
    own.bytes += size;
    count++;
    bytes += size;
  }
  // The new one stays, whatever its time says; the longest unused are last.
  const last = (key: string) => (key === added.key ? 1 : 0);
  for (const { entries } of namespaces.values())
    entries.sort((a, b) => last(b.key) - last(a.key) || b.usedAt.localeCompare(a.usedAt));
  while (count > mostLearned || bytes > mostLearnedBytes) {
    const largest = [...namespaces.values()].reduce((most, own) => (own.bytes > most.bytes ? own : most));
    const gone = largest.entries.pop();
    if (!gone) break;
    out.push(gone.key);
    largest.bytes -= gone.bytes;
    count--;
    bytes -= gone.bytes;
  }
  return out;
}
