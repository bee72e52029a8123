/**
 * The guard itself: without our webhook configurations no API server asks us, whatever runs. Every replica keeps the CA in
 * them and says when they are gone. It stays ready all the same: reviews come again as soon as they are back, and only one
 * that is ready gets them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { NoWebhooks, patchCaBundle } from '../cluster/ca-bundle.ts';
import type { Client } from '../cluster/client/client.ts';
import { notFound } from '../cluster/client/errors.ts';
import { byUs, eventsOf } from '../cluster/client/paths.ts';
import { eventOf } from '../cluster/events.ts';
import { wordsOfThrown } from '../release/model/thrown.ts';

/** Name of the webhook configurations in manifests/webhooks.yaml, and of the Deployment. */
const ownName = 'downdraft';

const kinds = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'] as const;

/** A configuration that was deleted and applied anew comes without a CA. */
const everyMs = 60_000;

const firstMs = 1_000;

export interface Guard {
  /** Brings the CA into both. Throws ApiError, also when one of them is gone. */
  publish(caBundle: string): Promise<void>;
  /** Whether it has been in both. */
  published(): boolean;
  /** What is gone, when last looked; undefined when nothing is. */
  gone(): string | undefined;
  /** Looks again and again until the signal. */
  keep(caBundle: () => string, signal: AbortSignal): Promise<void>;
}

/** `namespace` is downdraft's own, `instance` this replica's name. */
export function guardOf(client: Client, of: { namespace: string; identity: string }, logger: Logger): Guard {
  let published = false;
  let gone: string | undefined;
  const publish = async (caBundle: string) => {
    for (const kind of kinds) await patchCaBundle(client, ownName, kind, caBundle);
    if (gone !== undefined) logger.info('the webhook configurations are back: changes are judged again');
    published = true;
    gone = undefined;
  };
  const missed = async (error: unknown) => {
    const first = gone === undefined && published;
    gone = `a webhook configuration is gone, so no change of Airflow is judged; apply manifests/webhooks.yaml (${wordsOfThrown(error)})`;
    logger.warn(gone);
    if (first) await say(client, of, gone);
  };
  const look = async (caBundle: string) => {
    try {
      await publish(caBundle).catch(async (error: unknown) => {
        if (!notFound(error) && !(error instanceof NoWebhooks)) throw error;
        await missed(error);
      });
    } catch (error) {
      logger.warn({ err: error }, 'could not bring the CA into the webhook configurations, trying again');
    }
  };
  return {
    publish,
    published: () => published,
    gone: () => gone,
    keep: async (caBundle, signal) => {
      while (!signal.aborted) {
        await look(caBundle());
        await delay(published ? everyMs : firstMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}

/** An event of our own Deployment: the object that it is about is not there any more. */
async function say(client: Client, { namespace, identity }: { namespace: string; identity: string }, message: string) {
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: ownName };
  const body = eventOf({ object, type: 'Warning', reason: 'GuardGone', message }, identity, new Date());
  await client.request('POST', eventsOf(namespace), { body, query: byUs });
}
