/** What the API server has stored: whole lists, in pages, and single objects. */
import type { Client } from './client.ts';
import { expired, notFound } from './errors.ts';
import { type ListHead, readItems } from './items.ts';

export interface ListOptions {
  labelSelector?: string;
  fieldSelector?: string;
  accept?: string;
  signal?: AbortSignal;
}

const pageSize = 500;

/** Asks for `as=PartialObjectMetadataList`: metadata only, a tenth of the bytes. */
export const metadataOnly = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/**
 * What `cut` leaves of all objects at `path`, as of one resource version; undefined leaves nothing. An object is cut before
 * the next one is looked at, so that a list takes no more memory than what is kept of it. Throws as `each`.
 */
export async function list<T, Kept>(
  client: Client,
  path: string,
  cut: (object: T) => Kept | undefined,
  options: ListOptions = {},
): Promise<Kept[]> {
  let kept: Kept[] = [];
  const begin = () => {
    kept = [];
  };
  const take = (object: T) => {
    const left = cut(object);
    if (left !== undefined) kept.push(left);
  };
  await each(client, path, take, options, begin);
  return kept;
}

/**
 * Tells all objects at `path`, one after the other, as of one resource version, which it answers with. Items carry the
 * apiVersion and kind that lists of built-in kinds leave out. Throws ApiError; a list that took too long (410 between pages)
 * is begun anew once, and tells again what it had told.
 */
export async function each<T>(
  client: Client,
  path: string,
  take: (object: T) => void,
  options: ListOptions = {},
  begin: () => void = () => {},
): Promise<string> {
  try {
    return await pages(client, path, take, options);
  } catch (error) {
    if (!expired(error)) throw error;
    begin();
    return await pages(client, path, take, options);
  }
}

async function pages<T>(
  client: Client,
  path: string,
  take: (object: T) => void,
  { accept, signal, ...selectors }: ListOptions,
): Promise<string> {
  const withType = (item: unknown, { apiVersion, kind }: ListHead) =>
    take({ apiVersion, kind: kind?.replace(/List$/, ''), ...(item as T) });
  let next: string | undefined;
  for (;;) {
    const query = { ...selectors, limit: pageSize, continue: next };
    const { metadata = {} } = await client.read(path, (body, ending) => readItems(body, withType, ending), {
      query,
      accept,
      signal,
      timeoutMs: 30_000,
    });
    next = metadata.continue;
    if (!next) return metadata.resourceVersion ?? '';
  }
}

/** The API server takes no object of more than 3 MiB. */
const longestObject = 4 * 1024 * 1024;

/** One object; undefined when there is none. Throws ApiError for any other answer, and for more than one object can be. */
export async function found<T>(client: Client, path: string): Promise<T | undefined> {
  try {
    return await client.request<T>('GET', path, { maxCharacters: longestObject });
  } catch (error) {
    if (notFound(error)) return undefined;
    throw error;
  }
}
