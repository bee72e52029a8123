/**
 * Where the ways of a backup that need a place put it, as a DowngradePolicy says it: a volume for dumps, the claim whose
 * volume is snapshotted, the CloudNativePG cluster that is backed up.
 */
import { absent, record, same, text } from '../model/json.ts';
import type { Places } from '../model/policy.ts';

const methods = ['barmanObjectStore', 'volumeSnapshot', 'plugin'];
const longestMinutes = 1440;

/** Whether a value may stand there, and what is expected. */
type Rule = readonly [is: (value: unknown) => boolean, expected: string];

/** As manifests/crds has it: names of Kubernetes objects, a path that leads nowhere else. */
const name: Rule = [
  (v) => typeof v === 'string' && v.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(v),
  "an object's name",
];

const folder: Rule = [
  (v) => typeof v === 'string' && v.length <= 512 && /^[^/]/.test(v) && !v.split('/').includes('..'),
  'a relative path without ".."',
];

const minutes: Rule = [
  (v) => Number.isInteger(v) && (v as number) >= 1 && (v as number) <= longestMinutes,
  `a whole number from 1 to ${longestMinutes}`,
];

const method: Rule = [(v) => methods.includes(v as string), `one of ${methods.join(', ')}`];

/** Of each place its fields; the first is required. */
export const placeFields: Record<keyof Places, Record<string, Rule>> = {
  dump: { claim: name, subPath: folder },
  volumeSnapshot: { claim: name, namespace: name, className: name, waitMinutes: minutes },
  cnpg: { cluster: name, namespace: name, method, plugin: name, waitMinutes: minutes },
};

/** The places in a policy's spec.backup, and the first thing in them that can't be read: its place is left out. */
export function readPlaces(backup: Record<string, unknown>): { said: Places; fault: string | undefined } {
  const said: Record<string, unknown> = {};
  let fault: string | undefined;
  for (const [key, rules] of Object.entries(placeFields)) {
    if (absent(backup[key])) continue;
    const place = record(backup[key]);
    const odd = place ? faultIn(place, rules) : `is ${text(backup[key])}, not an object`;
    if (odd) fault ??= `spec.backup.${key}${odd.startsWith('is ') ? ' ' : '.'}${odd}`;
    else said[key] = Object.fromEntries(Object.keys(rules).flatMap((f) => (absent(place![f]) ? [] : [[f, place![f]]])));
  }
  return { said, fault };
}

/** What a place elsewhere is of: its first field. */
const sources = { volumeSnapshot: 'claim', cnpg: 'cluster' } as const;

/** The same places; of those outside of this namespace only what the policies name `now`, as they have it. */
export function placesWithin<T extends Places>(own: string, kept: T, now: Places): T {
  const within = { ...kept } as Record<string, unknown>;
  for (const [key, source] of Object.entries(sources) as [keyof typeof sources, string][]) {
    const [place, named] = [kept[key], now[key]].map((at) => at && { namespace: own, ...at });
    if (!place || place.namespace === own) continue;
    const isNamed = named?.namespace === place.namespace && record(named)?.[source] === record(place)?.[source];
    if (isNamed) within[key] = now[key];
    else delete within[key];
  }
  return within as T;
}

function faultIn(place: Record<string, unknown>, rules: Record<string, Rule>): string | undefined {
  const [required] = Object.keys(rules);
  for (const [field, [is, expected]] of Object.entries(rules)) {
    const value = place[field];
    if (field !== required && absent(value)) continue;
    if (!is(value)) return `${field} is ${text(value)}, not ${expected}`;
  }
  return undefined;
}

/** What counts of all that is said: a place of which two policies say different things is none. */
export function mergePlaces(said: readonly Places[]): Places {
  const one = (key: keyof Places) => {
    const [first, ...others] = said.map((places) => places[key]).filter((place) => place !== undefined);
    return first && others.every((other) => same(other, first)) ? { [key]: first } : {};
  };
  return { ...one('dump'), ...one('volumeSnapshot'), ...one('cnpg') };
}
