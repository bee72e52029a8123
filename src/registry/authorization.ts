/**
 * What a registry wants to be shown, and getting it: the header Authorization for one repository, to read.
 *
 * A registry answers 401 and says how (WWW-Authenticate): Basic, or Bearer with a token from the realm that it names.
 * Sources: distribution.github.io/distribution/spec/auth/token and …/oauth.
 */
import type { Credential } from './credentials.ts';
import { ask, type Reach } from './request.ts';
import { Unreadable } from './unreadable.ts';

export interface Challenge {
  scheme: 'basic' | 'bearer';
  parameters: Record<string, string>;
}

/** The challenge that we can meet, Bearer before Basic; undefined when there is none. */
export function challengeOf(header: string | undefined): Challenge | undefined {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const part = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g;
  for (const [text, name = '', quoted, plain] of (header ?? '').matchAll(part)) {
    if (!text.includes('=')) challenges.push({ scheme: name.toLowerCase(), parameters: {} });
    else {
      const value = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
      const parameters = challenges.at(-1)?.parameters;
      if (parameters) parameters[name.toLowerCase()] = value;
    }
  }
  const met = challenges.find((c) => c.scheme === 'bearer') ?? challenges.find((c) => c.scheme === 'basic');
  return met as Challenge | undefined;
}

/** What the token is for. */
export interface Wanted {
  repository: string;
  /** Whether the registry is spoken to in plain HTTP: then its realm may be, too. */
  insecure: boolean;
}

/**
 * The header for one credential (undefined: as nobody in particular), or undefined when it does not serve here or is
 * refused. Throws Unreadable when the realm can't be asked.
 */
export async function authorizationFor(
  reach: Reach,
  challenge: Challenge,
  wanted: Wanted,
  credential: Credential | undefined,
): Promise<string | undefined> {
  if (challenge.scheme === 'basic') return credential && hasLogin(credential) ? basic(credential) : undefined;
  const token = await tokenFrom(reach, challenge, wanted, credential);
  return token === undefined ? undefined : `Bearer ${token}`;
}

function hasLogin(credential: Credential): boolean {
  return credential.username !== '' && (credential.password() !== '' || !credential.identityToken);
}

function basic(credential: Credential): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.password()}`).toString('base64')}`;
}

async function tokenFrom(
  reach: Reach,
  { parameters }: Challenge,
  wanted: Wanted,
  credential: Credential | undefined,
): Promise<string | undefined> {
  const realm = URL.parse(parameters.realm ?? '');
  if (!realm) throw new Unreadable('the registry names no realm to get a token from');
  realm.username = '';
  realm.password = '';
  const within = wanted.insecure ? { ...reach, insecureHosts: [...reach.insecureHosts, realm.host] } : reach;
  const asked = {
    ...(parameters.service ? { service: parameters.service } : {}),
    scope: parameters.scope || `repository:${wanted.repository}:pull`,
  };
  if (credential?.identityToken) {
    const form = { grant_type: 'refresh_token', client_id: 'downdraft', refresh_token: credential.identityToken() };
    const body = new URLSearchParams({ ...form, ...asked }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await ask(within, realm, { method: 'POST', headers, body }, tokenBytes);
    // Not every realm speaks OAuth 2; the way by GET is the one that all have.
    if (![404, 405].includes(answer.status) || !hasLogin(credential)) return tokenIn(answer, realm.host);
  }
  if (credential && !hasLogin(credential)) return undefined;
  for (const [name, value] of Object.entries(asked)) realm.searchParams.set(name, value);
  const headers: Record<string, string> = credential ? { authorization: basic(credential) } : {};
  return tokenIn(await ask(within, realm, { method: 'GET', headers }, tokenBytes), realm.host);
}

const tokenBytes = 1024 * 1024;

function tokenIn(answer: { status: number; body: Buffer }, host: string): string | undefined {
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) return undefined;
  if (answer.status !== 200) throw new Unreadable(`${host} gives no token (${answer.status})`);
  const token = fieldOf(answer.body.toString('utf8'));
  // Anything else could not be put into a header.
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token))
    throw new Unreadable(`${host} gives no token (its answer holds none)`);
  return token;
}

function fieldOf(text: string): string | undefined {
  try {
    const { token, access_token } = JSON.parse(text) ?? {};
    return [token, access_token].find((field) => typeof field === 'string' && field !== '');
  } catch {
    return undefined;
  }
}
