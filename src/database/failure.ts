/**
 * What went wrong with a connection, as one plain sentence, or nothing when the fault is in our own program.
 *
 * Only what lies outside is excused: network, TLS, the server's refusals. Everything else, such as a syntax error in
 * our SQL, must surface.
 */
import { DatabaseError } from 'pg';
import { notPostgres } from './framing.ts';

/** Where to go on: another name of the host, the other encryption, another host, or nowhere (the login was refused). */
export type Retry = 'name' | 'encryption' | 'host' | 'none';

export interface Failure {
  /** Without the host, without any secret. */
  what: string;
  retry: Retry;
}

/** Who tried to log in where; for the sentence. */
export interface Login {
  user: string;
  database: string;
}

/** Names the failure; undefined means that it is none of the world's and must be thrown on. */
export function failureOf(error: unknown, login: Login): Failure | undefined {
  if (error instanceof DatabaseError) return refusedBy(error, login);
  if (!(error instanceof Error)) return undefined;
  return ofSystem(error as NodeJS.ErrnoException) ?? ofTls(error as NodeJS.ErrnoException) ?? ofClient(error);
}

const bySystem: Record<string, Failure> = {
  ENOTFOUND: { what: 'name not found', retry: 'name' },
  EAI_AGAIN: { what: 'the name could not be resolved just now', retry: 'name' },
  EAI_FAIL: { what: 'the name could not be resolved', retry: 'name' },
  ECONNREFUSED: { what: 'connection refused', retry: 'host' },
  ECONNRESET: { what: 'the connection was reset', retry: 'host' },
  EPIPE: { what: 'the connection was closed', retry: 'host' },
  ETIMEDOUT: { what: 'no answer from the network', retry: 'host' },
  EHOSTUNREACH: { what: 'no route to the host', retry: 'host' },
  ENETUNREACH: { what: 'no route to the network', retry: 'host' },
  EADDRNOTAVAIL: { what: 'no local address to connect from', retry: 'host' },
};

function ofSystem(error: NodeJS.ErrnoException): Failure | undefined {
  return error.code === undefined ? undefined : bySystem[error.code];
}

/** OpenSSL's own codes (ERR_SSL_…), Node's (ERR_TLS_…) and those of certificate verification. */
const tlsCode = /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH$)/;

function ofTls(error: NodeJS.ErrnoException): Failure | undefined {
  if (error.message === 'The server does not support SSL connections')
    return { what: 'TLS refused: the server does not offer it', retry: 'encryption' };
  if (error.message === 'There was an error establishing an SSL connection')
    return { what: 'TLS refused: the server did not answer as PostgreSQL does', retry: 'encryption' };
  if (!error.code || !tlsCode.test(error.code)) return undefined;
  return { what: `TLS failed (${error.code})`, retry: 'encryption' };
}

/** What the pg library itself says; it has no codes. */
function ofClient(error: Error): Failure | undefined {
  if (error.message === notPostgres || /^Received unexpected \w+ message/.test(error.message))
    return { what: notPostgres, retry: 'host' };
  if (/^Connection terminated|is not queryable$/.test(error.message))
    return { what: 'the connection was closed', retry: 'host' };
  if (/client password must be a/.test(error.message))
    return { what: 'the server asks for a password and the connection has none', retry: 'none' };
  if (/^SASL: /.test(error.message)) return { what: 'the login failed: the server broke the protocol', retry: 'none' };
  return undefined;
}

/** By SQLSTATE. PgBouncer says almost everything of its own as 08P01, so its words are repeated. */
function refusedBy(error: DatabaseError, { user, database }: Login): Failure | undefined {
  const code = error.code ?? '';
  const said = oneLine(error.message);
  if (code === '28P01') return { what: `password authentication failed for user ${user}`, retry: 'none' };
  if (code === '08P01' && /authentication failed|no such user/.test(said))
    return { what: `login refused for user ${user}: ${said}`, retry: 'none' };
  if (code === '08P01' && /no such database/.test(said)) return { what: said, retry: 'none' };
  if (code.startsWith('28')) return { what: `login refused for user ${user}: ${said}`, retry: 'encryption' };
  if (code === '3D000') return { what: `database ${database} does not exist`, retry: 'none' };
  // 22023 is about the role or search path that the URL's options ask for.
  if (code === '42501' || code === '22023') return { what: said, retry: 'none' };
  if (code === '57014') return { what: 'the query was cancelled (statement timeout)', retry: 'none' };
  if (code === '') return { what: notPostgres, retry: 'host' };
  return /^(08|53|57|58|XX|F0)/.test(code) ? { what: `the server says: ${said}`, retry: 'host' } : undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 200);
}
