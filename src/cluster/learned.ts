/**
 * What was learned about images, kept in one ConfigMap of downdraft's own namespace. Each image is a key of its own, so
 * two writers never undo each other. A ConfigMap holds 1 MiB, some 2,000 images; nothing is thrown out yet, and beyond
 * that learnImage throws what the API server says.
 */
import { createHash } from 'node:crypto';
import type { ImageKnowledge } from '../release/release.ts';
import type { Client } from './client.ts';
import { conflict, notFound } from './errors.ts';
import { byUs, core, mergePatch } from './paths.ts';

/** Name of the ConfigMap. */
export const learnedIn = 'downdraft-images';
const configMap = learnedIn;

/** By image reference. An entry that can't be read counts as not learned: the image is asked again and the entry replaced. */
export async function learnedImages(client: Client, namespace: string): Promise<Record<string, ImageKnowledge>> {
  return learnedFrom({ data: await dataOf(client, namespace) });
}

/** The same from a ConfigMap that was read already. */
export function learnedFrom(configMap: { data?: Record<string, string> } | object): Record<string, ImageKnowledge> {
  const learned: Record<string, ImageKnowledge> = Object.create(null);
  for (const text of Object.values((configMap as { data?: Record<string, string> }).data ?? {})) {
    const knowledge = read(text);
    if (knowledge) learned[knowledge.image] = knowledge;
  }
  return learned;
}

async function dataOf(client: Client, namespace: string): Promise<Record<string, string>> {
  try {
    const path = core(namespace, 'configmaps', configMap);
    return (await client.request<{ data?: Record<string, string> }>('GET', path)).data ?? {};
  } catch (error) {
    if (notFound(error)) return {};
    throw error;
  }
}

function read(text: string): ImageKnowledge | undefined {
  try {
    const knowledge = JSON.parse(text) as Partial<ImageKnowledge> | null;
    const whole =
      typeof knowledge?.image === 'string' &&
      typeof knowledge.version === 'string' &&
      typeof knowledge.source === 'string';
    return whole ? (knowledge as ImageKnowledge) : undefined;
  } catch {
    return undefined;
  }
}

/** Adds or replaces one image. Throws ApiError. */
export async function learnImage(client: Client, namespace: string, knowledge: ImageKnowledge): Promise<void> {
  const data = { [keyOf(knowledge.image)]: JSON.stringify(knowledge) };
  const path = core(namespace, 'configmaps');
  const add = async () =>
    await client.request('PATCH', core(namespace, 'configmaps', configMap), {
      body: { data },
      contentType: mergePatch,
      query: byUs,
    });
  try {
    await add();
  } catch (error) {
    if (!notFound(error)) throw error;
    const metadata = { name: configMap, namespace, labels: { 'app.kubernetes.io/managed-by': 'downdraft' } };
    try {
      await client.request('POST', path, {
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata, data },
        query: byUs,
      });
    } catch (created) {
      if (!conflict(created)) throw created;
      await add();
    }
  }
}

/** Takes one image out; none there is fine. Throws ApiError. */
export async function forgetImage(client: Client, namespace: string, image: string): Promise<void> {
  const path = core(namespace, 'configmaps', configMap);
  const data = { [keyOf(image)]: null };
  try {
    await client.request('PATCH', path, { body: { data }, contentType: mergePatch, query: byUs });
  } catch (error) {
    if (!notFound(error)) throw error;
  }
}

/** A ConfigMap's key takes no slash or colon. */
function keyOf(image: string): string {
  return createHash('sha256').update(image).digest('hex').slice(0, 40);
}
