/** The database of a stored workload: its connection as its own pod would resolve it, then one look. */
import type { Client } from '../cluster/client/client.ts';
import { ApiError, withoutItsText } from '../cluster/client/errors.ts';
import { getConfigMap, getSecret } from '../cluster/reads.ts';
import { connectionOf, referencesOf } from '../database/connection.ts';
import { type CopyToDrop, dropCopy } from '../database/dropcopy.ts';
import { readDatabase } from '../database/read.ts';
import { readSessions } from '../database/sessions.ts';
import { type ConnectionSettings, parseDatabaseUrl } from '../database/url.ts';
import { CopyKept } from '../release/downgrade/retention.ts';
import type { DatabaseState, Session } from '../release/model/database.ts';
import type { WorkloadObject } from '../release/model/kubernetes.ts';

/** Where the schema is; never throws for what the world does, unreadable is an answer. */
export async function databaseOf(
  client: Client,
  workload: WorkloadObject,
  container: string,
  timeoutMs: number,
): Promise<DatabaseState> {
  const found = await settingsOf(client, workload, container);
  if ('unreadable' in found) return { state: 'unreadable', why: found.unreadable };
  return readTogether(found, timeoutMs);
}

/** Readings under way, by connection. The key holds the password: it lives as long as the reading, and is never shown. */
const underWay = new Map<string, Promise<DatabaseState>>();

/**
 * A deploy asks about six workloads of one database at the same moment: they share one connection. No reading is joined
 * that has ended, so none is older than the request that asks by more than its own few milliseconds.
 */
export function readTogether(settings: ConnectionSettings, timeoutMs: number): Promise<DatabaseState> {
  const key = JSON.stringify([settings, settings.password(), timeoutMs]);
  const joined = underWay.get(key);
  if (joined) return joined;
  const reading = readDatabase(settings, { timeoutMs }).finally(() => underWay.delete(key));
  underWay.set(key, reading);
  return reading;
}

/** Sessions of others on that database. Throws when it can't be asked. */
export async function sessionsOf(
  client: Client,
  workload: WorkloadObject,
  container: string,
  timeoutMs: number,
): Promise<Session[]> {
  const found = await settingsOf(client, workload, container);
  if ('unreadable' in found) throw new Error(found.unreadable);
  return readSessions(found, { timeoutMs });
}

/** Drops the copy of an earlier run. Throws CopyKept where it stays, with why; any other error is a fault of ours. */
export async function dropCopyOf(
  client: Client,
  workload: WorkloadObject,
  container: string,
  copy: CopyToDrop,
  timeoutMs: number,
): Promise<void> {
  const found = await settingsOf(client, workload, container);
  const outcome = 'unreadable' in found ? { kept: found.unreadable } : await dropCopy(found, { ...copy, timeoutMs });
  if ('kept' in outcome) throw new CopyKept(outcome.kept);
}

async function settingsOf(
  client: Client,
  workload: WorkloadObject,
  container: string,
): Promise<ConnectionSettings | { unreadable: string }> {
  const namespace = workload.metadata.namespace ?? 'default';
  const spec = workload.spec.template.spec.containers.find((c) => c.name === container);
  if (!spec) return { unreadable: `${workload.metadata.name} has no container ${container}` };
  const references = referencesOf(spec);
  const [secrets, configMaps] = await Promise.all([
    contents('Secret', references.secrets, (name) => getSecret(client, namespace, name)),
    contents('ConfigMap', references.configMaps, (name) => getConfigMap(client, namespace, name)),
  ]);
  if ('unreadable' in secrets) return secrets;
  if ('unreadable' in configMaps) return configMaps;
  const connection = connectionOf(spec, {
    secret: (name) => secrets.get(name),
    configMap: (name) => configMaps.get(name),
  });
  if ('unreadable' in connection) return connection;
  const settings = parseDatabaseUrl(connection.url, namespace);
  if ('unreadable' in settings) return settings;
  return connection.schema ? { ...settings, schema: connection.schema } : settings;
}

type Contents = Map<string, Record<string, string> | undefined>;

/** Rights for these may be given by namespace, so one that may not be read is a state of the world and no fault. */
async function contents(
  kind: string,
  names: string[],
  read: (name: string) => Promise<Record<string, string> | undefined>,
): Promise<Contents | { unreadable: string }> {
  const found: Contents = new Map();
  for (const name of names)
    try {
      found.set(name, await read(name));
    } catch (error) {
      return { unreadable: unreadObject(`${kind} ${name}`, error) };
    }
  return found;
}

function unreadObject(object: string, error: unknown): string {
  if (error instanceof ApiError && error.status === 403)
    return `downdraft may not read ${object}, which the connection comes from; its service account needs the right to get it there`;
  return `${object}, which the connection comes from, could not be read: ${withoutItsText(error).message}`;
}
