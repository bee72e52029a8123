/**
 * What was learned about images, kept in one ConfigMap of downdraft's own namespace, for each release by itself. Each image
 * of a release is a key of its own, so two writers never undo each other; what is too much goes with the same write.
 */
import { crowdedOut, keyOf, readLearned, written } from '../release/airflow/learned-images.ts';
import type { Learned, Owner } from '../release/model/image.ts';
import type { Client } from './client/client.ts';
import { conflict, notFound } from './client/errors.ts';
import { found } from './client/lists.ts';
import { byUs, core, mergePatch } from './client/paths.ts';

/** Name of the ConfigMap. */
export const learnedIn = 'downdraft-images';

const configMap = learnedIn;

interface Stored {
  data?: Record<string, string>;
}

/** What was learned for one release. An entry that can't be read counts as not learned. */
export async function learnedImages(client: Client, namespace: string, of: Owner): Promise<Learned[]> {
  const all = learnedFrom(await stored(client, namespace));
  return all.filter((one) => one.namespace === of.namespace && one.release === of.release);
}

/** The same of all releases, from a ConfigMap that was read already. */
export function learnedFrom({ data = {} }: Stored): Learned[] {
  return Object.values(data).flatMap((text) => readLearned(text) ?? []);
}

async function stored(client: Client, namespace: string): Promise<Stored> {
  return (await found<Stored>(client, core(namespace, 'configmaps', configMap))) ?? {};
}

/** Adds or replaces one image of a release; what is over the bounds goes (crowdedOut). Throws ApiError. */
export async function learnImage(client: Client, namespace: string, learned: Learned): Promise<void> {
  const key = keyOf(learned, learned.knowledge.image);
  const text = written(learned);
  if (text === undefined) throw new Error(`what ${learned.knowledge.image} said is too long to be kept`);
  const path = core(namespace, 'configmaps');
  const add = async () => {
    const { data = {} } = await stored(client, namespace);
    const out = crowdedOut(data, { key, text }).map((one) => [one, null]);
    const body = { data: { ...Object.fromEntries(out), [key]: text } };
    await client.request('PATCH', core(namespace, 'configmaps', configMap), {
      body,
      contentType: mergePatch,
      query: byUs,
    });
  };
  try {
    await add();
  } catch (error) {
    if (!notFound(error)) throw error;
    const metadata = { name: configMap, namespace, labels: { 'app.kubernetes.io/managed-by': 'downdraft' } };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [key]: text } };
    try {
      await client.request('POST', path, { body, query: byUs });
    } catch (created) {
      if (!conflict(created)) throw created;
      await add();
    }
  }
}

/** Takes one image of a release out; none there is fine. Throws ApiError. */
export async function forgetImage(client: Client, namespace: string, of: Owner, image: string): Promise<void> {
  const path = core(namespace, 'configmaps', configMap);
  const data = { [keyOf(of, image)]: null };
  try {
    await client.request('PATCH', path, { body: { data }, contentType: mergePatch, query: byUs });
  } catch (error) {
    if (!notFound(error)) throw error;
  }
}
