/** What the API server has stored: whole lists, in pages, and single objects. */
import type { Client } from './client.ts';
import { expired, notFound } from './errors.ts';

export interface ListOptions {
  labelSelector?: string;
  fieldSelector?: string;
  accept?: string;
  signal?: AbortSignal;
}

interface Page<T> {
  apiVersion?: string;
  kind?: string;
  metadata: { resourceVersion?: string; continue?: string };
  items: T[] | null;
}

const pageSize = 500;

/** Asks for `as=PartialObjectMetadataList`: metadata only, a tenth of the bytes. */
export const metadataOnly = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/**
 * All objects at `path`, as of one resource version. Items carry the apiVersion and kind that lists of built-in kinds
 * leave out. Throws ApiError; a list that took too long (410 between pages) is begun anew once.
 */
export async function list<T>(
  client: Client,
  path: string,
  options: ListOptions = {},
): Promise<{ items: T[]; resourceVersion: string }> {
  try {
    return await pages(client, path, options);
  } catch (error) {
    if (!expired(error)) throw error;
    return await pages(client, path, options);
  }
}

async function pages<T>(client: Client, path: string, { accept, signal, ...selectors }: ListOptions) {
  const items: T[] = [];
  let next: string | undefined;
  for (;;) {
    const query = { ...selectors, limit: pageSize, continue: next };
    const page: Page<T> = await client.request<Page<T>>('GET', path, { query, accept, signal, timeoutMs: 30_000 });
    const type = { apiVersion: page.apiVersion, kind: page.kind?.replace(/List$/, '') };
    for (const item of page.items ?? []) items.push({ ...type, ...item });
    next = page.metadata.continue;
    if (!next) return { items, resourceVersion: page.metadata.resourceVersion ?? '' };
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
