/** A registry in this process: over TLS with a CA of its own, with or without a login, and as bad as a test wants it. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { issue } from '../../certs/authority.ts';
import { type Document, digestOf, type Image, makeDocument } from './image.ts';

export type Respond = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** How one is let in: `user:password` pairs, refresh tokens; `anonymous`: nobody in particular gets a token, too. */
export interface Door {
  scheme: 'none' | 'basic' | 'bearer';
  users?: string[];
  refreshTokens?: string[];
  anonymous?: boolean;
  /** Whether its realm speaks OAuth 2 (POST). */
  oauth?: boolean;
  /** Where tokens are had; default: this server. */
  realm?: string;
}

export interface Seen {
  method: string;
  path: string;
  authorization: string | undefined;
  body: string;
}

export interface Registry {
  /** host:port, as it stands in an image's name. */
  host: string;
  ca: string;
  seen: Seen[];
  /** Puts an image there under a tag or digest. */
  put(path: string, document: Document): void;
  putBlob(repository: string, body: Buffer, digest?: string): void;
  /** An image with its config, by tag and digest. */
  putImage(repository: string, tag: string, image: Image): string;
  /** Answers these paths (the whole path, or one that begins so and ends in `*`) in another way. */
  answers: Record<string, Respond>;
  door: Door;
  stop(): Promise<void>;
}

/** One CA for all registries of a test file. */
let certificates: ReturnType<typeof issue> | undefined;
const names = { serviceName: 'registry', namespace: 'test', hosts: ['127.0.0.1', 'localhost'] };

/** Starts one; `plain` speaks HTTP. Stop it at the end of the test. */
export async function startRegistry(door: Door = { scheme: 'none' }, plain = false): Promise<Registry> {
  certificates ??= issue({ ...names, now: new Date() });
  const { ca, leaf } = await certificates;
  const documents = new Map<string, Document>();
  const registry = { ca: ca.cert, seen: [], answers: {}, door } as unknown as Registry;
  registry.put = (path, document) => documents.set(`/v2/${path}`, document);
  registry.putBlob = (repository, body, digest = digestOf(body)) =>
    documents.set(`/v2/${repository}/blobs/${digest}`, { type: 'application/octet-stream', body });
  registry.putImage = (repository, tag, { config, manifest }) => {
    registry.putBlob(repository, config.body);
    for (const name of [tag, digestOf(manifest.body)]) registry.put(`${repository}/manifests/${name}`, manifest);
    return digestOf(manifest.body);
  };
  const listen: RequestListener = (request, response) => {
    collect(request).then((body) => answer(registry, documents, request, response, body), ignoreCut);
  };
  const server = plain ? createServer(listen) : createSecureServer({ key: leaf.key, cert: leaf.cert }, listen);
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  registry.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  registry.stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return registry;
}

async function collect(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  return body;
}

/** A client that gave up while it was sending; nobody is left to be answered. */
function ignoreCut(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ECONNRESET') throw error;
}

function answer(
  registry: Registry,
  documents: Map<string, Document>,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): void {
  const { method = '', url = '' } = request;
  const { authorization } = request.headers;
  registry.seen.push({ method, path: url, authorization, body });
  const [, respond] = Object.entries(registry.answers).find(([path]) => fits(path, url)) ?? [];
  const { pathname, searchParams } = new URL(url, 'https://registry');
  const document = documents.get(pathname);
  if (respond) respond(request, response, body);
  else if (pathname === '/token') giveToken(registry, method, searchParams, authorization, body, response);
  else if (!isLetIn(registry.door, authorization)) challenge(registry, pathname, response);
  else if (!document) refuse(response, 404, 'MANIFEST_UNKNOWN');
  else give(response, document);
}

/** Answers with a document. */
export function give(response: ServerResponse, { type, body }: Document): void {
  response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body);
}

function fits(path: string, url: string): boolean {
  return path.endsWith('*') ? url.startsWith(path.slice(0, -1)) : url === path;
}

/** Answers with a status and the registry's own form of an error. */
export function refuse(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message: `${code.toLowerCase()} said at length` }] }));
}

export const theToken = 'eyJ.a-token.of-the-test';

function basicOf(door: Door): string[] {
  return (door.users ?? []).map((user) => `Basic ${Buffer.from(user).toString('base64')}`);
}

function isLetIn(door: Door, authorization = ''): boolean {
  if (door.scheme === 'none') return true;
  return door.scheme === 'bearer' ? authorization === `Bearer ${theToken}` : basicOf(door).includes(authorization);
}

function challenge({ door, host }: Registry, pathname: string, response: ServerResponse): void {
  const [, repository] = /^\/v2\/(.*)\/(?:manifests|blobs)\//.exec(pathname) ?? [];
  const realm = door.realm ?? `https://${host}/token`;
  const bearer = `Bearer realm="${realm}",service="the registry, of the test",scope="repository:${repository}:pull"`;
  refuse(response, 401, 'UNAUTHORIZED', {
    'www-authenticate': door.scheme === 'basic' ? 'Negotiate abc==, Basic realm="test"' : bearer,
  });
}

function giveToken(
  { door }: Registry,
  method: string,
  query: URLSearchParams,
  authorization: string | undefined,
  body: string,
  response: ServerResponse,
): void {
  const asked = method === 'POST' ? new URLSearchParams(body) : query;
  const whole =
    asked.get('service') === 'the registry, of the test' && /^repository:.+:pull$/.test(`${asked.get('scope')}`);
  const refreshes = method === 'POST' && asked.get('grant_type') === 'refresh_token' && asked.get('client_id');
  const known = refreshes
    ? (door.refreshTokens ?? []).includes(`${asked.get('refresh_token')}`)
    : authorization === undefined
      ? door.anonymous
      : basicOf(door).includes(authorization);
  const token = method === 'POST' ? { access_token: theToken } : { token: theToken };
  if (method === 'POST' && !door.oauth) refuse(response, 404, 'NOT_FOUND');
  else if (!whole || !known) refuse(response, 401, 'UNAUTHORIZED');
  else give(response, makeDocument('application/json', token));
}
