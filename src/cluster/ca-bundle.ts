/** Brings the CA of our serving certificate into webhook configurations. */
import type { Client } from './client/client.ts';
import { ApiError } from './client/errors.ts';
import { byUs, type ConfigurationKind, configurations, jsonPatch } from './client/paths.ts';

interface Configuration {
  webhooks?: { name: string; clientConfig: { caBundle?: string } }[];
}

const tries = 3;

/** The configuration stands there, and nobody is asked by it. */
export class NoWebhooks extends Error {
  override name = 'NoWebhooks';
}

/**
 * Sets the CA (PEM in base64) of every webhook of one configuration; writes only when one differs, and says whether it
 * wrote. Throws ApiError, also when the configuration does not exist, and NoWebhooks when it is empty.
 */
export async function patchCaBundle(
  client: Client,
  name: string,
  kind: ConfigurationKind,
  caBundle: string,
): Promise<boolean> {
  const path = configurations(kind, name);
  for (let attempt = 1; ; attempt++) {
    const { webhooks = [] } = await client.request<Configuration>('GET', path);
    if (webhooks.length === 0) throw new NoWebhooks(`${kind} ${name} has no webhooks`);
    // A merge patch would replace the list of webhooks; so one by one, each bound to its name.
    const body = webhooks.flatMap((webhook, at) =>
      webhook.clientConfig.caBundle === caBundle
        ? []
        : [
            { op: 'test', path: `/webhooks/${at}/name`, value: webhook.name },
            { op: 'add', path: `/webhooks/${at}/clientConfig/caBundle`, value: caBundle },
          ],
    );
    if (body.length === 0) return false;
    try {
      await client.request('PATCH', path, { body, contentType: jsonPatch, query: byUs });
      return true;
    } catch (error) {
      if (!changedMeanwhile(error) || attempt === tries) throw error;
    }
  }
}

/** 422 is a test that failed: the list was changed between reading and writing. */
function changedMeanwhile(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 422 || error.status === 409);
}
