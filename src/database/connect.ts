/**
 * From settings to an open connection: each host under each of its names, with and without TLS as sslmode wants it, all
 * within one deadline. What is not open by then is destroyed.
 */
import { Socket } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { Client, type ClientConfig } from 'pg';
import { type Failure, failureOf } from './failure.ts';
import { distrust } from './framing.ts';
import type { DatabaseHost } from './hosts.ts';
import { addressOf, type ConnectionSettings, type Encryption } from './url.ts';

/** What we call ourselves in pg_stat_activity. */
export const applicationName = 'downdraft';

/** The world's fault, as one sentence that names host and cause and holds no secret. */
export class DatabaseUnreadable extends Error {
  override name = 'DatabaseUnreadable';
}

/** When everything must be over, by performance.now(), and how long that was at the start. */
export interface Deadline {
  endsAt: number;
  timeoutMs: number;
}

export interface Attempt {
  host: DatabaseHost;
  /** What is resolved: one of the host's names. */
  name: string;
  tls: boolean;
}

export interface OpenConnection {
  client: Client;
  socket: Socket;
  attempt: Attempt;
}

/** Milliseconds left, at least 1. */
export function leftMs({ endsAt }: Deadline): number {
  return Math.max(1, Math.ceil(endsAt - performance.now()));
}

/** Opens a connection to the first host that lets us in. Throws DatabaseUnreadable, telling of every host tried. */
export async function connect(settings: ConnectionSettings, deadline: Deadline): Promise<OpenConnection> {
  const attempts = attemptsOf(settings);
  const said = new Map<DatabaseHost, string>();
  let attempt = attempts[0];
  while (attempt) {
    const outcome = await tryToConnect(settings, attempt, shareMs(attempts, attempt, settings, deadline));
    if ('client' in outcome) return outcome;
    said.set(attempt.host, sentence(attempt, outcome));
    attempt = leftMs(deadline) > 1 ? following(attempts, attempt, outcome) : undefined;
  }
  throw new DatabaseUnreadable([...said.values()].join('; ') || 'the connection URL names no host');
}

/** `host:port: what`. */
export function sentence({ host, name, tls }: Attempt, { what, retry }: Failure): string {
  const tried = retry === 'name' && host.names.length > 1 ? ` (tried ${host.names.join(', ')})` : '';
  const via = name === host.host || retry === 'name' ? '' : ` (as ${name})`;
  const how = retry === 'encryption' && !tls ? ', without TLS' : '';
  return `${addressOf(host)}${via}: ${what}${how}${tried}`;
}

const tlsModes: Record<Encryption, boolean[]> = {
  disable: [false],
  allow: [false, true],
  prefer: [true, false],
  require: [true],
  'verify-full': [true],
};

function attemptsOf({ hosts, encryption }: ConnectionSettings): Attempt[] {
  return hosts.flatMap((host) =>
    host.names.flatMap((name) => tlsModes[encryption].map((tls): Attempt => ({ host, name, tls }))),
  );
}

/** As libpq: another host only when no connection came about, the other encryption when this one was refused. */
function following(attempts: Attempt[], failed: Attempt, { retry }: Failure): Attempt | undefined {
  const rest = attempts.slice(attempts.indexOf(failed) + 1);
  const same = rest.filter((next) => next.host === failed.host);
  const elsewhere = rest.find((next) => next.host !== failed.host);
  if (retry === 'name') return same.find((next) => next.name !== failed.name) ?? elsewhere;
  if (retry === 'encryption') return same.find((next) => next.name === failed.name) ?? elsewhere;
  return retry === 'host' ? elsewhere : undefined;
}

/** A silent host gets an equal share of the time that is left, so that the ones after it have a turn. */
function shareMs(attempts: Attempt[], now: Attempt, settings: ConnectionSettings, deadline: Deadline): number {
  const hosts = new Set(attempts.slice(attempts.indexOf(now)).map(({ host }) => host)).size;
  return Math.min(leftMs(deadline) / hosts, settings.connectTimeoutMs ?? Number.POSITIVE_INFINITY);
}

/** Opens or says why not; throws only what is our own fault. */
async function tryToConnect(
  settings: ConnectionSettings,
  attempt: Attempt,
  limitMs: number,
): Promise<OpenConnection | Failure> {
  const socket = new Socket();
  const client = new Client(clientConfig(settings, attempt, socket));
  // What fails is told by the promise in hand; pg tells it a second time here, and unheard that would end the process.
  client.on('error', () => undefined);
  distrust(client, socket);
  const limit = guard(socket, limitMs);
  try {
    await client.connect();
    if (!settings.primaryOnly || !(await isStandby(client))) return { client, socket, attempt };
    socket.destroy();
    return { what: 'a standby, and the connection wants a primary', retry: 'host' };
  } catch (error) {
    socket.destroy();
    const failure = limit.exceeded ?? failureOf(error, settings);
    if (failure) return failure;
    throw error;
  } finally {
    limit.stop();
  }
}

/** What all answers together may be; ours are below 10 kB. */
const mostBytes = 1024 * 1024;

/**
 * Destroys the socket when the time is up, or when a server that a stranger chose floods us: pg would buffer a message
 * of any length. `exceeded` tells that apart from the other side's closing.
 */
export function guard(socket: Socket, limitMs: number): { exceeded?: Failure; stop: () => void } {
  const destroy = (failure: Failure) => {
    limit.exceeded ??= failure;
    limit.stop();
    socket.destroy();
  };
  const seconds = Math.round(limitMs / 100) / 10;
  const timer = setTimeout(() => destroy({ what: `no answer within ${seconds} s`, retry: 'host' }), limitMs);
  const size = setInterval(() => {
    if (socket.bytesRead > mostBytes) destroy({ what: 'the server sends far more than was asked', retry: 'host' });
  }, 20);
  const limit: { exceeded?: Failure; stop: () => void } = {
    stop: () => {
      clearTimeout(timer);
      clearInterval(size);
    },
  };
  return limit;
}

async function isStandby(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return rows[0]?.standby ?? false;
}

function clientConfig(settings: ConnectionSettings, { host, name, tls }: Attempt, socket: Socket): ClientConfig {
  const verified = settings.encryption === 'verify-full';
  const ssl = {
    rejectUnauthorized: verified,
    // The certificate is for the host of the URL, whichever name of it we resolved.
    checkServerIdentity: (_name: string, certificate: PeerCertificate) => checkServerIdentity(host.host, certificate),
  };
  return {
    host: name,
    port: host.port,
    user: settings.user,
    // A function: so pg looks for one neither in our environment nor in a password file of ours.
    password: settings.password,
    database: settings.database,
    ssl: tls && ssl,
    application_name: applicationName,
    stream: () => socket,
  };
}
