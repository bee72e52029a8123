/** What is deleted is read first and deleted by its uid: a name alone is never enough. Gone already is fine. */
import type { Client } from './client/client.ts';
import { conflict, notFound } from './client/errors.ts';
import { found } from './client/lists.ts';
import { configurations } from './client/paths.ts';
import { gateAnnotations, gateConfigurationName } from './drain-webhook.ts';

/** Deletes the object of that uid; gone, or another of that name by now, is fine. */
export async function remove(
  client: Client,
  path: string,
  uid: string,
  options: { propagationPolicy?: 'Background' } = {},
): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid }, ...options };
  try {
    await client.request('DELETE', path, { body });
  } catch (error) {
    if (!notFound(error) && !conflict(error)) throw error;
  }
}

interface Marked {
  metadata?: { uid?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
}

/** The uid of a release's gate. Undefined when there is none, or another's configuration has its name. */
export async function gateOf(client: Client, namespace: string, release: string): Promise<string | undefined> {
  const gate = await found<Marked>(client, gatePath(namespace, release));
  const { uid, labels, annotations } = gate?.metadata ?? {};
  const ours =
    labels?.['app.kubernetes.io/managed-by'] === 'downdraft' &&
    annotations?.[gateAnnotations.namespace] === namespace &&
    annotations[gateAnnotations.release] === release;
  return ours ? uid : undefined;
}

function gatePath(namespace: string, release: string): string {
  return configurations('MutatingWebhookConfiguration', gateConfigurationName(namespace, release));
}

/** Takes a release's gate away; a configuration that does not say that it is that gate stays. */
export async function removeGate(client: Client, namespace: string, release: string): Promise<void> {
  const uid = await gateOf(client, namespace, release);
  if (uid !== undefined) await remove(client, gatePath(namespace, release), uid);
}
