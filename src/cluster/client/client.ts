/**
 * Raw JSON over the Kubernetes API. Who we are is credentials.ts' matter; the client library's typed models drop fields
 * they don't know, so they are not used.
 */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { type Credentials, credentialsOf, type Source } from './credentials.ts';
import { ApiError, errorOf } from './errors.ts';
import { limit, send, textOf } from './transport.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Record<string, string | number | boolean | string[] | undefined>;

export interface RequestOptions {
  query?: Query;
  body?: unknown;
  contentType?: string;
  accept?: string;
  /** For the whole exchange, retries too. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** More than this of an answer is not read, and is an error. */
  maxCharacters?: number;
}

export interface ConnectOptions extends Source {
  /** Told of every request that is sent, each try of it. */
  onRequest?: (method: Method | 'EXEC', path: string) => void;
}

export interface Client {
  readonly server: string;
  /** The context's own namespace; in a Pod, the Pod's. */
  readonly namespace: string | undefined;
  /** Throws ApiError when the answer is not 2xx, another Error when there is none in time. */
  request<T>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /** GET of something that is not JSON (a log). */
  text(path: string, options?: RequestOptions): Promise<string>;
  /** GET whose body is read as it comes. `read` begins anew only where nothing has come yet. */
  read<T>(
    path: string,
    read: (body: IncomingMessage, signal: AbortSignal) => Promise<T>,
    options?: RequestOptions,
  ): Promise<T>;
  /** GET whose body does not end soon; timeoutMs is for the headers. The body must be read or destroyed. */
  stream(path: string, options?: RequestOptions): Promise<IncomingMessage>;
  /** Address, headers, certificates and agent for a WebSocket; told to onRequest as EXEC. */
  socket(path: string, query: Query): Promise<{ url: URL; options: https.RequestOptions }>;
  /** Ends the kept connections. */
  close(): void;
}

const defaultTimeoutMs = 10_000;
const tries = 4;

/** The API server closes an idle connection after 90 s; ours go first, so that a write never meets a closing one. */
const idleMs = 60_000;

/** A leader that starts has some sixty at a time, each with 100 KiB of TLS; these are enough for all that comes later. */
const idleConnections = 16;

/** What every request of one client shares. */
interface Connection {
  credentials: Credentials;
  agent: http.Agent | https.Agent;
  onRequest: ConnectOptions['onRequest'];
}

/** Reads the configuration and returns a client; nothing is dialled yet. Throws when no cluster is configured. */
export function connect(options: ConnectOptions = {}): Client {
  const credentials = credentialsOf(options);
  const { server, namespace } = credentials;
  const { Agent } = server.startsWith('http:') ? http : https;
  const agent = new Agent({ keepAlive: true, timeout: idleMs, maxFreeSockets: idleConnections });
  const connection = { credentials, agent, onRequest: options.onRequest };
  return {
    server,
    namespace,
    request: async <T>(method: Method, path: string, request?: RequestOptions) =>
      JSON.parse(await exchange(connection, method, path, asText(request), request)) as T,
    text: async (path, request) =>
      await exchange(connection, 'GET', path, asText(request), { accept: '*/*', ...request }),
    read: async (path, read, request) => await exchange(connection, 'GET', path, read, request),
    stream: async (path, request = {}) => await streamOf(connection, path, request),
    async socket(path, query) {
      const url = urlOf(server, path, query);
      options.onRequest?.('EXEC', path);
      return { url, options: await authorized(connection, { 'User-Agent': 'downdraft' }) };
    },
    close: () => agent.destroy(),
  };
}

/** The library's own agent keeps no connection alive; only where it tunnels through a proxy is it needed. */
async function authorized(
  { credentials, agent }: Connection,
  headers: Record<string, string>,
): Promise<https.RequestOptions> {
  const applied: https.RequestOptions = { headers };
  await credentials.apply(applied);
  return credentials.proxied ? applied : { ...applied, agent };
}

async function open(
  connection: Connection,
  method: Method,
  path: string,
  request: RequestOptions,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const url = urlOf(connection.credentials.server, path, request.query);
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  // Node gives a DELETE with a body no length of its own accord, and the body would be read as the next request.
  const length = {
    'Content-Type': request.contentType ?? 'application/json',
    'Content-Length': `${Buffer.byteLength(body ?? '')}`,
  };
  const accept = { Accept: request.accept ?? 'application/json', 'User-Agent': 'downdraft' };
  const headers = { ...accept, ...(body === undefined ? {} : length) };
  const sent = { ...(await authorized(connection, headers)), method };
  connection.onRequest?.(method, path);
  const response = await send(url, sent, body, signal);
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  const error = errorOf(`${method} ${path}`, status, await textOf(response, signal), response.headers['retry-after']);
  error.warnings = response.headers.warning ?? '';
  throw error;
}

async function exchange<T>(
  connection: Connection,
  method: Method,
  path: string,
  read: (body: IncomingMessage, signal: AbortSignal) => Promise<T>,
  request: RequestOptions = {},
): Promise<T> {
  const { signal, clear } = limit(request.timeoutMs ?? defaultTimeoutMs, request.signal);
  const once = async () => await read(await open(connection, method, path, request, signal), signal);
  try {
    return await (method === 'GET' ? patiently(once, signal) : once());
  } catch (error) {
    throw named(error, method, path);
  } finally {
    clear();
  }
}

function asText({ maxCharacters }: RequestOptions = {}) {
  return async (body: IncomingMessage, signal: AbortSignal) => await textOf(body, signal, maxCharacters);
}

async function streamOf(connection: Connection, path: string, request: RequestOptions): Promise<IncomingMessage> {
  const { signal, clear } = limit(request.timeoutMs ?? defaultTimeoutMs, request.signal);
  try {
    const response = await open(connection, 'GET', path, request, signal);
    const stop = () => response.destroy();
    request.signal?.addEventListener('abort', stop, { once: true });
    response.once('close', () => request.signal?.removeEventListener('abort', stop));
    if (request.signal?.aborted) stop();
    return response;
  } catch (error) {
    throw named(error, 'GET', path);
  } finally {
    clear();
  }
}

/**
 * A server behind a path (Rancher's, `kubectl proxy`'s) keeps it. Throws for a path that is not asked exactly as it
 * stands: URL resolves `..` and drops line breaks, and the API server takes `%2f` for a slash.
 */
function urlOf(server: string, path: string, query: Query = {}): URL {
  const base = new URL(server);
  const url = new URL(server.replace(/\/+$/, '') + path);
  const kept = base.pathname.replace(/\/+$/, '') + path;
  if (url.pathname !== kept || url.origin !== base.origin || url.search || url.hash || /^[^/]|%|\/\//.test(path))
    throw new Error(`${JSON.stringify(path.slice(0, 200))} is no path of the API, so nothing was asked`);
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [String(value)]) url.searchParams.append(key, each);
  }
  return url;
}

/** Reads only: asks again when the server says when (429 and 5xx with Retry-After), or has closed a kept connection. */
async function patiently<T>(once: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once();
    } catch (error) {
      const seconds = attempt < tries ? retryAfter(error) : undefined;
      if (seconds === undefined) throw error;
      // Ends early, with the first error, when the time is up.
      await wait(seconds * 1000, undefined, { signal }).catch(() => {
        throw error;
      });
    }
  }
}

function retryAfter(error: unknown): number | undefined {
  if (error instanceof ApiError)
    return error.status === 429 || error.status >= 500 ? error.retryAfterSeconds : undefined;
  const { code, reused } = error as { code?: string; reused?: boolean };
  return reused && code === 'ECONNRESET' ? 0 : undefined;
}

/** The same error, with what was asked in front. The query is left out: it may be long, and a command stands in it. */
function named(error: unknown, method: Method, path: string): unknown {
  if (error instanceof ApiError || !(error instanceof Error)) return error;
  return new Error(`${method} ${path}: ${error.message || (error as NodeJS.ErrnoException).code}`, { cause: error });
}
