/** Why an image can't be read, as one plain sentence: hosts and status codes, never a query, a token or foreign text. */

/** The world's fault, not the program's: readImage turns it into an answer. Anything else thrown is a bug and surfaces. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
}

const bySystem: Record<string, string> = {
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'the name could not be resolved just now',
  EAI_FAIL: 'the name could not be resolved',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no answer from the network',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  EADDRNOTAVAIL: 'no local address to connect from',
  EPROTO: 'TLS failed: the server does not speak it',
};

/** OpenSSL's own codes (ERR_SSL_…), Node's (ERR_TLS_…) and those of certificate verification. */
const tlsCode = /^(ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH$)/;
/** llhttp's: what answers does not speak HTTP, or not as it should. */
const httpCode = /^HPE_/;

/** What a socket's error says of `host`; an error that is none of the world's is given back as it is. */
export function asUnreadable(error: unknown, host: string): unknown {
  if (error instanceof Unreadable || !(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  if (bySystem[code]) return new Unreadable(`${host}: ${bySystem[code]}`);
  if (tlsCode.test(code)) return new Unreadable(`${host}: TLS failed (${code})`);
  if (httpCode.test(code)) return new Unreadable(`${host} does not answer as HTTP does (${code})`);
  return error;
}
