/** Versions of Airflow in the order of PEP 440: 3.2.0rc1 comes before 3.2.0, 2.11.0.post1 after 2.11.0. */
import { lt, valid } from '@renovatebot/pep440';

/** True when `version` comes before `other`; false when either is no version. */
export function isBelow(version: string, other: string): boolean {
  return Boolean(valid(version) && valid(other) && lt(version, other));
}
