/** Reading an image from a registry of the test, which ends with it. */
import { onTestFinished } from 'vitest';
import { credentialsFor, type PullSecret } from '../../src/registry/credentials.ts';
import { type DigestRead, type ImageRead, type ReadOptions, readDigest, readImage } from '../../src/registry/read.ts';
import { type Door, type Registry, startRegistry } from './registry.ts';

/** A registry until the end of the test that asks for it. */
export async function start(door?: Door, plain?: boolean): Promise<Registry> {
  const registry = await startRegistry(door, plain);
  onTestFinished(registry.stop);
  return registry;
}

/** The digest that `name` has in a registry, with one pull secret for each of the logins. */
export async function readDigestOf(registry: Registry, name: string, logins: string[] = []): Promise<DigestRead> {
  const secrets = logins.map((login) => secretOf(registry, { auth: btoa(login) }));
  const { credentials } = credentialsFor(`${registry.host}/${name}`, secrets);
  return await readDigest(`${registry.host}/${name}`, { credentials, ca: registry.ca, timeoutMs: 5000 });
}

/** Reads `name` from a registry, with one pull secret for each of the logins `user:password`. */
export async function read(
  registry: Registry,
  name: string,
  logins: string[] = [],
  more: Partial<ReadOptions> = {},
): Promise<ImageRead> {
  const secrets = logins.map((login) => secretOf(registry, { auth: btoa(login) }));
  const { credentials } = credentialsFor(`${registry.host}/${name}`, secrets);
  return await readImage(`${registry.host}/${name}`, { credentials, ca: registry.ca, timeoutMs: 5000, ...more });
}

/** A pull secret with one entry, for that registry. */
export function secretOf(registry: Registry, entry: object): PullSecret {
  const text = JSON.stringify({ auths: { [registry.host]: entry } });
  return { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': text } };
}
