/**
 * Airflow's connection to its metadata database, as a container of the release is told it.
 *
 * Order as in Airflow's `_get_env_var_option`: the variable itself, then its `_CMD`, then its `_SECRET`; first under
 * [database] (2.3 and later), then under the deprecated [core].
 */
import type { ContainerSpec } from '../release/model/kubernetes.ts';
import {
  environmentOf,
  type Lookup,
  type References,
  referencesTo,
  substituted,
  type Variable,
} from './environment.ts';

type Read = (name: string) => Variable;

/** SQLAlchemy's URL, which holds the password: never to be logged. */
export interface Connection {
  url: string;
  /** AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA. */
  schema?: string;
}

const urlNames = ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', 'AIRFLOW__CORE__SQL_ALCHEMY_CONN'];
const schemaNames = ['AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA', 'AIRFLOW__CORE__SQL_ALCHEMY_SCHEMA'];
const podOnly: Record<string, string> = {
  _CMD: 'what its command prints is only known inside the pod',
  _SECRET: 'what the secrets backend holds is only known inside the pod',
};

/** The connection that Airflow in this container uses, or one sentence why it can't be told from outside. */
export function connectionOf(container: ContainerSpec, lookup: Lookup): Connection | { unreadable: string } {
  const read = environmentOf(container, lookup);
  const url = firstSet(urlNames, (name) => setting(read, name));
  if (!url) return { unreadable: `${urlNames[0]} is not set; what airflow.cfg holds is only known inside the pod` };
  if ('unknown' in url) return { unreadable: url.unknown };
  if (url.value === '') return { unreadable: `${urlNames[0]} is empty` };
  const schema = firstSet(schemaNames, (name) => plain(read, name));
  if (schema && 'unknown' in schema) return { unreadable: schema.unknown };
  return schema?.value.trim() ? { url: url.value, schema: schema.value } : { url: url.value };
}

/** The Secrets and ConfigMaps that `connectionOf` can need of this container's namespace, and no others. */
export function referencesOf(container: ContainerSpec): References {
  const forms = urlNames.flatMap((name) => [name, ...Object.keys(podOnly).map((suffix) => name + suffix)]);
  return referencesTo(container, [...forms, ...schemaNames]);
}

function firstSet(names: string[], read: Read): Variable {
  for (const name of names) {
    const found = read(name);
    if (found) return found;
  }
  return undefined;
}

function setting(read: Read, name: string): Variable {
  const found = plain(read, name);
  if (found) return found;
  const suffix = Object.keys(podOnly).find((ending) => read(name + ending));
  return suffix ? { unknown: `${name}${suffix} is set: ${podOnly[suffix]}` } : undefined;
}

/** Airflow expands `$NAME` and `${NAME}` in what it reads, until nothing changes (`expand_env_var`). */
function plain(read: Read, name: string): Variable {
  let found = read(name);
  for (let round = 0; found && 'value' in found; round++) {
    if (round > 10) return { unknown: `${name} refers to itself` };
    const before: string = found.value;
    found = substituted(before, /\$(?:\{([^}]{0,253})\}|(\w+))/g, ([, braced, bare]) => read(braced ?? bare ?? ''));
    if ('value' in found && found.value === before) return found;
  }
  return found;
}
