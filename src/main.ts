/**
 * The one place that reads the configuration, builds the clients, joins the parts, starts and stops.
 *
 * Every replica serves the webhook; the one that holds the Lease also runs the controller. A replica stops in this order:
 * it gives the Lease back, answers reviews a little longer, ends those it has, leaves.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { type Ports as CertificatePorts, keepCertificates, type Serving } from '../certs/keeper.ts';
import { buildServer, listenEverywhere } from './admission/server.ts';
import { type Client, connect } from './cluster/client/client.ts';
import type { GateClientConfig } from './cluster/drain-webhook.ts';
import { startMirror } from './cluster/mirror/mirror.ts';
import { readStoredSecret, writeStoredSecret } from './cluster/secrets.ts';
import { type Config, ConfigError, configHelp, readConfig } from './config.ts';
import { admissionPorts } from './wiring/admission.ts';
import { callersOf } from './wiring/callers.ts';
import { guardOf } from './wiring/guard.ts';
import { registryOf } from './wiring/images.ts';
import { lead } from './wiring/leading.ts';

/** Longer than endpoints take to reach the nodes, and with the server's own farewell well within the pod's 20 s. */
const farewellMs = 5_000;

async function main(): Promise<void> {
  if (process.argv.includes('--help')) return void process.stdout.write(configHelp());
  const config = readConfig();
  const callers = await callersOf(config);
  const logger = pino({ level: config.logLevel, base: { instance: config.identity } });
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());

  const client = connect({
    ...(config.kubeconfig ? { kubeconfig: config.kubeconfig } : {}),
    ...(config.kubecontext ? { context: config.kubecontext } : {}),
  });
  const onRetry = (path: string, error: unknown) => logger.warn({ path, err: error }, 'watch lost, trying again');
  // Told until the last review is answered.
  const leaving = new AbortController();
  const mirror = startMirror(client, config.namespace, leaving.signal, onRetry);
  const views = { client, mirror, registry: registryOf(client, config) };
  const guard = guardOf(client, config, logger);
  const state: { serving: Serving | undefined } = { serving: undefined };
  const onError = (error: unknown) => logger.warn({ err: error }, 'could not renew the certificates, trying again');
  state.serving = await keepCertificates(certificatePorts(client, config), {
    serviceName: config.service,
    namespace: config.namespace,
    hosts: config.certHosts,
    everyMs: 60_000,
    signal: stopping.signal,
    onError,
    onChange: async (serving) => {
      state.serving = serving;
      const { cert, key } = serving;
      // What is not named here is as if it had never been set.
      (app.server as unknown as { setSecureContext(c: unknown): void }).setSecureContext({
        cert,
        key,
        ca: callers?.ca,
      });
      await guard.publish(serving.caBundle);
    },
  });

  const notReady = () => (guard.published() ? undefined : 'the webhook configurations do not carry our CA yet');
  const ports = { ...admissionPorts(views, config, notReady), guarded: () => guard.gone() === undefined };
  const { cert, key } = state.serving;
  const app = buildServer(ports, { logger, tls: { cert, key }, callers });
  await listenEverywhere(app, config.port);
  logger.info({ port: config.port, namespace: config.namespace, runner: config.runner }, 'webhook is listening');
  void guard.keep(() => state.serving!.caBundle, stopping.signal);

  await lead(views, config, () => gateReach(config, state.serving!.caBundle), stopping.signal, logger);
  // Reviews go on coming until every node has taken this pod out of the Service; refusing one would refuse a deploy.
  await delay(farewellMs);
  await app.close();
  leaving.abort();
  client.close();
  logger.info('stopped');
}

function gateReach(config: Config, caBundle: string): GateClientConfig {
  if (config.webhookUrl) return { url: `${config.webhookUrl}/drain`, caBundle };
  return { service: { namespace: config.namespace, name: config.service, path: '/drain', port: 443 }, caBundle };
}

function certificatePorts(client: Client, config: Config): CertificatePorts {
  return {
    read: () => readStoredSecret(client, config.namespace, 'downdraft-certs'),
    write: (data, resourceVersion) =>
      writeStoredSecret(client, config.namespace, 'downdraft-certs', data, resourceVersion),
    now: () => new Date(),
  };
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) {
    process.stderr.write(`downdraft: ${error.message}\n`);
    process.exit(2);
  }
  process.stderr.write(`downdraft: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
