/**
 * The one name of the cluster's DNS that this process needs: a pod could not mean a loopback address, so the connection
 * names a host, as a release's does.
 */
import dns from 'node:dns';

export const databaseHost = 'database.example';

/** Resolves that name to 127.0.0.1 in this process, until the returned function is called. */
export function nameDatabase(): () => void {
  const { lookup } = dns;
  const named = (host: string, ...rest: unknown[]) =>
    (lookup as (...args: unknown[]) => void)(host === databaseHost ? '127.0.0.1' : host, ...rest);
  dns.lookup = Object.assign(named, { __promisify__: lookup.__promisify__ }) as typeof lookup;
  return () => {
    dns.lookup = lookup;
  };
}
