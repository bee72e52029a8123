/** The two APIs by which others make a backup: a VolumeSnapshot, a Backup of CloudNativePG. */
import { BackupRefused, snapshotApis } from '../release/downgrade/snapshots.ts';
import type { SnapshotWay } from '../release/model/policy.ts';
import type { BackupObject } from '../release/model/release.ts';
import type { Client } from './client/client.ts';
import { ApiError, conflict } from './client/errors.ts';
import { found } from './client/lists.ts';
import { byUs, groupPath, isObjectName, pathIn } from './client/paths.ts';
import { keptAnswers } from './kept-answers.ts';
import { mayI } from './rights.ts';

interface Source {
  name: string;
  namespace: string;
}

/**
 * Tells what stands in the way of a backup: the API is not there, a right is missing, there is nothing of that name. What
 * we may not look at is not known, and stands in no way. Throws ApiError when the API server can't tell.
 */
export function obstaclesOf(client: Client): (way: SnapshotWay, source: Source) => Promise<string[]> {
  // A plan is judged at every look.
  const kept = keptAnswers<string[]>();
  return (way, source) => kept(`${way} ${source.namespace}/${source.name}`, async () => await ask(client, way, source));
}

async function ask(client: Client, way: SnapshotWay, { name, namespace }: Source): Promise<string[]> {
  const { group, kind, plural, source } = snapshotApis[way];
  const offered = await found<{ resources?: { name: string }[] }>(client, groupPath(group, 'v1'));
  if (!offered?.resources?.some((resource) => resource.name === plural))
    return [`the cluster has no ${kind} API (${group}/v1)`];
  const rights = ['get', 'create'].map((verb) => ({ verb, group, resource: plural, namespace }));
  const missing = await mayI(client, rights);
  const what = `${plural}.${group} in namespace ${namespace}`;
  if (missing.length > 0)
    return [`downdraft may not ${missing.map(({ verb }) => verb).join(' and ')} ${what}; apply manifests/rbac.yaml`];
  if (!isObjectName(name)) return [`${JSON.stringify(name)} is no name that a ${source.plural.slice(0, -1)} can have`];
  const path = pathIn(source.group, 'v1', { namespace, resource: source.plural, name });
  try {
    const there = await found(client, path);
    return there ? [] : [`there is no ${source.plural.slice(0, -1)} ${name} in namespace ${namespace}`];
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return [];
    throw error;
  }
}

/** The stored object; undefined when there is none. */
export async function getBackup(
  client: Client,
  way: SnapshotWay,
  namespace: string,
  name: string,
): Promise<BackupObject | undefined> {
  return await found<BackupObject>(client, pathOf(way, namespace, name));
}

/** Asks for it; there already is fine. Throws BackupRefused for what would be refused again, else ApiError. */
export async function createBackup(client: Client, object: BackupObject): Promise<void> {
  const way = object.kind === 'VolumeSnapshot' ? 'VolumeSnapshot' : 'CNPGBackup';
  try {
    await client.request('POST', pathOf(way, object.metadata.namespace), { body: object, query: byUs });
  } catch (error) {
    if (conflict(error)) return;
    if (!(error instanceof ApiError) || !isFinal(error)) throw error;
    throw new BackupRefused(`the API server refused it: ${error.message}`);
  }
}

/** Of the client's answers only "too many" and "took too long" may be others in a moment. */
function isFinal({ status }: ApiError): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function pathOf(way: SnapshotWay, namespace: string, ...named: [name?: string]): string {
  const { group, plural: resource } = snapshotApis[way];
  return pathIn(group, 'v1', { namespace, resource, ...(named.length > 0 ? { name: named[0] } : {}) });
}
