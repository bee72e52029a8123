/**
 * What DowngradePolicies say of a downgrade beside their mode: when a person is asked, what may serve as a backup, what
 * happens on failure, where the runner runs.
 *
 * Of several policies the stricter counts, field by field; a policy that leaves a field out has no say in it. A policy that
 * can't be read still counts with what can be read of it, but always asks.
 */
import { absent, record, text } from '../model/json.ts';
import { type BackupWay, defaultRules, type Rules, type SaidRules } from '../model/policy.ts';
import { mergePlaces, readPlaces } from './places.ts';

/** Each from strict to loose, but for the runners, of which none is the stricter. */
const approvals = ['Always', 'WhenLossy', 'Never'] as const;

const failures = ['Ask', 'Return'] as const;
const runners = ['Copy', 'OldPod'] as const;
const allWays: readonly BackupWay[] = ['ServerCopy', 'Dump', 'VolumeSnapshot', 'CNPGBackup', 'Reference', 'Waiver'];

/** As manifests/crds has it. */
const longestHours = 87_600;

/** A field, whether a value is one of it, and what is expected there. */
type Field = readonly [name: string, is: (value: unknown) => boolean, expected: string];

const fields: readonly Field[] = [
  ['approval', isOf(approvals), oneOf(approvals)],
  ['onFailure', isOf(failures), oneOf(failures)],
  ['runner', isOf(runners), oneOf(runners)],
];

const backupFields: readonly Field[] = [
  ['ways', isWays, `a list of ${allWays.join(', ')}, each once`],
  ['keepHours', isHours, `a whole number from 0 to ${longestHours}`],
  ['required', (value) => typeof value === 'boolean', 'true or false'],
];

/** What a policy's spec says, and the first thing in it that can't be read, which is then left out. Never throws. */
export function readRules(spec: Record<string, unknown>): { said: SaidRules; fault: string | undefined } {
  const own = take(fields, spec, 'spec');
  if (absent(spec.backup)) return own;
  const inside = record(spec.backup);
  const odd = inside ? undefined : `spec.backup is ${text(spec.backup)}, not an object`;
  const backup = take(backupFields, inside ?? {}, 'spec.backup');
  const places = readPlaces(inside ?? {});
  const fault = own.fault ?? odd ?? backup.fault ?? places.fault;
  return { said: { ...own.said, backup: { ...backup.said, ...places.said } }, fault };
}

function take(of: readonly Field[], from: Record<string, unknown>, place: string) {
  const said: Record<string, unknown> = {};
  let fault: string | undefined;
  for (const [name, is, expected] of of) {
    const value = from[name];
    if (absent(value)) continue;
    if (is(value)) said[name] = value;
    else fault ??= `${place}.${name} is ${text(value)}, not ${expected}`;
  }
  return { said, fault };
}

/** The same, as strict as can be where not everything is known: asks before and after, and wants a backup. */
export function neverLoose(said: SaidRules): SaidRules {
  return { ...said, approval: 'Always', onFailure: 'Ask', backup: { ...said.backup, required: true } };
}

/** What counts of all that is said; in the order of the policies' names, which matters for the order of ways alone. */
export function mergeRules(said: readonly SaidRules[]): Rules {
  const listed = of(said, ({ backup }) => backup?.ways);
  const hours = of(said, ({ backup }) => backup?.keepHours);
  const required = of(said, ({ backup }) => backup?.required);
  const approval = of(said, (rules) => rules.approval);
  const onFailure = of(said, (rules) => rules.onFailure);
  const [runner, ...others] = new Set(of(said, (rules) => rules.runner));
  const { backup } = defaultRules;
  return {
    approval: approvals.find((one) => approval.includes(one)) ?? defaultRules.approval,
    backup: {
      ways: listed[0]?.filter((way) => listed.every((list) => list.includes(way))) ?? backup.ways,
      keepHours: hours.length > 0 ? Math.max(...hours) : backup.keepHours,
      required: required.length > 0 ? required.includes(true) : backup.required,
      ...mergePlaces(of(said, (rules) => rules.backup)),
    },
    onFailure: failures.find((one) => onFailure.includes(one)) ?? defaultRules.onFailure,
    ...(runner !== undefined && others.length === 0 ? { runner } : {}),
  };
}

/** What those say who say something of it. */
function of<T>(said: readonly SaidRules[], field: (rules: SaidRules) => T | undefined): T[] {
  return said.map(field).filter((value) => value !== undefined);
}

function isOf(values: readonly unknown[]): (value: unknown) => boolean {
  return (value) => values.includes(value);
}

function oneOf(values: readonly string[]): string {
  return `one of ${[...values].sort().join(', ')}`;
}

function isWays(value: unknown): boolean {
  return Array.isArray(value) && value.every(isOf(allWays)) && new Set(value).size === value.length;
}

function isHours(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= longestHours;
}
