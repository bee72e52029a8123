/**
 * SQLAlchemy's URL → what PostgreSQL is dialled with.
 *
 * Read as SQLAlchemy 2.0 reads it (engine/url.py): user and password are percent-decoded and a `+` in them stays a
 * plus; the query is decoded as a form, where `+` is a space. No part of a URL that was not understood is ever
 * repeated, since it may be a piece of the password.
 */
import { type DatabaseHost, hostsOf } from './hosts.ts';

export type Encryption = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-full';

/** How to reach one database. The password is a function, so that no log or JSON shows it. */
export interface ConnectionSettings {
  /** In the order to try. */
  hosts: DatabaseHost[];
  user: string;
  password: () => string;
  database: string;
  encryption: Encryption;
  /** From `options=-csearch_path=…`. */
  searchPath?: string;
  /** From `options=-crole=…`. */
  role?: string;
  /** AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA; added by who knows the connection. */
  schema?: string;
  connectTimeoutMs?: number;
  /** target_session_attrs asks for a server that can be written to. */
  primaryOnly: boolean;
}

export type Unreadable = { unreadable: string };

const form =
  /^(?<name>[\w+]+):\/\/(?:(?<user>[^:/]*)(?::(?<password>[^@]*))?@)?(?<hosts>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/;

/** Far above any real one, also with a token for a password; it bounds the work that a stranger's URL can make. */
const mostCharacters = 8192;

const otherBackends: Record<string, string> = {
  mysql: 'MySQL',
  mariadb: 'MariaDB',
  sqlite: 'SQLite',
  mssql: 'Microsoft SQL Server',
  oracle: 'Oracle',
};

/** Settings for `url` as a pod of `namespace` would read it, or one sentence (without any secret) why not. */
export function parseDatabaseUrl(url: string, namespace: string): ConnectionSettings | Unreadable {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(url)) return refuse('holds a control character (perhaps a line break at its end)');
  if (url.length > mostCharacters) return refuse(`is longer than ${mostCharacters} characters`);
  const parts = form.exec(url)?.groups;
  if (!parts) return refuse('is not of the form postgresql://user:password@host:port/database');
  const backend = parts.name!.split('+')[0]!.toLowerCase();
  const other = otherBackends[backend];
  if (other) return { unreadable: `${other} can't be read from outside yet` };
  if (!['postgresql', 'postgres'].includes(backend)) return refuse('is for a kind of database that is not known');
  return settingsOf(parts, new URLSearchParams(parts.query ?? ''), namespace);
}

/** `host:port`, an IPv6 address in brackets. */
export function addressOf({ host, port }: DatabaseHost): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function settingsOf(
  parts: Record<string, string | undefined>,
  query: URLSearchParams,
  namespace: string,
): ConnectionSettings | Unreadable {
  for (const file of ['service', 'servicefile', 'passfile'])
    if (query.get(file)) return refuse(`names a ${file}, which is a file inside the pod`);
  const login = loginOf(parts, query);
  if ('unreadable' in login) return login;
  const hosts = hostsOf(parts.hosts ?? '', query, namespace);
  if ('unreadable' in hosts) return hosts;
  const encryption = encryptionOf(query);
  if (typeof encryption !== 'string') return encryption;
  return {
    hosts: hosts.hosts,
    ...login,
    encryption,
    ...sessionOptions(query.get('options') ?? ''),
    ...connectTimeout(query.get('connect_timeout')),
    primaryOnly: ['read-write', 'primary'].includes(query.get('target_session_attrs') ?? ''),
  };
}

/** Who comes in, by what, and to which database. */
function loginOf(
  parts: Record<string, string | undefined>,
  query: URLSearchParams,
): Pick<ConnectionSettings, 'user' | 'password' | 'database'> | Unreadable {
  const user = query.get('user') ?? percentDecoded(parts.user ?? '');
  const password = query.get('password') ?? percentDecoded(parts.password ?? '');
  const database = query.get('dbname') || parts.database || user;
  if (user === '') return refuse('names no user');
  if (`${parts.database}${parts.query}`.includes('@'))
    return refuse('has an @ after the host: write it as %40 in user and password, and / as %2F');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(user + database) || password.includes('\0')) return refuse('holds a control character');
  return { user, password: () => password, database };
}

function refuse(what: string): Unreadable {
  return { unreadable: `the connection URL ${what}` };
}

/** As Python's unquote: what is no valid escape stays as it is. */
function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString());
}

/**
 * libpq's sslmode (asyncpg calls it ssl). The pod's certificate files are not here and no file of ours takes their
 * place; only `sslrootcert=system` can be verified. `require` with a root certificate means verify-ca to libpq.
 */
function encryptionOf(query: URLSearchParams): Encryption | Unreadable {
  const root = query.get('sslrootcert');
  const mode = query.get('sslmode') ?? query.get('ssl') ?? (root === 'system' ? 'verify-full' : 'prefer');
  if (mode === 'disable') return mode;
  if (query.get('sslcert') || query.get('sslkey'))
    return refuse('asks for a client certificate, which is a file inside the pod');
  if (mode === 'verify-ca' || mode === 'verify-full' || (mode === 'require' && root)) {
    if (root === 'system') return 'verify-full';
    return refuse(`asks for sslmode=${mode} with a root certificate that is a file inside the pod`);
  }
  if (mode === 'allow' || mode === 'prefer' || mode === 'require') return mode;
  return refuse('has an sslmode that is not known');
}

/** `-c name=value`, `-cname=value` and `--name=value`; a backslash keeps a space (PostgreSQL's pg_split_opts). */
function sessionOptions(options: string): Pick<ConnectionSettings, 'searchPath' | 'role'> {
  const found: Pick<ConnectionSettings, 'searchPath' | 'role'> = {};
  for (const match of options.matchAll(/(?:-c\s*|--)([\w-]+)=((?:\\.|[^\s\\])*)/g)) {
    const value = match[2]!.replace(/\\(.)/g, '$1');
    const name = match[1]!.replaceAll('-', '_').toLowerCase();
    if (name === 'search_path') found.searchPath = value;
    if (name === 'role') found.role = value;
  }
  return found;
}

function connectTimeout(seconds: string | null): Pick<ConnectionSettings, 'connectTimeoutMs'> {
  const value = Number(seconds);
  return value > 0 ? { connectTimeoutMs: value * 1000 } : {};
}
