/** Settings for a server of the tests. It listens on loopback, which parseDatabaseUrl rightly refuses for a pod. */
import { type ConnectionSettings, parseDatabaseUrl } from '../../src/database/url.ts';

/** As parsed from `url`, with its query and login as they are, but dialled at the URL's own loopback address. */
export function settingsAt(url: string, changes: Partial<ConnectionSettings> = {}): ConnectionSettings {
  const { hostname, port } = new URL(url);
  const settings = parseDatabaseUrl(url.replace(`@${hostname}:`, '@db.example:'), 'air');
  if ('unreadable' in settings) throw new Error(settings.unreadable);
  return { ...settings, hosts: [hostAt(Number(port), hostname)], ...changes };
}

export function hostAt(port: number, host = '127.0.0.1') {
  return { host, port, names: [host] };
}
