/**
 * Connections, of which anyone may open many. Over the limit the address with the most of them loses its oldest that waits
 * for no answer, so that an API server, which has few, is always let in and gets what it asked for. And a connection has
 * one request at a time: of all that come here, only an attacker asks further before the answer.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** API servers, kubelets and Prometheus keep a handful each. A connection takes some 100 KiB. */
const mostConnections = 200;

/** All that is done about the connections of a server, from now on. */
export function tendConnections(server: Server): void {
  limitConnections(server);
  keepUnused(server);
}

/** Limits the connections of a server from now on. */
export function limitConnections(server: Pick<Server, 'on'>, limit = mostConnections): void {
  const byAddress = new Map<string, Set<Socket>>();
  const asking = new Set<string>();
  let count = 0;
  server.on('request', ({ socket }: IncomingMessage, answer: ServerResponse) => {
    const peer = peerOf(socket);
    asking.add(peer);
    answer.on('close', () => asking.delete(peer));
  });
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    const own = byAddress.get(address) ?? new Set();
    byAddress.set(address, own.add(socket));
    count++;
    socket.once('close', () => {
      count--;
      own.delete(socket);
      if (own.size === 0) byAddress.delete(address);
    });
    if (count <= limit) return;
    const most = [...[...byAddress.values()].reduce((a, b) => (b.size > a.size ? b : a))];
    (most.find((one) => !asking.has(peerOf(one))) ?? most[0])?.destroy();
  });
}

/** The same for a connection and for the TLS in it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

const answers = new WeakMap<Socket, ServerResponse>();

/** Whether the connection's last request has been answered. If not, the connection is ended. */
export function isNext({ socket }: IncomingMessage, answer: ServerResponse): boolean {
  const last = answers.get(socket);
  if (last && !last.writableEnded) {
    socket.destroy();
    return false;
  }
  answers.set(socket, answer);
  return true;
}

/** Longer than Go's client keeps a connection that nothing is asked on, 90 s: it closes first. */
const unusedMs = 95_000;

/**
 * Keeps connections on which nothing has come yet. Go's client opens some beforehand, for requests that another one then
 * takes, and Node calls it a request that is late (408); one that was asked at that very moment got this for its answer. A
 * request that has begun is timed as ever. Of strangers' the limit above takes care.
 */
export function keepUnused(server: Pick<Server, 'on' | 'listeners' | 'removeAllListeners'>): void {
  const answering = server.listeners('clientError');
  server.removeAllListeners('clientError');
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0)
      return void socket.setTimeout(unusedMs, () => socket.destroy());
    for (const answer of answering) answer.call(server, error, socket);
  });
}
