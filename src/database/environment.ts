/**
 * A container's environment, as its pod would see it, without asking the pod.
 *
 * Follows kubelet's makeEnvironmentVariables: envFrom first, later sources win; then env in order, later entries win;
 * `$(NAME)` reads what stands before it; a missing optional key leaves what was there.
 * A Secret that is missing or was not read makes only those variables unknown that come from it.
 */
import type { ContainerSpec, EnvironmentSource, EnvironmentVariable } from '../release/model/kubernetes.ts';

/** Contents of the namespace's Secrets (decoded) and ConfigMaps; undefined when there is none or it can't be read. */
export interface Lookup {
  secret(name: string): Record<string, string> | undefined;
  configMap(name: string): Record<string, string> | undefined;
}

/** undefined: not set. `unknown`: set, but to what only the pod knows; the sentence says why. */
export type Variable = { value: string } | { unknown: string } | undefined;

/** Names of the objects that a variable may be read from. */
export interface References {
  secrets: string[];
  configMaps: string[];
}

/** Longest value taken: a few nested references could otherwise fill the memory of everybody's webhook. */
const mostCharacters = 65_536;

/** What is set, and the sources that may have set more, by the prefix of what they set. */
interface Known {
  set: Map<string, Variable>;
  missing: { prefix: string; unknown: string }[];
}

/** The container's environment: a function from a name to what it is set to. */
export function environmentOf(container: ContainerSpec, lookup: Lookup): (name: string) => Variable {
  const known: Known = { set: new Map(), missing: [] };
  const { set, missing } = known;
  const read = (name: string): Variable => set.get(name) ?? missing.findLast(({ prefix }) => name.startsWith(prefix));
  for (const source of container.envFrom ?? []) layOver(known, source.prefix ?? '', contentOf(source, lookup));
  for (const entry of container.env ?? []) {
    const found = entry.value ? expanded(entry.value, read) : referred(lookup, entry);
    if (found) set.set(entry.name, found);
  }
  return read;
}

/** A source's variables over those before it; one that is missing leaves none of its prefix known. */
function layOver({ set, missing }: Known, prefix: string, content: Content): void {
  if (!content) return;
  if ('values' in content) {
    for (const [key, value] of Object.entries(content.values)) set.set(prefix + key, { value });
    return;
  }
  for (const name of set.keys()) if (name.startsWith(prefix)) set.delete(name);
  missing.push({ prefix, unknown: content.unknown });
}

/**
 * `text` with every match of `reference` put in as `replacement` says; undefined leaves the match as it stands.
 * Unknown as soon as one part of it is.
 */
export function substituted(
  text: string,
  reference: RegExp,
  replacement: (match: RegExpExecArray) => Variable,
): NonNullable<Variable> {
  // A megabyte of `$(` would keep everybody's webhook busy for a second.
  if (text.length > mostCharacters) return { unknown: `a variable is longer than ${mostCharacters} characters` };
  let value = '';
  let end = 0;
  for (const match of text.matchAll(reference)) {
    const found = replacement(match);
    if (found && 'unknown' in found) return found;
    value += text.slice(end, match.index) + (found ? found.value : match[0]);
    end = match.index + match[0].length;
    if (value.length > mostCharacters) return { unknown: 'the variables refer to each other without end' };
  }
  return { value: value + text.slice(end) };
}

/** Which Secrets and ConfigMaps these variables may come from, with those that their values mention. */
export function referencesTo(container: ContainerSpec, names: string[]): References {
  const byName = Map.groupBy(container.env ?? [], ({ name }) => name);
  const wanted = new Set(names);
  for (const name of wanted)
    for (const { value } of byName.get(name) ?? [])
      for (const mentioned of mentionedIn(value ?? '')) wanted.add(mentioned);
  const entries = [...wanted].flatMap((name) => byName.get(name) ?? []).filter(({ value }) => !value);
  const sources = (container.envFrom ?? []).filter((source) =>
    [...wanted].some((name) => name.startsWith(source.prefix ?? '')),
  );
  const secrets = [...entries.map((e) => e.valueFrom?.secretKeyRef?.name), ...sources.map((s) => s.secretRef?.name)];
  const maps = [...entries.map((e) => e.valueFrom?.configMapKeyRef?.name), ...sources.map((s) => s.configMapRef?.name)];
  return { secrets: named(secrets), configMaps: named(maps) };
}

/** Kubernetes' `$(NAME)`, Airflow's `${NAME}` and `$NAME`. */
function mentionedIn(value: string): string[] {
  return [...value.matchAll(/\$[({]?([\w.-]+)/g)].map((match) => match[1]!);
}

function named(names: (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))].sort() as string[];
}

/** Kubelet also knows a variable for each Service of the namespace; those we can't tell from the pod's spec. */
const ofService = /^[A-Z][A-Z0-9_]*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\w+)?)$/;

/** `$(NAME)` as the variable, `$$` as `$`; a name that nothing sets stays as written (kubelet's expansion.Expand). */
function expanded(text: string, read: (name: string) => Variable): Variable {
  // Names are short, and the bound keeps a text full of `$(` from taking quadratic time.
  return substituted(text, /\$\$|\$\(([^)]{0,253})\)/g, ([, name]) => {
    if (name === undefined) return { value: '$' };
    const isOfService = ofService.test(name) && {
      unknown: `${name} is set from a Service and only known inside the pod`,
    };
    return read(name) ?? (isOfService || undefined);
  });
}

function referred(lookup: Lookup, { name, valueFrom }: EnvironmentVariable): Variable {
  if (!valueFrom) return { value: '' };
  const { secretKeyRef, configMapKeyRef } = valueFrom;
  const reference = secretKeyRef ?? configMapKeyRef;
  if (!reference)
    return { unknown: `${name} comes from ${Object.keys(valueFrom)[0]} and is only known inside the pod` };
  const kind = secretKeyRef ? 'Secret' : 'ConfigMap';
  const object = reference.name ?? '';
  const content = secretKeyRef ? lookup.secret(object) : lookup.configMap(object);
  const value = content && Object.hasOwn(content, reference.key) ? content[reference.key] : undefined;
  if (value !== undefined) return { value };
  if (reference.optional) return undefined;
  if (content) return { unknown: `${kind} ${object} has no key ${reference.key}, from which ${name} comes` };
  return { unknown: `${kind} ${object}, from which ${name} comes, is missing or can't be read` };
}

type Content = { values: Record<string, string> } | { unknown: string } | undefined;

function contentOf(source: EnvironmentSource, lookup: Lookup): Content {
  const { prefix, secretRef, configMapRef } = source;
  const reference = secretRef ?? configMapRef;
  if (!reference) return undefined;
  const object = reference.name ?? '';
  const values = secretRef ? lookup.secret(object) : lookup.configMap(object);
  if (values) return { values };
  const kind = secretRef ? 'Secret' : 'ConfigMap';
  const what = prefix ? `variables ${prefix}…` : 'variables';
  return reference.optional
    ? undefined
    : { unknown: `${kind} ${object}, which sets ${what}, is missing or can't be read` };
}
