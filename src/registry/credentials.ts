/**
 * Which of a pod's pull secrets are for an image: as kubelet's pkg/credentialprovider does it (Kubernetes 1.34), but
 * that a damaged Secret or entry is left out and told, where kubelet gives up on all of them; and that an identity
 * token is used, which kubelet does not know.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { isRecord } from '../release/model/json.ts';
import { placeOf } from './reference.ts';
import { Unreadable } from './unreadable.ts';

export interface PullSecret {
  type: string;
  /** Decoded from base64. */
  data: Record<string, string>;
  name?: string;
}

/** Secrets are functions, so that no log and no JSON has them by accident. */
export interface Credential {
  username: string;
  password: () => string;
  /** A refresh token of OAuth 2, which is used instead of the password where the registry has tokens. */
  identityToken: (() => string) | undefined;
  /** Tells two credentials apart within this process, without telling what they are. */
  identity: string;
}

export interface Credentials {
  credentials: Credential[];
  /** What could not be read of the Secrets, one sentence each, without their content. */
  faults: string[];
}

interface Entry {
  key: string;
  credential: Credential;
}

/** The credentials for an image, in the order in which kubelet would try them. None for what is no image reference. */
export function credentialsFor(image: string, pullSecrets: readonly PullSecret[]): Credentials {
  const faults: string[] = [];
  const entries = pullSecrets.flatMap((secret, at) => {
    const name = secret.name ?? `${at + 1}`;
    return entriesOf(secret, (what) => {
      faults.push(`pull secret ${name} ${what}`);
      return [];
    });
  });
  const target = nameOf(image);
  if (target === undefined) return { credentials: [], faults };
  // Descending, so that longer keys of one host come first; those of one key stay in the order of the Secrets.
  const sorted = entries.toSorted((a, b) => (a.key === b.key ? 0 : a.key < b.key ? 1 : -1));
  const matching = sorted.filter(({ key }) => matches(key, target));
  const chosen =
    matching.length === 0 && target.startsWith('docker.io/') ? sorted.filter((e) => e.key === hub) : matching;
  return { credentials: withoutTwins(chosen.map((e) => e.credential)), faults };
}

/** The key that `https://index.docker.io/v1/`, which `docker login` writes, comes down to. */
const hub = 'index.docker.io';

/** The repository with its registry, as kubelet looks it up: docker.io/library/busybox. */
function nameOf(image: string): string | undefined {
  try {
    const { registry, repository } = placeOf(image);
    return `${registry}/${repository}`;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** Keeps what is wrong with a Secret; nothing comes of it. */
type Tell = (what: string) => [];

const files = new Map([
  ['kubernetes.io/dockerconfigjson', '.dockerconfigjson'],
  ['kubernetes.io/dockercfg', '.dockercfg'],
]);

function entriesOf(secret: PullSecret, tell: Tell): Entry[] {
  const file = files.get(secret.type);
  if (!file) return tell('is of another type');
  const text = secret.data[file];
  if (!text) return tell(`has no ${file}`);
  const parsed = recordOf(text);
  if (!parsed) return tell(`has a ${file} that is no JSON object`);
  const auths = file === '.dockercfg' ? parsed : (parsed.auths ?? {});
  if (!isRecord(auths)) return tell(`has a ${file} whose auths are no JSON object`);
  return Object.entries(auths).flatMap(([location, value]) => {
    const credential = credentialOf(value);
    if (typeof credential === 'string') return tell(`has an entry ${credential}`);
    return credential ? [{ key: keyOf(location), credential }] : [];
  });
}

/** A Credential; what is wrong with the entry; or undefined when it is an empty one, as credential stores leave. */
function credentialOf(entry: unknown): Credential | string | undefined {
  if (!isRecord(entry)) return 'that is no JSON object';
  const { username = '', password = '', auth = '', identitytoken = '' } = entry;
  for (const field of [username, password, auth, identitytoken])
    if (typeof field !== 'string') return 'with a field that is no text';
  let login = { username: username as string, password: password as string };
  if (auth) {
    const decoded = Buffer.from((auth as string).trim(), 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    if (colon < 0) return 'whose auth is not base64 of user:password';
    login = { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, '') };
  }
  if (!login.username && !login.password && !identitytoken) return undefined;
  return secretly(login.username, login.password, identitytoken as string);
}

/** For this process alone, so that an identity can't be guessed back into a password. */
const salt = randomBytes(32);

function secretly(username: string, password: string, token: string): Credential {
  const identity = createHmac('sha256', salt)
    .update(JSON.stringify([username, password, token]))
    .digest('hex');
  return { username, password: () => password, identityToken: token ? () => token : undefined, identity };
}

function withoutTwins(credentials: Credential[]): Credential[] {
  return credentials.filter((c, at) => credentials.findIndex(({ identity }) => identity === c.identity) === at);
}

/** Host and path of a location: without scheme, `/v1/…` and `/v2/…` being the same as `/…`, and a bare `/` as nothing. */
function keyOf(location: string): string {
  const bare = location.replace(/^https?:\/\//, '').replace(/[?#].*$/s, '');
  const slash = bare.indexOf('/');
  const host = slash < 0 ? bare : bare.slice(0, slash);
  const path = slash < 0 ? '' : bare.slice(slash).replace(/^\/v[12](?=\/)/, '');
  return host.slice(host.lastIndexOf('@') + 1) + (path === '/' ? '' : path);
}

/** Whether a key is for a name: same port, as many labels, each fitting its glob, the path a prefix (of the text). */
function matches(key: string, name: string): boolean {
  const [wanted, found] = [partsOf(key), partsOf(name)];
  return (
    wanted.port === found.port &&
    wanted.labels.length === found.labels.length &&
    found.path.startsWith(wanted.path) &&
    wanted.labels.every((glob, at) => fits(glob, found.labels[at]!))
  );
}

function partsOf(name: string): { labels: string[]; port: string; path: string } {
  const [, host = '', port = '', path = ''] = /^(\[[^\]]*\]|[^/:]*)(?::([^/]*))?(.*)$/s.exec(name) ?? [];
  return { labels: host.split('.'), port, path };
}

/** `*` stands for any characters of one label. Without backtracking: the pieces between are looked for in order. */
function fits(glob: string, label: string): boolean {
  const pieces = glob.split('*');
  const [first = '', last = ''] = [pieces[0], pieces.at(-1)];
  if (pieces.length === 1) return glob === label;
  if (label.length < first.length + last.length || !label.startsWith(first) || !label.endsWith(last)) return false;
  const middle = label.slice(first.length, label.length - last.length);
  let at = 0;
  for (const piece of pieces.slice(1, -1)) {
    const found = middle.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return true;
}

function recordOf(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
