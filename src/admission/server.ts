/**
 * The HTTPS server of the webhooks: bytes ↔ AdmissionReview, limits, logging. What is decided stands in the four files
 * beside it. The object of a review is never checked against a schema, since such a check may change it.
 */
import type { IncomingMessage } from 'node:http';
import type { ServerOptions } from 'node:https';
import { promisify } from 'node:util';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { receiveText } from './body.ts';
import { early } from './early.ts';
import { ephemeral } from './ephemeral.ts';
import { drain, gate } from './gate.ts';
import { type AdmissionMetrics, admissionMetrics } from './metrics.ts';
import { mutate } from './mutate.ts';
import type { Ports } from './ports.ts';
import { type Answer, errored, MalformedReview, type ReviewRequest, readReview, respond } from './review.ts';
import { validate } from './validate.ts';

/** Path → what answers it. The webhook configurations in manifests/webhooks.yaml name these paths. */
export const webhooks = {
  '/mutate': mutate,
  '/validate': validate,
  '/gate': gate,
  '/drain': drain,
  '/ephemeral': ephemeral,
  '/record': early,
} as const;

/**
 * API servers take objects of up to 3 MiB; a review carries the object and the old object, and 1 MiB is left for who asks
 * and for the options: 2 × 3 + 1. fastify's own limit of 1 MiB would refuse ordinary large objects.
 */
const bodyLimit = 7 * 1024 * 1024;

/** From the first byte to the last; the API server itself gives up after timeoutSeconds, at most 30. */
const requestTimeout = 30_000;

/** Longer than any review takes: what is still open this long after the server began to close is cut. */
const farewellMs = 5_000;

export type AdmissionServer = Pick<FastifyInstance, 'inject' | 'listen' | 'close' | 'ready'> & {
  server: FastifyInstance['server'];
};

/** Builds the server; the caller lets it listen. `tls` may be left out only where something else ends TLS (tests). */
export function buildServer(
  ports: Ports,
  { logger, tls }: { logger: FastifyBaseLogger | undefined; tls?: ServerOptions },
): AdmissionServer {
  const app = Fastify({
    bodyLimit,
    requestTimeout,
    keepAliveTimeout: 90_000,
    logController: new LogController({ disableRequestLogging: true }),
    // A key "__proto__" in a body is dropped while parsing; the patch is made of the rest and leaves it as it was.
    onProtoPoisoning: 'remove',
    onConstructorPoisoning: 'ignore',
    ...(logger ? { loggerInstance: logger } : {}),
    https: tls ? { minVersion: 'TLSv1.2', ...tls } : null,
  });
  const careful = app.getDefaultJsonParser('remove', 'ignore');
  app.addContentTypeParser('application/json', async (request: FastifyRequest, body: IncomingMessage) => {
    const text = await receiveText(body, bodyLimit);
    // A key "__proto__", also a masked one, is rare; the slower parser drops it.
    if (/__proto__|\\u00(?:5f|6f|7[024])/i.test(text)) return promisify(careful)(request, text);
    try {
      return JSON.parse(text);
    } catch {
      throw new MalformedReview('the body is no JSON');
    }
  });
  // Once it closes, Node no longer times out a connection on which nothing was asked yet, and would wait for it for ever.
  app.addHook('preClose', async () => void setTimeout(() => app.server.closeAllConnections(), farewellMs).unref());
  app.get('/healthz', async () => 'ok');
  app.get('/readyz', async (_request, reply) => {
    const why = ports.notReady();
    return why === undefined ? 'ok' : reply.code(503).send(why);
  });
  const metrics = admissionMetrics(Object.keys(webhooks));
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  for (const [path, webhook] of Object.entries(webhooks))
    app.post(path, async ({ body, log }) => {
      const request = readReview(body);
      return respond(request.uid, await answer(request, { path, webhook, ports, log, metrics }));
    });
  app.setErrorHandler<FastifyError | MalformedReview>((error, request, reply) => {
    const { code, text } = refusal(error);
    request.log.warn({ code, path: request.url, error: error.message }, 'request refused');
    return reply.code(code).type('text/plain').send(text);
  });
  return app as unknown as AdmissionServer;
}

type Webhook = (request: ReviewRequest, ports: Ports) => Answer | Promise<Answer>;

interface Route {
  path: string;
  webhook: Webhook;
  ports: Ports;
  log: FastifyBaseLogger;
  metrics: AdmissionMetrics;
}

async function answer(request: ReviewRequest, { path, webhook, ports, log, metrics }: Route): Promise<Answer> {
  const began = performance.now();
  const { uid, operation, kind, namespace, name, dryRun } = request;
  const about = { uid, operation, kind, namespace, name, dryRun };
  const given = await answered(request, webhook, ports).catch((error: unknown) => {
    log.error({ ...about, err: error }, 'review failed');
    // Whoever reaches the port hears no more than that: an error may quote what the caller may not read.
    return errored(500, `an error of its own, which its log tells under uid ${uid}`);
  });
  const ms = performance.now() - began;
  metrics.reviewed(given.audit, path, ms / 1000, dryRun);
  // What was let through stands in the API server's audit log and in the metrics.
  const level = given.audit.verdict === 'allow' && !given.audit.observed ? 'debug' : 'info';
  const says = given.status?.message ?? given.warnings[0];
  log[level]({ ...about, ...given.audit, says, ms: Math.round(ms) }, 'reviewed');
  return given;
}

async function answered(request: ReviewRequest, webhook: Webhook, ports: Ports): Promise<Answer> {
  return webhook(request, ports);
}

/** What is said to a client whose request has no uid to answer to. */
function refusal(error: FastifyError | MalformedReview): { code: number; text: string } {
  if (error instanceof MalformedReview) return { code: 400, text: error.message };
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return { code: 413, text: `the body is larger than ${bodyLimit} bytes, more than an AdmissionReview can have` };
  if (error.statusCode && error.statusCode < 500) return { code: error.statusCode, text: error.message };
  return { code: 500, text: 'the request could not be read' };
}
