/** What a registry's documents say: the manifest of a platform in an index, the config in a manifest, Airflow's version. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isBelow, sameRelease } from '../release/airflow/versions.ts';
import { isRecord } from '../release/model/json.ts';
import { Unreadable } from './unreadable.ts';

export const indexTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

export interface Platform {
  os: string;
  /** Undefined: any, amd64 and then arm64 before others. */
  architecture?: string | undefined;
}

export interface Descriptor {
  digest: string;
  size: number | undefined;
  platform: { os: string; architecture: string } | undefined;
}

/** What a manifest turned out to be. */
export type Manifest = { kind: 'index'; manifests: Descriptor[] } | { kind: 'image'; config: Descriptor };

/** Takes a manifest apart. Throws Unreadable for what it can't be, schema 1 among it. */
export function manifestOf(body: Buffer, contentType: string | undefined): Manifest {
  const parsed = recordOf(body, 'the manifest');
  if (parsed.schemaVersion === 1) throw new Unreadable('the image has a manifest of schema 1, which tells no version');
  const type = typeof parsed.mediaType === 'string' ? parsed.mediaType : contentType?.split(';', 1)[0]?.trim();
  const { manifests, config } = parsed;
  // A document that can be read as both is a trick (CVE-2021-41190).
  if (manifests !== undefined && config !== undefined) throw new Unreadable('the manifest is also an index');
  if (Array.isArray(manifests) && !manifestTypes.includes(type ?? ''))
    return { kind: 'index', manifests: manifests.flatMap((entry) => descriptorOf(entry) ?? []) };
  const described = descriptorOf(config);
  if (described && !indexTypes.includes(type ?? '')) return { kind: 'image', config: described };
  throw new Unreadable('the manifest is of a kind that is not known');
}

function descriptorOf(value: unknown): Descriptor | undefined {
  if (!isRecord(value) || typeof value.digest !== 'string' || !algorithmOf(value.digest)) return undefined;
  const { os, architecture } = isRecord(value.platform) ? value.platform : {};
  return {
    digest: value.digest,
    size: typeof value.size === 'number' ? value.size : undefined,
    platform: typeof os === 'string' && typeof architecture === 'string' ? { os, architecture } : undefined,
  };
}

/** The manifest of a platform; one that names none is taken where nothing is better. Throws Unreadable: there is none. */
export function choose(manifests: readonly Descriptor[], wanted: Platform): Descriptor {
  const fitting = manifests.filter(
    ({ platform: p }) =>
      !p || (p.os === wanted.os && (wanted.architecture === undefined || p.architecture === wanted.architecture)),
  );
  const order = ['amd64', 'arm64'];
  const rank = ({ platform: p }: Descriptor) => (p ? (order.indexOf(p.architecture) + 3) % 3 : 3);
  const [first] = fitting.toSorted((a, b) => rank(a) - rank(b));
  if (!first) throw new Unreadable(`the image is not made for ${wanted.os}/${wanted.architecture ?? 'any'}`);
  return first;
}

/** `sha256` or `sha512`; undefined for a digest that can't be verified. */
function algorithmOf(digest: string): string | undefined {
  return /^(sha256):[0-9a-f]{64}$|^(sha512):[0-9a-f]{128}$/.exec(digest)?.slice(1).find(Boolean);
}

/** Throws Unreadable when bytes are not those that their digest names. */
export function verify(body: Buffer, digest: string, what: string): void {
  const made = createHash(algorithmOf(digest) ?? 'sha256')
    .update(body)
    .digest();
  const named = Buffer.from(digest.slice(digest.indexOf(':') + 1), 'hex');
  if (made.length !== named.length || !timingSafeEqual(made, named))
    throw new Unreadable(`the registry gives another ${what} than its digest names`);
}

/** The digest of a manifest's bytes. */
export function digestOf(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

const label = 'org.apache.airflow.version';
const variable = 'AIRFLOW_VERSION';

/**
 * Airflow's version, as the image's config tells it: the label, else the environment, which images made from others keep
 * from below. Throws Unreadable when there is none, when it is no version of PEP 440 or when the two disagree.
 */
export function versionIn(body: Buffer): { version: string; from: 'label' | 'env' } {
  const { config } = recordOf(body, "the image's config");
  const { Labels, Env } = isRecord(config) ? config : {};
  const labelled = isRecord(Labels) ? versionFrom(Labels[label], `the label ${label}`) : undefined;
  const lines = Array.isArray(Env) ? Env.filter((line) => typeof line === 'string') : [];
  const last = lines.findLast((line) => line.startsWith(`${variable}=`));
  const set = versionFrom(last?.slice(variable.length + 1), variable);
  if (labelled && set && !sameRelease(labelled, set))
    throw new Unreadable(`its label ${label} says ${labelled} and its ${variable} says ${set}`);
  if (labelled) return { version: labelled, from: 'label' };
  if (set) return { version: set, from: 'env' };
  throw new Unreadable(`its config has neither the label ${label} nor ${variable}`);
}

function versionFrom(value: unknown, where: string): string | undefined {
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const text = value.trim();
  // Every version is above 0.dev0, the lowest there is; what is no version is above nothing.
  if (text.length <= 64 && isBelow('0.dev0', text)) return text;
  throw new Unreadable(`in its config ${where} is no version`);
}

function recordOf(body: Buffer, what: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (isRecord(parsed)) return parsed;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Unreadable(`${what} is no JSON object`);
}
