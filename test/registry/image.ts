/** Images as a registry has them: a config, manifests and indexes, each with its digest. */
import { createHash } from 'node:crypto';

/** Bytes with their media type. */
export interface Document {
  type: string;
  body: Buffer;
}

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

export const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  docker: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.oci.image.config.v1+json',
};

export function digestOf(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

function describeDocument({ type, body }: Document): Descriptor {
  return { mediaType: type, digest: digestOf(body), size: body.length };
}

export function makeDocument(type: string, content: unknown): Document {
  return { type, body: Buffer.from(JSON.stringify(content)) };
}

export interface ImageWishes {
  label?: unknown;
  /** Value of AIRFLOW_VERSION. */
  env?: string;
  labels?: Record<string, unknown>;
  architecture?: string;
  /** Media type of the manifest; `withoutType` leaves it out of the document, as OCI allows. */
  type?: string;
  withoutType?: boolean;
  /** Added to the config, to make it large. */
  padding?: number;
}

export interface Image {
  config: Document;
  manifest: Document;
}

/** One image of one platform, e.g. with a label that says 3.1.8. */
export function makeImage(requests: ImageWishes = {}): Image {
  const { label, env, labels = {}, architecture = 'amd64', type = types.manifest } = requests;
  const Env = ['PATH=/usr/bin', ...(env === undefined ? [] : [`AIRFLOW_VERSION=${env}`])];
  const Labels = { ...labels, ...(label === undefined ? {} : { 'org.apache.airflow.version': label }) };
  const padding = requests.padding ? { history: [{ comment: 'x'.repeat(requests.padding) }] } : {};
  const config = makeDocument(types.config, { os: 'linux', architecture, config: { Env, Labels }, ...padding });
  const content = { schemaVersion: 2, config: describeDocument(config), layers: [] };
  const manifest = makeDocument(type, requests.withoutType ? content : { ...content, mediaType: type });
  return { config, manifest };
}

/** An index of images by platform ('linux/amd64'); '' for an entry that names none. */
export function makeIndex(manifests: Record<string, Document>, type = types.index): Document {
  const entries = Object.entries(manifests).map(([platform, document]) => {
    const [os, architecture] = platform.split('/');
    return { ...describeDocument(document), ...(platform ? { platform: { os, architecture } } : {}) };
  });
  return makeDocument(type, { schemaVersion: 2, mediaType: type, manifests: entries });
}
