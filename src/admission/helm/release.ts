/**
 * Helm's release record, which Helm writes before anything else: what workloads and hook Jobs are in it.
 *
 * Pure. Whoever may write a Secret can make one up: so each step is bounded, and linear but for the YAML parser (why it runs
 * in a thread of its own); the large rest of a record (chart, values) is stepped over and never parsed, and whatever is odd is
 * "nothing", never an error that would quote what stands in it. Values hold passwords: nothing of a record may be logged.
 */
import { gunzipSync } from 'node:zlib';
import { parseDocument } from 'yaml';
import { recognize } from '../../release/airflow/charts.ts';
import { readWorkload } from '../../release/kubernetes/workloads.ts';
import { isRecord } from '../../release/model/json.ts';
import type { Metadata, PodSpec, WorkloadObject } from '../../release/model/kubernetes.ts';
import type { Workload } from '../../release/model/workload.ts';
import { membersOf } from './members.ts';

export interface HelmRelease {
  name: string;
  namespace: string;
  /** All documents but the hooks, as rendered. */
  manifest: string;
  hooks: { manifest: string; events: string[] }[];
}

/** A Job of Airflow's on the database, run as a hook. */
export interface HookJob {
  name: string;
  release: string;
  image: string;
}

export interface Limits {
  /** Characters of data.release; an object has at most 1 MiB of data. */
  encoded: number;
  /** Bytes after decompression. */
  decoded: number;
  manifest: number;
  /** Of the hooks' list, and of one document: parsing 1 KiB of YAML takes about 1 ms. */
  hooks: number;
  document: number;
  /** All documents together that are parsed. */
  parsed: number;
  documents: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

/** Several times what the largest charts need. */
export const recordLimits: Limits = {
  encoded: 2 * MiB,
  decoded: 8 * MiB,
  manifest: 4 * MiB,
  hooks: 512 * KiB,
  document: 64 * KiB,
  parsed: 384 * KiB,
  documents: 5000,
};

/**
 * The record in a Secret (base64 of base64 of gzip of JSON) or a ConfigMap (one base64 less), as helm.sh/helm's
 * pkg/storage/driver writes it in 3.x and 4.x; without the gzip's magic number it is plain JSON. undefined when it is none.
 */
export function decodeHelmRelease(object: Record<string, unknown>, limits: Limits): HelmRelease | undefined {
  const encoded = isRecord(object.data) && Object.hasOwn(object.data, 'release') ? object.data.release : undefined;
  if (typeof encoded !== 'string' || encoded.length > limits.encoded) return undefined;
  const outer = object.kind === 'Secret' ? Buffer.from(encoded, 'base64').toString('latin1') : encoded;
  const packed = Buffer.from(outer, 'base64');
  try {
    const json =
      packed[0] === 0x1f && packed[1] === 0x8b ? gunzipSync(packed, { maxOutputLength: limits.decoded }) : packed;
    if (json.length > limits.decoded) return undefined;
    return releaseOf(membersOf(json), limits);
  } catch {
    return undefined;
  }
}

function releaseOf(members: Map<string, Buffer>, limits: Limits): HelmRelease | undefined {
  const read = (name: string, limit: number): unknown => {
    const raw = members.get(name);
    return raw && raw.length <= limit ? JSON.parse(raw.toString()) : undefined;
  };
  const [name, namespace] = [read('name', KiB), read('namespace', KiB)];
  const manifest = read('manifest', limits.manifest);
  const hooks = read('hooks', limits.hooks);
  if (typeof name !== 'string' || typeof namespace !== 'string' || typeof manifest !== 'string') return undefined;
  return { name, namespace, manifest, hooks: Array.isArray(hooks) ? hooks.filter(isHook) : [] };
}

function isHook(hook: unknown): hook is HelmRelease['hooks'][number] {
  return isRecord(hook) && typeof hook.manifest === 'string' && Array.isArray(hook.events);
}

/** Airflow's workloads of the manifest that go to this namespace. A generator, so that others may be served in between. */
export function* workloadsOf(release: HelmRelease, limits: Limits): Generator<Workload | undefined> {
  for (const object of objectsOf([release.manifest], workloadDocument, release.namespace, limits))
    yield object && read(() => readWorkload(object));
}

/** Airflow's Jobs among the hooks of one event ("pre-upgrade"). */
export function* hookJobsOf(release: HelmRelease, event: string, limits: Limits): Generator<HookJob | undefined> {
  const manifests = release.hooks.filter((hook) => hook.events.includes(event)).map((hook) => hook.manifest);
  for (const object of objectsOf(manifests, jobDocument, release.namespace, limits))
    yield object && read(() => hookJob(object));
}

function hookJob({ metadata, spec }: WorkloadObject): HookJob | undefined {
  const pod = spec.template.spec as PodSpec;
  const recognized = recognize(metadata, pod) ?? recognize(spec.template.metadata ?? {}, pod);
  const image = pod.containers.find((c) => c.name === recognized?.container)?.image;
  return recognized && image ? { name: metadata.name, release: recognized.release, image } : undefined;
}

/** Tells by its text whether a document is worth the parsing; other kinds are most of a manifest. */
const ours = /airflow|downdraft\.dev\//i;

const workloadDocument = /(?:^|[{,]\s*)["']?kind["']?\s*:\s*["']?(?:Deployment|StatefulSet)\b/m;
const jobDocument = /(?:^|[{,]\s*)["']?kind["']?\s*:\s*["']?Job\b/m;

/** The parsed documents whose text fits; undefined stands for one that can't be used. */
function* objectsOf(
  manifests: string[],
  kind: RegExp,
  namespace: string,
  limits: Limits,
): Generator<WorkloadObject | undefined> {
  let left = limits.parsed;
  for (const text of documentsOf(manifests, limits.documents)) {
    if (text.length > Math.min(limits.document, left) || !kind.test(text) || !ours.test(text)) continue;
    left -= text.length;
    yield read(() => objectOf(text, namespace));
  }
}

function* documentsOf(manifests: string[], most: number): Generator<string> {
  let count = 0;
  for (const manifest of manifests) {
    let start = 0;
    for (const { index } of manifest.matchAll(/^---(?=\s|$)/gm)) {
      if (++count > most) return;
      yield manifest.slice(start, index);
      start = index + 3;
    }
    yield manifest.slice(start);
  }
}

/** Not for unique keys: comparing each with each takes half a minute for 256 KiB of them. */
const yamlOptions = { uniqueKeys: false, prettyErrors: false, logLevel: 'silent', stringKeys: true } as const;

function objectOf(text: string, namespace: string): WorkloadObject | undefined {
  const document = parseDocument(text, yamlOptions);
  if (document.errors.length > 0) return undefined;
  const object: unknown = document.toJS({ maxAliasCount: 100 });
  if (!isRecord(object) || !isRecord(object.metadata) || !isRecord(object.spec)) return undefined;
  if (object.apiVersion !== 'apps/v1' && object.apiVersion !== 'batch/v1') return undefined;
  const metadata = object.metadata as unknown as Metadata;
  if (typeof metadata.name !== 'string' || !/^[a-z0-9][a-z0-9.-]{0,252}$/.test(metadata.name)) return undefined;
  // Of another namespace its writer need not be allowed to learn anything.
  if ((metadata.namespace ?? namespace) !== namespace) return undefined;
  const { spec, metadata: inner } = (object as unknown as WorkloadObject).spec.template;
  if (![metadata, inner ?? {}].every(({ labels, annotations }) => isTexts(labels) && isTexts(annotations)))
    return undefined;
  if (!spec.containers.every((c) => typeof c.name === 'string' && typeof (c.image ?? '') === 'string'))
    return undefined;
  return { ...(object as unknown as WorkloadObject), metadata: { ...metadata, namespace } };
}

/** What an odd object makes a reader throw means that it is none of Airflow's. */
function read<T>(reading: () => T): T | undefined {
  try {
    return reading();
  } catch {
    return undefined;
  }
}

function isTexts(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    (isRecord(value) && Object.values(value).every((v) => typeof v === 'string'))
  );
}
