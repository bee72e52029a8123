/**
 * The API server's exec endpoint as a real TLS WebSocket server that speaks v5.channel.k8s.io (or only v4) and really
 * runs the command on this machine; a test can make it misbehave. It stands in for a kubelet, which needs a node.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Client, connect } from '../../src/cluster/client/client.ts';

export interface Fault {
  protocols?: string[];
  /** HTTP answer instead of an upgrade. */
  refuse?: { status: number; body: string };
  /** Called with each open stream instead of running the command. */
  instead?: (socket: WebSocket) => void;
  /** Drops the connection after this many bytes of stdin. */
  cutStdinAfter?: number;
  /** Drops the connection instead of sending the status. */
  withoutStatus?: boolean;
}

export interface FakeKubelet {
  kubeconfig: string;
  fault: Fault;
  /** The Authorization header of the last stream. */
  authorization(): string | undefined;
  pings(): number;
  stop(): Promise<void>;
}

/** For a whole file: one of them, a client to it and a folder of its own; each test begins without a fault. */
export function onFakeKubelet(
  onStarted: (started: { dir: string; kubelet: FakeKubelet; client: Client }) => void,
): void {
  let dir: string;
  let kubelet: FakeKubelet;
  let client: Client;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'downdraft-kubelet-'));
    kubelet = await startFakeKubelet(dir);
    client = connect({ kubeconfig: kubelet.kubeconfig });
    onStarted({ dir, kubelet, client });
  });
  beforeEach(() => {
    for (const name of Object.keys(kubelet.fault)) delete kubelet.fault[name as keyof Fault];
  });
  afterAll(async () => {
    client.close();
    await kubelet.stop();
    await rm(dir, { recursive: true, force: true });
  });
}

/** Starts it on a free port and writes a kubeconfig with its CA and a token into `dir`. */
export async function startFakeKubelet(dir: string): Promise<FakeKubelet> {
  const fault: Fault = {};
  let authorization: string | undefined;
  let pings = 0;
  const streams = new Set<Duplex>();
  const altNames = [{ type: 7 as const, ip: '127.0.0.1' }];
  const pems = await generate([{ name: 'commonName', value: 'kubelet' }], {
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames }],
  });
  const server = createServer({ key: pems.private, cert: pems.cert });
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) =>
      (fault.protocols ?? ['v5.channel.k8s.io', 'v4.channel.k8s.io']).find((p) => offered.has(p)) ?? false,
  });
  server.on('upgrade', (request, stream, head) => {
    streams.add(stream.on('close', () => streams.delete(stream)));
    authorization = request.headers.authorization;
    if (fault.refuse) {
      const { status, body } = fault.refuse;
      stream.end(
        `HTTP/1.1 ${status} No\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.on('ping', () => pings++);
      if (fault.instead) fault.instead(socket);
      else run(socket, new URL(request.url ?? '', 'https://x').searchParams, fault);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfig = join(dir, 'kubeconfig');
  const cluster = { server: address, 'certificate-authority-data': Buffer.from(pems.cert).toString('base64') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'fake', cluster }],
    users: [{ name: 'me', user: { token: 'a-token' } }],
    contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'me' } }],
    'current-context': 'fake',
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  return {
    kubeconfig,
    fault,
    authorization: () => authorization,
    pings: () => pings,
    stop: async () => {
      // Upgraded connections are no longer the server's own.
      for (const stream of streams) stream.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function run(socket: WebSocket, query: URLSearchParams, fault: Fault): void {
  const [program = 'false', ...rest] = query.getAll('command');
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
  // A program that ends without reading its input breaks the pipe; the exit code tells.
  child.stdin.on('error', () => {});
  feed(socket, child, query.get('stdin') === 'true', fault);
  const tell = (channel: number) => (bytes: Buffer) => socket.send(Buffer.concat([Buffer.from([channel]), bytes]));
  child.stdout.on('data', tell(1));
  child.stderr.on('data', tell(2));
  child.on('error', (error) => finish(socket, { status: 'Failure', reason: 'InternalError', message: error.message }));
  child.on('close', (code) => {
    if (fault.withoutStatus) socket.terminate();
    else if (code === 0) finish(socket, { status: 'Success' });
    else
      finish(socket, {
        status: 'Failure',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
      });
  });
}

function feed(socket: WebSocket, child: ChildProcess, wanted: boolean, fault: Fault): void {
  let taken = 0;
  if (!wanted) child.stdin?.end();
  socket.on('message', (message) => {
    const bytes = message as Buffer;
    if (bytes[0] === 255 && bytes[1] === 0) child.stdin?.end();
    if (bytes[0] !== 0) return;
    child.stdin?.write(bytes.subarray(1));
    taken += bytes.length - 1;
    if (fault.cutStdinAfter !== undefined && taken >= fault.cutStdinAfter) socket.terminate();
  });
  // A kubelet ends the program's input with the stream, and lets the program go on.
  socket.on('close', () => child.stdin?.end());
}

/** Sends the status on channel 3 and closes. */
export function finish(socket: WebSocket, status: object): void {
  socket.send(Buffer.concat([Buffer.from([3]), Buffer.from(JSON.stringify(status))]));
  socket.close(1000);
}
