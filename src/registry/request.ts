/** One bounded request after the other, for one reading of an image: limits of time and size, an own CA, redirects. */
import { X509Certificate } from 'node:crypto';
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { asUnreadable, Unreadable } from './unreadable.ts';

export interface Reach {
  signal: AbortSignal;
  /** Kept connections, for the requests of this one reading. */
  agents: { 'http:': http.Agent; 'https:': https.Agent };
  /** Hosts that may be asked in plain HTTP, as URL.host writes them. */
  insecureHosts: readonly string[];
  close(): void;
}

export interface Limits {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** PEM certificates that are trusted besides the system's. */
  ca?: string | undefined;
  /** Registries (host, or host:port) that are spoken to in plain HTTP. */
  insecureHosts?: readonly string[] | undefined;
}

/** What came back; `body` is cut when the status is not 200. */
export interface Answer {
  url: URL;
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Opens what a reading needs; `close` must be called. Throws Unreadable when `ca` holds no certificate. */
export function openReach(limits: Limits): Reach {
  const secureContext = limits.ca === undefined ? undefined : trusting(limits.ca);
  const agents = {
    'http:': new http.Agent({ keepAlive: true }),
    'https:': new https.Agent({ keepAlive: true, secureContext }),
  };
  const controller = new AbortController();
  const stop = () => controller.abort(new Unreadable('the reading was given up'));
  const late = () => controller.abort(new Unreadable(`no answer within ${Math.round(limits.timeoutMs)} ms`));
  const timer = setTimeout(late, limits.timeoutMs);
  if (limits.signal?.aborted) stop();
  else limits.signal?.addEventListener('abort', stop, { once: true });
  return {
    signal: controller.signal,
    agents,
    insecureHosts: (limits.insecureHosts ?? []).flatMap((host) => URL.parse(`http://${host}`)?.host ?? []),
    close() {
      clearTimeout(timer);
      limits.signal?.removeEventListener('abort', stop);
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** The last bundle with its context: parsing the system's roots again for every image would cost 30 ms each. */
let trusted: { ca: string; context: tls.SecureContext } | undefined;

function trusting(ca: string): tls.SecureContext {
  if (trusted?.ca === ca) return trusted.context;
  const certificates = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  // Node itself passes over what it can't parse, and the handshake would then fail for a reason that nobody finds.
  if (certificates.length === 0 || !certificates.every(isCertificate))
    throw new Unreadable('the CA bundle for registries is not made of PEM certificates');
  const context = tls.createSecureContext({ ca: [...tls.getCACertificates('default'), ...certificates] });
  trusted = { ca, context };
  return context;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

const redirects = new Set([301, 302, 303, 307, 308]);
const mostRedirects = 5;

/**
 * Asks (GET, unless `method` says otherwise), following redirects. The Authorization goes to the first origin alone: once another is met it is gone for good.
 * Throws Unreadable for whatever the world does, a body over `limitBytes` among it.
 */
export async function get(
  reach: Reach,
  from: URL,
  headers: Record<string, string>,
  limitBytes: number,
  method: 'GET' | 'HEAD' = 'GET',
): Promise<Answer> {
  let url = from;
  let sent = headers;
  for (let hop = 0; hop <= mostRedirects; hop++) {
    const answer = await ask(reach, url, { method, headers: sent }, limitBytes);
    if (!redirects.has(answer.status)) return answer;
    const next = targetOf(answer);
    if (next.origin !== url.origin) {
      const { authorization: _, ...rest } = sent;
      sent = rest;
    }
    url = next;
  }
  throw new Unreadable(`${from.host} redirects more than ${mostRedirects} times`);
}

function targetOf(answer: Answer): URL {
  const { location } = answer.headers;
  const next = location === undefined ? null : URL.parse(location, answer.url.href);
  if (!next) throw new Unreadable(`${answer.url.host} redirects to nowhere`);
  // Node would send these as a login.
  next.username = '';
  next.password = '';
  return next;
}

/** One request without redirects. Throws Unreadable as `get` does. */
export async function ask(
  reach: Reach,
  url: URL,
  request: { method: string; headers: Record<string, string>; body?: string },
  limitBytes: number,
): Promise<Answer> {
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new Unreadable('the registry names an address that is none of the web');
  if (url.protocol === 'http:' && !reach.insecureHosts.includes(url.host))
    throw new Unreadable(`${url.host} is only to be had without TLS`);
  try {
    const response = await send(reach, url, request);
    const status = response.statusCode ?? 0;
    const body = await bodyOf(response, limitBytes, status === 200);
    return { url, status, headers: response.headers, body };
  } catch (error) {
    if (!reach.signal.aborted) throw asUnreadable(error, url.host);
    throw new Unreadable(`${url.host}: ${(reach.signal.reason as Error).message}`);
  }
}

async function send(
  reach: Reach,
  url: URL,
  { method, headers, body }: { method: string; headers: Record<string, string>; body?: string },
): Promise<IncomingMessage> {
  reach.signal.throwIfAborted();
  const protocol = url.protocol as 'http:' | 'https:';
  const { request } = protocol === 'http:' ? http : https;
  const own = { 'user-agent': 'downdraft', 'accept-encoding': 'identity' };
  return await new Promise((resolve, reject) => {
    const options = { method, headers: { ...own, ...headers }, agent: reach.agents[protocol], signal: reach.signal };
    request(url, options, resolve).on('error', reject).end(body);
  });
}

/** Up to `limitBytes`; above, it is cut when only a status is told (`whole` false), else refused. */
async function bodyOf(response: IncomingMessage, limitBytes: number, whole: boolean): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const most = whole ? limitBytes : Math.min(limitBytes, 16 * 1024);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= most) chunks.push(chunk);
    else if (whole) throw new Unreadable(`an answer is larger than ${Math.round(limitBytes / 1024)} KiB`);
    else break;
  }
  return Buffer.concat(chunks);
}
