/** Versions as PEP 440 has them: which comes first, and which are one release. */
import { compare, explain, lt, valid } from '@renovatebot/pep440';

/** Each review compares the same few versions, and to read one costs more than all else that is done with it. */
const known = new Map<string, boolean>();

const mostKnown = 500;

/** 3.1.8+company and 3.1.8 are one release with one schema. What is no version is the same as itself alone. */
export function sameRelease(one: string, other: string): boolean {
  // Most are written alike, and to take a version apart is dear.
  if (one === other) return true;
  const [a, b] = [one, other].map((version) => explain(version)?.public);
  return a !== undefined && b !== undefined && compare(a, b) === 0;
}

/** True when `version` comes before `other`; false when either is no version. */
export function isBelow(version: string, other: string): boolean {
  const pair = `${version} ${other}`;
  const told = known.get(pair);
  if (told !== undefined) return told;
  const below = Boolean(valid(version) && valid(other) && lt(version, other));
  if (known.size >= mostKnown) known.clear();
  if (pair.length <= 100) known.set(pair, below);
  return below;
}
