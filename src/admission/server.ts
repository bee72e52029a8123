/**
 * The HTTPS server of the webhooks: bytes ↔ AdmissionReview, limits, logging. What is decided stands in a file for each
 * webhook (webhooks). The object of a review is never checked against a schema, since such a check may change it.
 */
import type { ServerOptions } from 'node:https';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { type Callers, strangerBy, tlsFor } from './intake/callers.ts';
import { isNext, tendConnections } from './intake/connections.ts';
import { makeReader } from './intake/reading.ts';
import { Stranger } from './intake/refusals.ts';
import { type AdmissionMetrics, admissionMetrics } from './metrics.ts';
import type { Ports } from './ports.ts';
import { type Answer, errored, MalformedReview, type ReviewRequest, readReview, respond } from './review.ts';
import { drain } from './webhooks/drain.ts';
import { ephemeral } from './webhooks/ephemeral.ts';
import { validate } from './webhooks/held.ts';
import { gate } from './webhooks/jobs.ts';
import { early } from './webhooks/record.ts';
import { mutate } from './webhooks/workloads.ts';

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
 * API servers send a review within milliseconds and give up after timeoutSeconds, 10; kubelets and Prometheus send a line.
 * Who is slower is cut.
 */
const times = { handshakeTimeout: 5_000, headersTimeout: 5_000, connectionsCheckingInterval: 1_000 };
const requestTimeout = 10_000;
/** Which cipher is cheapest is known to who calls: Go asks for AES with 128 bits where the processor has it, else ChaCha20. */
const secure = { minVersion: 'TLSv1.2', honorCipherOrder: false } as const;

/** Longer than Go's client keeps a connection, 90 s: who closes first must not be us, in the middle of the next request. */
const keepAliveTimeout = 95_000;

/** Longer than any review takes: what is still open this long after the server began to close is cut. */
const farewellMs = 5_000;

export type AdmissionServer = Pick<FastifyInstance, 'inject' | 'listen' | 'close' | 'ready'> & {
  server: FastifyInstance['server'];
};

/**
 * Builds the server; the caller lets it listen. `tls` may be left out only where something else ends TLS (tests). With
 * `callers`, reviews are taken from nobody else.
 */
export function buildServer(
  ports: Ports,
  {
    logger,
    tls,
    callers,
  }: { logger: FastifyBaseLogger | undefined; tls?: ServerOptions; callers?: Callers | undefined },
): AdmissionServer {
  const app = Fastify({
    requestTimeout,
    keepAliveTimeout,
    logController: new LogController({ disableRequestLogging: true }),
    // A review has an uid of its own, by which the API server's audit log tells it too.
    childLoggerFactory: (parent) => parent,
    ...(logger ? { loggerInstance: logger } : {}),
    ...(tls ? { https: { ...secure, ...times, ...tlsFor(callers), ...tls } } : { http: times }),
  });
  tendConnections(app.server);
  app.addHook('onRequest', (request, reply, next) => {
    if (isNext(request.raw, reply.raw)) return next();
    reply.hijack();
  });
  // A body is read by the webhooks alone, within their limits; no other parser may take one in.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', (_request, _body, done) => done(null));
  const read = makeReader(app.getDefaultJsonParser('remove', 'ignore'));
  // Once it closes, Node no longer times out a connection on which nothing was asked yet, and would wait for it for ever.
  app.addHook('preClose', async () => void setTimeout(() => app.server.closeAllConnections(), farewellMs).unref());
  app.get('/healthz', async () => 'ok');
  app.get('/readyz', async (_request, reply) => {
    const why = ports.notReady();
    return why === undefined ? 'ok' : reply.code(503).send(why);
  });
  const metrics = admissionMetrics(Object.keys(webhooks), ports.guarded);
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  // Before anything of the body is read.
  const fromCallers = callers && {
    onRequest: async ({ raw }: FastifyRequest) => {
      const why = strangerBy(raw, callers);
      if (why) throw new Stranger(why);
    },
  };
  for (const [path, webhook] of Object.entries(webhooks))
    app.post(path, fromCallers ?? {}, async ({ raw, log }) => {
      const { body, leave } = await read(raw);
      try {
        const request = readReview(body);
        return respond(request.uid, await answer(request, { path, webhook, ports, log, metrics }));
      } finally {
        leave();
      }
    });
  app.setErrorHandler<FastifyError | MalformedReview>((error, request, reply) => {
    const { code, text } = refusal(error);
    request.log.warn({ code, path: request.url, error: error.message }, 'request refused');
    if (code === 503) reply.header('retry-after', '1');
    // What is left of the body is not waited for.
    return reply.code(code).header('connection', 'close').type('text/plain').send(text);
  });
  return app as unknown as AdmissionServer;
}

/** What a kernel without IPv6 says to its addresses. */
const withoutIPv6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/** Listens on all addresses, IPv6 and IPv4; on those of IPv4 where there are no others. */
export async function listenEverywhere(app: Pick<AdmissionServer, 'listen'>, port: number): Promise<void> {
  try {
    await app.listen({ port, host: '::' });
  } catch (error) {
    if (!withoutIPv6.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await app.listen({ port, host: '0.0.0.0' });
  }
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
  const unsaid: string[] = [];
  const given = await answered(request, webhook, ports, unsaid).catch((error: unknown) => {
    log.error({ ...about, err: error }, 'review failed');
    // Whoever reaches the port hears no more than that: an error may quote what the caller may not read.
    return errored(500, `an error of its own, which its log tells under uid ${uid}`);
  });
  const ms = performance.now() - began;
  metrics.reviewed(given.audit, path, ms / 1000, dryRun);
  // What was let through stands in the API server's audit log and in the metrics.
  const level = given.audit.verdict === 'allow' && !given.audit.observed ? 'debug' : 'info';
  const says = given.status?.message ?? given.warnings[0];
  log[level](
    { ...about, ...given.audit, says, ...(unsaid.length > 0 ? { unsaid } : {}), ms: Math.round(ms) },
    'reviewed',
  );
  return given;
}

async function answered(request: ReviewRequest, webhook: Webhook, ports: Ports, unsaid: string[]): Promise<Answer> {
  return webhook(request, { ...ports, unsaid: (detail) => void unsaid.push(detail) });
}

/** What is said to a client whose request has no uid to answer to. */
function refusal(error: FastifyError | MalformedReview): { code: number; text: string } {
  if (error instanceof MalformedReview) return { code: 400, text: error.message };
  if (error.statusCode && (error.statusCode < 500 || error.statusCode === 503))
    return { code: error.statusCode, text: error.message };
  return { code: 500, text: 'the request could not be read' };
}
