/**
 * A command in a container, over WebSocket (v5.channel.k8s.io, v4 for API servers before 1.30).
 *
 * The exit status comes once, as a v1.Status on channel 3. A stream that ends without it says nothing: the command may
 * have run, or be running still. So exitCode is undefined then, and `ended` says how the stream ended. (The library's own
 * Exec never calls back in that case, and has no ping.)
 */
import { WebSocket } from 'ws';
import type { Client } from '../client/client.ts';
import { errorOf } from '../client/errors.ts';
import { core } from '../client/paths.ts';
import { boundedText } from './output.ts';

export interface ExecRequest {
  namespace: string;
  pod: string;
  container: string;
  command: string[];
  /** Sent whole, then closed. An API server that speaks only v4 can't close it: let the command know the length. */
  stdin?: string;
  timeoutMs?: number;
  /** Between pings, and how long nothing may come at all; kubectl's numbers by default. */
  pingMs?: number;
  deadMs?: number;
}

export interface ExecOutcome {
  /** undefined: the stream ended without a status. The command may still be running. */
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
  /** Output was longer than 1 MiB; the text ends with a line that says so. */
  cut: boolean;
  /** Why there is no exit code. */
  ended?: string;
}

const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const;
const frameBytes = 32 * 1024;
const outputBytes = 1024 * 1024;

/** The stream is given this long to end by itself after the status. */
const farewellMs = 2000;

/**
 * Runs a command and waits for its status, timeoutMs (30 s) at most. Throws ApiError when the API server or the kubelet
 * refuses (no such pod or container, no right), another Error when there is no connection: then nothing was run.
 * From the moment that the stream is open it throws nothing.
 */
export async function exec(client: Client, request: ExecRequest): Promise<ExecOutcome> {
  const { namespace, pod, container, command, stdin } = request;
  const deadline = performance.now() + (request.timeoutMs ?? 30_000);
  const path = core(namespace, 'pods', pod, 'exec');
  const query = { container, command, stdin: stdin !== undefined, stdout: true, stderr: true };
  const { url, options } = await client.socket(path, query);
  const socket = await open(url, options, path, deadline);
  return await converse(socket, request, deadline);
}

async function open(url: URL, options: object, path: string, deadline: number): Promise<WebSocket> {
  url.protocol = url.protocol.replace('http', 'ws');
  const handshakeTimeout = Math.max(1, deadline - performance.now());
  const socket = new WebSocket(url, protocols, {
    ...options,
    perMessageDeflate: false,
    handshakeTimeout,
    maxPayload: 32 * 1024 * 1024,
  });
  return await new Promise((resolve, reject) => {
    const refused = (error: Error) => reject(new Error(`exec ${path}: ${error.message}`, { cause: error }));
    socket.on('open', () => {
      // What came with the handshake's own packet would be told before anyone listens.
      socket.pause();
      resolve(socket);
    });
    // Stays on for the socket's life: what comes after opening also comes as 'close', which converse listens to.
    socket.on('error', refused);
    socket.on('unexpected-response', (_, response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (body.length < 10_000) body += chunk;
      });
      const end = () => {
        reject(errorOf(`exec ${path}`, response.statusCode ?? 0, body));
        socket.terminate();
      };
      response.on('end', end).on('error', end).setTimeout(handshakeTimeout, end);
    });
  });
}

/** From the open stream to its end. */
async function converse(socket: WebSocket, request: ExecRequest, deadline: number): Promise<ExecOutcome> {
  const output = { [channel.stdout]: boundedText(outputBytes), [channel.stderr]: boundedText(outputBytes) };
  let status: Status | undefined;
  let ended: string | undefined;
  const timers: NodeJS.Timeout[] = [];
  const give = (why: string) => {
    ended ??= why;
    socket.terminate();
  };
  const dead = setTimeout(() => give(`nothing came for ${request.deadMs ?? 61_000} ms`), request.deadMs ?? 61_000);
  timers.push(dead);
  timers.push(
    setTimeout(
      () => give(`timed out after ${request.timeoutMs ?? 30_000} ms`),
      Math.max(0, deadline - performance.now()),
    ),
  );
  timers.push(setInterval(() => socket.readyState === 1 && socket.ping(), request.pingMs ?? 5000));
  const closed = new Promise<void>((resolve) => {
    socket.on('close', (code) => {
      ended ??= `the stream was closed without a status (${code})`;
      resolve();
    });
    if (socket.readyState === 3) resolve();
  });
  socket.on('pong', () => dead.refresh());
  socket.on('message', (message) => {
    dead.refresh();
    const bytes = message as Buffer;
    const from = bytes[0];
    if (from === channel.stdout || from === channel.stderr) output[from].add(bytes.subarray(1));
    if (from !== channel.status || bytes.length < 2) return;
    status = statusOf(bytes.subarray(1).toString('utf8'));
    timers.push(setTimeout(() => socket.terminate(), farewellMs));
  });
  socket.resume();
  try {
    if (request.stdin !== undefined)
      await sendAll(socket, request.stdin).catch((error: Error) => give(`stdin was not taken: ${error.message}`));
    await closed;
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
  const told = { stdout: output[channel.stdout].text(), stderr: output[channel.stderr].text() };
  const cut = output[channel.stdout].cut() || output[channel.stderr].cut();
  if (status?.exitCode !== undefined) return { exitCode: status.exitCode, ...told, cut };
  return { exitCode: undefined, ...told, cut, ended: status?.message ?? ended ?? 'unknown' };
}

async function sendAll(socket: WebSocket, text: string): Promise<void> {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length; at += frameBytes)
    await sendFrame(socket, channel.stdin, bytes.subarray(at, at + frameBytes));
  if (socket.protocol === protocols[0]) await sendFrame(socket, channel.close, Buffer.from([channel.stdin]));
}

async function sendFrame(socket: WebSocket, to: number, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.send(Buffer.concat([Buffer.from([to]), bytes]), (error) => (error ? reject(error) : resolve()));
  });
}

interface Status {
  exitCode?: number;
  message?: string;
}

/** Success, or Failure with the cause ExitCode; any other failure is the runtime's and says nothing of the command. */
function statusOf(text: string): Status {
  try {
    const status = JSON.parse(text) as {
      status?: string;
      message?: string;
      details?: { causes?: { reason?: string; message?: string }[] };
    };
    if (status.status === 'Success') return { exitCode: 0 };
    const code = status.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
    if (code !== undefined && /^\d+$/.test(code)) return { exitCode: Number(code) };
    return { message: status.message ?? 'a failure without an explanation' };
  } catch {
    return { message: `a status that is no JSON: ${text.slice(0, 200)}` };
  }
}
