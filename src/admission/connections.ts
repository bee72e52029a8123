/**
 * Connections, of which anyone may open many. Over the limit the address with the most of them loses its oldest that waits
 * for no answer, so that an API server, which has few, is always let in and gets what it asked for. And a connection has
 * one request at a time: of all that come here, only an attacker asks further before the answer.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** API servers, kubelets and Prometheus keep a handful each. A connection takes some 100 KiB. */
const mostConnections = 200;

/** Limits the connections of a server from now on. */
export function limitConnections(server: Pick<Server, 'on'>, limit = mostConnections): void {
  const byAddress = new Map<string, Set<Socket>>();
  const asking = new Set<string>();
  let count = 0;
  server.on('request', ({ socket }: IncomingMessage, answer: ServerResponse) => {
    const peer = peerOf(socket);
    asking.add(peer);
    answer.once('close', () => asking.delete(peer));
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
