/** The controller's leadership: a replica that knows the policies stands for election, and runs the controller while it is elected. */
import type { Logger } from 'pino';
import type { GateClientConfig } from '../cluster/drain-webhook.ts';
import { elect } from '../cluster/lease.ts';
import type { Config } from '../config.ts';
import type { Views } from './admission.ts';
import { runController } from './controller.ts';

/** Stands for election until the signal; `reach` is how the API server reaches the webhook of a drain. */
export async function lead(
  views: Views,
  config: Config,
  reach: () => GateClientConfig,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  const { client, mirror } = views;
  let term: AbortController | undefined;
  await elect(client, {
    namespace: config.namespace,
    name: 'downdraft',
    identity: config.identity,
    durationSeconds: config.leaseSeconds,
    renewSeconds: (config.leaseSeconds * 2) / 3,
    retrySeconds: Math.min(2, config.leaseSeconds / 5),
    signal,
    unfit: () => mirror.missing() ?? mirror.stale(),
    onUnfit: (why) => logger.warn({ why }, 'does not stand for election: what the policies say is not known here'),
    onStarted: (token, leads) => {
      term = new AbortController();
      logger.info({ token }, 'leading');
      runController(views, config, { token, leads, signal: term.signal }, reach, logger);
    },
    onStopped: () => {
      term?.abort();
      logger.info('leading no longer');
    },
    onError: (error) => logger.warn({ err: error }, 'leader election failed, trying again'),
  });
}
