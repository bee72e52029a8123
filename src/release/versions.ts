/** Versions of Airflow in the order of PEP 440: 3.2.0rc1 comes before 3.2.0, 2.11.0.post1 after 2.11.0. */
import { lt, valid } from '@renovatebot/pep440';

/** Each review compares the same few versions, and to read one costs more than all else that is done with it. */
const known = new Map<string, boolean>();
const mostKnown = 500;

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
