/**
 * Checks of what strangers print: kinds, sizes, what may be missing. Pure.
 *
 * A check answers what is wrong and where, in words for a person; undefined when nothing is. Fields that nobody asks for are
 * let be: a newer program may say more.
 */
import { record, text as seen } from './json.ts';

export type Check = (value: unknown, at: string) => string | undefined;

/** Longer than any sentence of our programs, and than the class path of any trigger. */
const mostCharacters = 4000;

/** A text of bounded length. */
export const text: Check = (value, at) => {
  if (typeof value !== 'string') return `${at} is ${seen(value)} and no text`;
  return value.length > mostCharacters ? `${at} has ${value.length} characters` : undefined;
};

/** A name or revision: what stands in a sentence, a log line or a database as one word. */
export const word: Check = (value, at) =>
  text(value, at) ?? (/^[^\s\p{Cc}]{1,300}$/u.test(String(value)) ? undefined : `${at} is ${seen(value)} and no name`);

export const number: Check = (value, at) =>
  typeof value === 'number' && Number.isFinite(value) ? undefined : `${at} is ${seen(value)} and no number`;

export const yesOrNo: Check = (value, at) =>
  typeof value === 'boolean' ? undefined : `${at} is ${seen(value)}, not true or false`;

/** At most so many of a kind; `least` of them must be there. */
export function list(of: Check, most: number, least = 0): Check {
  return (value, at) => {
    if (!Array.isArray(value)) return `${at} is ${seen(value)} and no list`;
    if (value.length > most || value.length < least) return `${at} has ${value.length} entries`;
    return firstFault(value.map((entry, index) => () => of(entry, `${at}[${index}]`)));
  };
}

/** By names that are not known before, at most so many. */
export function byName(of: Check, most: number): Check {
  return (value, at) => {
    const fields = record(value);
    if (!fields) return `${at} is ${seen(value)} and no object`;
    const entries = Object.entries(fields);
    if (entries.length > most) return `${at} has ${entries.length} entries`;
    return firstFault(
      entries.map(
        ([name, entry]) =>
          () =>
            text(name, at) ?? of(entry, `${at}.${name.slice(0, 80)}`),
      ),
    );
  };
}

/** An object with these fields. */
export function fields(checks: Record<string, Check>): Check {
  return (value, at) => {
    const found = record(value);
    if (!found) return `${at} is ${seen(value)} and no object`;
    return firstFault(
      Object.entries(checks).map(
        ([name, check]) =>
          () =>
            check(found[name], at === '' ? name : `${at}.${name}`),
      ),
    );
  };
}

/** Missing is fine. */
export function maybe(check: Check): Check {
  return (value, at) => (value === undefined ? undefined : check(value, at));
}

/** Null is an answer. */
export function orNull(check: Check): Check {
  return (value, at) => (value === null ? undefined : check(value, at));
}

/** Any of these. */
export function either(...checks: Check[]): Check {
  return (value, at) => {
    const faults = checks.map((check) => check(value, at));
    return faults.includes(undefined) ? undefined : faults[0];
  };
}

function firstFault(checks: (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const fault = check();
    if (fault !== undefined) return fault;
  }
  return undefined;
}
