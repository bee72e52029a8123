/**
 * The records: Downgrades. What is written into one is bound to what was read of it, so that a write of a leader that was
 * replaced meanwhile, still on its way, can't undo what the new one wrote.
 */
import { type DowngradeObject, isTaken, NameTaken } from '../release/kubernetes/downgrade.ts';
import type { Client } from './client/client.ts';
import { conflict, notFound } from './client/errors.ts';
import { byUs, downgradesOf, mergePatch } from './client/paths.ts';

/** Which version of an object was read. */
interface Read {
  resourceVersion?: string;
}

/** Every function throws ApiError when the API server refuses, another Error when it does not answer in time. */
export function recordWrites(client: Client) {
  return {
    /** There already is fine, as long as it is the same request and not over. */
    createDowngrade: async (object: DowngradeObject): Promise<void> => {
      const { namespace, name } = object.metadata;
      try {
        await client.request('POST', downgradesOf(namespace), { body: object, query: byUs });
      } catch (error) {
        if (!conflict(error)) throw error;
        const there = await client.request<DowngradeObject>('GET', downgradesOf(namespace, name));
        if (isTaken(there, object)) throw new NameTaken(name);
      }
    },
    patchDowngradeStatus: async (
      namespace: string,
      name: string,
      status: Record<string, unknown>,
      { resourceVersion }: Read,
    ): Promise<string | undefined> => {
      const path = downgradesOf(namespace, name, 'status');
      const body = { metadata: { resourceVersion }, status };
      const stored = await client.request<DowngradeObject>('PATCH', path, {
        body,
        contentType: mergePatch,
        query: byUs,
      });
      return stored.metadata.resourceVersion;
    },
    /** Gone already is fine; changed since it was read, or another one of that name, is a conflict. */
    deleteDowngrade: async (
      namespace: string,
      name: string,
      { uid, resourceVersion }: Read & { uid: string },
    ): Promise<void> => {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
      await client.request('DELETE', downgradesOf(namespace, name), { body }).catch((error: unknown) => {
        if (!notFound(error)) throw error;
      });
    },
  };
}
