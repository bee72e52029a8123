/**
 * The one name of the cluster's DNS that this process needs: a pod could not mean a loopback address, so the connection
 * names a host, as a release's does.
 */
import dns from 'node:dns';
import { isIP } from 'node:net';

export const databaseHost = 'database.example';

/** No resolver asks anybody for it: it is too long a label. */
const nowhere = 'x'.repeat(64);

/**
 * Resolves that name to 127.0.0.1 in this process, until the returned function is called. `alone`: no other name is known,
 * so nothing leaves this machine.
 */
export function nameDatabase({ alone = false } = {}): () => void {
  const { lookup } = dns;
  const resolved = (host: string) => (host === databaseHost ? '127.0.0.1' : alone && !isIP(host) ? nowhere : host);
  const named = (host: string, ...rest: unknown[]) => (lookup as (...args: unknown[]) => void)(resolved(host), ...rest);
  dns.lookup = Object.assign(named, { __promisify__: lookup.__promisify__ }) as typeof lookup;
  return () => {
    dns.lookup = lookup;
  };
}
