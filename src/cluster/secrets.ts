/** One Secret of downdraft's own, read and replaced as a whole. */
import type { Client } from './client/client.ts';
import { conflict } from './client/errors.ts';
import { found } from './client/lists.ts';
import { byUs, core } from './client/paths.ts';

export interface StoredSecret {
  data: Record<string, string>;
  resourceVersion: string;
}

/** The Secret's entries, decoded; undefined when there is none. */
export async function readStoredSecret(
  client: Client,
  namespace: string,
  name: string,
): Promise<StoredSecret | undefined> {
  const path = core(namespace, 'secrets', name);
  const secret = await found<{ metadata: { resourceVersion: string }; data?: Record<string, string> }>(client, path);
  if (!secret) return undefined;
  return { data: decodedData(secret.data), resourceVersion: secret.metadata.resourceVersion };
}

/** The entries of a Secret as text. */
export function decodedData(data: Record<string, string> = {}): Record<string, string> {
  const text = (value: string) => Buffer.from(value, 'base64').toString('utf8');
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, text(value)]));
}

/** Creates the Secret (no resourceVersion) or replaces the one that was read; 'conflict' when someone was faster. */
export async function writeStoredSecret(
  client: Client,
  namespace: string,
  name: string,
  data: Record<string, string>,
  resourceVersion: string | undefined,
): Promise<'written' | 'conflict'> {
  const labels = { 'app.kubernetes.io/managed-by': 'downdraft' };
  const metadata = { name, namespace, labels, ...(resourceVersion ? { resourceVersion } : {}) };
  const body = { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata, stringData: data };
  const path = resourceVersion ? core(namespace, 'secrets', name) : core(namespace, 'secrets');
  try {
    await client.request(resourceVersion ? 'PUT' : 'POST', path, { body, query: byUs });
    return 'written';
  } catch (error) {
    if (conflict(error)) return 'conflict';
    throw error;
  }
}
