/**
 * Which Airflow is in an image, from its config in its registry, without pulling it.
 *
 * 1. The manifest that the reference names. Wanted a login: each credential in turn, then nobody's (authorization.ts).
 * 2. An index: the manifest of the platform in it.
 * 3. The config that the manifest names; its label or its environment tells the version (manifest.ts).
 *
 * Every document is held against its digest and has a limit of size; the whole has one of time.
 */
import { authorizationFor, type Challenge, challengeOf } from './authorization.ts';
import type { Credential } from './credentials.ts';
import {
  choose,
  digestOf,
  indexTypes,
  type Manifest,
  manifestOf,
  manifestTypes,
  type Platform,
  verify,
  versionIn,
} from './manifest.ts';
import { type Place, placeOf } from './reference.ts';
import { type Answer, get, type Limits, openReach, type Reach } from './request.ts';
import { Unreadable } from './unreadable.ts';

export interface ReadOptions extends Limits {
  /** In the order in which they are tried (credentialsFor). */
  credentials: readonly Credential[];
  /** Default: Linux on any architecture that there is, amd64 and then arm64 before others. */
  platform?: Platform | undefined;
}

/** `digest` is that of what the reference names, so an index's where there is one: what a pod's imageID ends in. */
export type ImageRead = { version: string; from: 'label' | 'env'; digest: string } | { unknown: string };

/** As in ImageRead: what a pod's imageID ends in. */
export type DigestRead = { digest: string } | { unknown: string };

const manifestBytes = 4 * 1024 * 1024;
const configBytes = 8 * 1024 * 1024;

/**
 * Reads an image's version of Airflow. What the world does never throws: `unknown` is one line that says why, without a
 * secret. Whoever calls decides that this host may be dialled: the image's name does.
 */
export async function readImage(image: string, options: ReadOptions): Promise<ImageRead> {
  return await reading(image, options, (fetch, place) => readFrom(fetch, place, options.platform ?? { os: 'linux' }));
}

/**
 * Reads which image a name has now, by one HEAD, which registries don't count as a pull. A name with a digest has that one,
 * and nobody is asked. Throws as little as readImage.
 */
export async function readDigest(image: string, options: ReadOptions): Promise<DigestRead> {
  return await reading<DigestRead>(image, options, async (fetch, { reference, digest }) => {
    if (digest) return { digest };
    const accept = [...indexTypes, ...manifestTypes];
    const told = (await fetch(`manifests/${reference}`, accept, manifestBytes, 'HEAD')).headers[
      'docker-content-digest'
    ];
    // Not all registries say it, and it must be one that a pod's imageID can have.
    if (typeof told === 'string' && /^sha256:[0-9a-f]{64}$/.test(told)) return { digest: told };
    return { digest: (await manifestAt(fetch, reference, undefined)).digest };
  });
}

async function reading<T>(
  image: string,
  options: ReadOptions,
  read: (fetch: Fetch, place: Place) => Promise<T>,
): Promise<T | { unknown: string }> {
  try {
    const place = placeOf(image);
    const reach = openReach(options);
    try {
      return await read(repositoryAt(reach, place, options.credentials), place);
    } finally {
      reach.close();
    }
  } catch (error) {
    if (error instanceof Unreadable) return { unknown: error.message };
    throw error;
  }
}

/** Asks for a document of one repository (GET, if nothing else), whatever it takes to be let in. */
type Fetch = (path: string, accept: readonly string[], limitBytes: number, method?: 'GET' | 'HEAD') => Promise<Answer>;

async function readFrom(fetch: Fetch, place: Place, platform: Platform): Promise<ImageRead> {
  const top = await manifestAt(fetch, place.reference, place.digest);
  let { manifest } = top;
  // An index may name another index; nobody makes more than two of them.
  for (let depth = 0; manifest.kind === 'index'; depth++) {
    if (depth === 2) throw new Unreadable('the image is an index of indexes of indexes');
    const { digest } = choose(manifest.manifests, platform);
    ({ manifest } = await manifestAt(fetch, digest, digest));
  }
  const { digest, size } = manifest.config;
  if (size !== undefined && size > configBytes) throw new Unreadable("the image's config is larger than 8192 KiB");
  const { body } = await fetch(`blobs/${digest}`, ['*/*'], configBytes);
  verify(body, digest, 'config');
  return { ...versionIn(body), digest: place.digest ?? top.digest };
}

async function manifestAt(
  fetch: Fetch,
  reference: string,
  digest: string | undefined,
): Promise<{ manifest: Manifest; digest: string }> {
  const answer = await fetch(`manifests/${reference}`, [...indexTypes, ...manifestTypes], manifestBytes);
  if (digest) verify(answer.body, digest, 'manifest');
  return { manifest: manifestOf(answer.body, answer.headers['content-type']), digest: digestOf(answer.body) };
}

/** Opens a repository: the credential that let us in once is used for what follows. */
function repositoryAt(reach: Reach, place: Place, credentials: readonly Credential[]): Fetch {
  const asIfPlain = URL.parse(`http://${place.host}`);
  const insecure = asIfPlain !== null && reach.insecureHosts.includes(asIfPlain.host);
  const root = URL.parse(`${insecure ? 'http' : 'https'}://${place.host}/v2/${place.repository}/`);
  if (!root) throw new Unreadable('its name is no image reference');
  let authorization: string | undefined;

  const once: Fetch = (path, accept, limitBytes, method) => {
    const headers = { accept: accept.join(', '), ...(authorization ? { authorization } : {}) };
    return get(reach, new URL(path, root), headers, limitBytes, method);
  };

  return async (path, accept, limitBytes, method) => {
    let answer = await once(path, accept, limitBytes, method);
    const challenge = challengeFor(answer, root);
    if (!challenge) return expected(answer, place, credentials.length);
    // Nobody's login comes last: an old pull secret must not hide a public image.
    for (const credential of [...credentials, undefined]) {
      authorization = await authorizationFor(reach, challenge, { repository: place.repository, insecure }, credential);
      if (!authorization) continue;
      const tried = await once(path, accept, limitBytes, method);
      if (!isRefused(tried)) return expected(tried, place, credentials.length);
      // What nobody is told counts only where there is no login: the refusal of one says more.
      if (tried.status > answer.status && (credential || credentials.length === 0)) answer = tried;
    }
    return expected(answer, place, credentials.length);
  };
}

/** A registry may hide from one login what it shows to another; the highest of these says most. */
function isRefused({ status }: Answer): boolean {
  return [401, 403, 404].includes(status);
}

/** Only the registry's own challenge is met: storage to which it redirects is shown nothing. */
function challengeFor(answer: Answer, root: URL): Challenge | undefined {
  if (answer.status !== 401 || answer.url.origin !== root.origin) return undefined;
  return challengeOf(answer.headers['www-authenticate']);
}

function expected(answer: Answer, place: Place, logins: number): Answer {
  if (answer.status !== 200) throw new Unreadable(refusal(answer, place, logins));
  return answer;
}

function refusal({ status, url, headers }: Answer, place: Place, logins: number): string {
  const { host } = url;
  if (url.host !== URL.parse(`${url.protocol}//${place.host}`)?.host)
    return `${host}, to which ${place.registry} sends us, answers ${status}`;
  if (status === 401 || status === 403) {
    const secrets = logins === 1 ? 'the pull secret that is' : `any of the ${logins} pull secrets that are`;
    return logins === 0
      ? `${host} wants a login (${status}), and no pull secret is for it`
      : `${host} does not accept ${secrets} for it (${status})`;
  }
  if (status === 404) return `${host} has no ${place.repository} of that tag or digest (404)`;
  if (status !== 429) return `${host} answers ${status}`;
  const seconds = /^\d{1,6}$/.exec(headers['retry-after'] ?? '')?.[0];
  return `${host} has had too many requests (429)${seconds ? `; try again in ${seconds} s` : ''}`;
}
