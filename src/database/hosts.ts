/** Which hosts a database URL names, and under which names a pod of the release would find them. */
import { BlockList, isIP, isIPv6 } from 'node:net';

export interface DatabaseHost {
  /** As written in the URL. */
  host: string;
  port: number;
  /** Names to resolve, in order: the next one is for when the first does not exist. */
  names: string[];
}

const mostHosts = 16;

/** Addresses that mean the pod itself. */
const inside = new BlockList();
inside.addSubnet('127.0.0.0', 8);
inside.addSubnet('0.0.0.0', 8);
inside.addAddress('::1', 'ipv6');
inside.addAddress('::', 'ipv6');

/**
 * Hosts in the order to try: from `hostaddr=` or `host=` in the query (libpq prefers both to the URL's own), else from
 * the URL, several with commas. Nothing not understood is repeated in the sentence.
 */
export function hostsOf(
  authority: string,
  query: URLSearchParams,
  namespace: string,
): { hosts: DatabaseHost[] } | { unreadable: string } {
  const given = ['hostaddr', 'host'].map((name) => query.getAll(name)).find((values) => values.length > 0);
  const listed = (given ?? [authority]).flatMap((list) => list.split(','));
  if (listed.length > mostHosts) return { unreadable: `the connection URL names more than ${mostHosts} hosts` };
  // SQLAlchemy 2 lets the URL's own port count for one host of the query, and for none of several.
  const ownCounts = query.has('hostaddr') || listed.length === 1 || !given;
  const own = ownCounts ? ownPorts(authority.split(',').map(hostAndPort)) : [];
  const asked = query.getAll('port').flatMap((list) => list.split(','));
  const hosts: DatabaseHost[] = [];
  for (const [index, entry] of listed.map(hostAndPort).entries()) {
    const refused = refusedHost(entry?.host);
    if (!entry || refused) return { unreadable: refused ?? 'the connection URL has a host that is not understood' };
    const written = asked.length > 0 ? ofHost(asked, index) : (entry.port ?? ofHost(own, index));
    const port = Number(written || 5432);
    if (!isPort(port)) return { unreadable: 'the connection URL has a port that is not a number from 1 to 65535' };
    hosts.push({ host: entry.host, port, names: namesOf(entry.host, namespace) });
  }
  return { hosts };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65536;
}

/** The port of one host; a list that is too short has its first one for it. */
function ofHost(ports: (string | undefined)[], index: number): string | undefined {
  return ports[index] ?? ports[0];
}

type Written = { host: string; port?: string } | undefined;

function hostAndPort(text: string): Written {
  if (isIPv6(text)) return { host: text };
  const match = /^(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:]*))(?::(?<port>.*))?$/.exec(text)?.groups;
  return match && { host: match.ipv6 ?? match.host ?? '', ...(match.port && { port: match.port }) };
}

/** Of the URL itself: one port, at the end, counts for all its hosts. */
function ownPorts(written: Written[]): (string | undefined)[] {
  const ports = written.map((entry) => entry?.port);
  const set = ports.filter((port) => port !== undefined);
  return set.length === 1 && ports.at(-1) === set[0] ? written.map(() => set[0]) : ports;
}

function refusedHost(host: string | undefined): string | undefined {
  if (host === undefined) return undefined;
  if (host === '' || host.startsWith('/') || host.startsWith('@'))
    return 'the database is reached by a unix socket, which only exists inside the pod';
  const kind = isIP(host);
  if (kind === 0 && !/^[\w.-]+$/.test(host))
    return 'the connection URL has a host that is not understood: write @ in user and password as %40, : as %3A, / as %2F';
  // The resolver takes 2130706433, 0x7f.1 and 0177.0.0.1 for addresses, too: all of these are 127.0.0.1.
  if (kind === 0 && /^(?:0x[\da-f]*|\d+)(?:\.(?:0x[\da-f]*|\d+)){0,3}\.?$/i.test(host))
    return 'the connection URL has a number for a host that is no IP address';
  const local = kind === 0 ? /^localhost\.?$|\.localhost\.?$/i.test(host) : isInside(host, kind);
  return local ? `the database is at ${host}, which is only reachable inside the pod` : undefined;
}

function isInside(address: string, kind: number): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped) return inside.check(mapped);
  return inside.check(address, kind === 6 ? 'ipv6' : 'ipv4');
}

/** A name without a dot is a Service of the pod's own namespace before it is anything else. */
function namesOf(host: string, namespace: string): string[] {
  return isIP(host) !== 0 || host.includes('.') ? [host] : [`${host}.${namespace}.svc`, host];
}
