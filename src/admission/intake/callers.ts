/** Who may send reviews, where downdraft was given the CA of the API servers' client certificates. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

export interface Callers {
  /** PEM certificates. */
  ca: string;
  /** Common names that count; none: any. */
  names: readonly string[];
}

/** Certificates are asked for and not demanded: kubelets and Prometheus have none. */
export function tlsFor(callers: Callers | undefined) {
  return callers ? { ca: callers.ca, requestCert: true, rejectUnauthorized: false } : {};
}

/**
 * Why the caller may not send reviews; undefined when it may. A session that is taken up again counts as authorized to
 * Node also when it was begun without a certificate, so there must be one.
 */
export function strangerBy({ socket }: IncomingMessage, { names }: Callers): string | undefined {
  const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>;
  const certificate = getPeerCertificate?.call(socket);
  if (!certificate?.raw) return 'reviews are only taken with a client certificate';
  if (!authorized) return 'the client certificate is of no CA that counts here, or its time is over';
  const name = certificate.subject?.CN;
  if (names.length === 0 || (typeof name === 'string' && names.includes(name))) return undefined;
  return 'the name in the client certificate does not count here';
}
