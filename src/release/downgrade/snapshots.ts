/**
 * Backups that others make: a VolumeSnapshot of the database's volume, a Backup of CloudNativePG. downdraft asks for one
 * after the drain, by a name of this drain alone, and waits a bounded time until its maker says that it can be used. No
 * more than that word is known of it. It is never deleted by downdraft: that would delete data.
 *
 * Fields: kubernetes-csi/external-snapshotter v8, snapshot.storage.k8s.io/v1; cloudnative-pg 1.27, postgresql.cnpg.io/v1.
 */
import { runValue } from '../kubernetes/helper-pods.ts';
import { backupName } from '../model/backup-names.ts';
import { record, same } from '../model/json.ts';
import { runLabel } from '../model/kubernetes.ts';
import type { Places, SnapshotWay } from '../model/policy.ts';
import type { BackupObject } from '../model/release.ts';
import type { Run } from '../model/run.ts';

/** How far its maker is. */
export type Making =
  | { state: 'working' | 'failed'; message: string }
  /** The maker has named an error and may try again. */
  | { state: 'erring'; message: string }
  | { state: 'ready'; bytes?: number };

/** Where the two are in the API, and what they are made of. */
export const snapshotApis = {
  VolumeSnapshot: {
    group: 'snapshot.storage.k8s.io',
    kind: 'VolumeSnapshot',
    plural: 'volumesnapshots',
    source: { group: '', plural: 'persistentvolumeclaims' },
  },
  CNPGBackup: {
    group: 'postgresql.cnpg.io',
    kind: 'Backup',
    plural: 'backups',
    source: { group: 'postgresql.cnpg.io', plural: 'clusters' },
  },
} as const;

/** The API server does not take the object: one sentence. */
export class BackupRefused extends Error {
  override name = 'BackupRefused';
}

const uidAnnotation = 'downdraft.dev/run-uid';

/** Minutes until the next way is taken; Airflow stands still meanwhile. Those of Velero for a VolumeSnapshot. */
const patience: Record<SnapshotWay, number> = { VolumeSnapshot: 10, CNPGBackup: 60 };

/** Of what and where it is made: by the policy, else in the release's own namespace. Undefined without a place. */
export function sourceOf(way: SnapshotWay, places: Places, namespace: string) {
  if (way === 'VolumeSnapshot') {
    const at = places.volumeSnapshot;
    return at && { name: at.claim, namespace: at.namespace ?? namespace, minutes: at.waitMinutes ?? patience[way] };
  }
  const at = places.cnpg;
  return at && { name: at.cluster, namespace: at.namespace ?? namespace, minutes: at.waitMinutes ?? patience[way] };
}

/** The object to ask for in this drain. Throws when no policy says of what. */
export function askedObject(run: Run, way: SnapshotWay, places: Places, release: string): BackupObject {
  const { group, kind } = snapshotApis[way];
  const source = sourceOf(way, places, release);
  if (!source) throw new Error(`downgrade ${run.name} wants a ${kind}, but no policy says of what`);
  const labels = { [runLabel]: runValue(run.name), 'app.kubernetes.io/managed-by': 'downdraft' };
  const annotations = { [uidAnnotation]: run.uid };
  return {
    apiVersion: `${group}/v1`,
    kind,
    metadata: { name: backupName(run, way), namespace: source.namespace, labels, annotations },
    spec: way === 'VolumeSnapshot' ? snapshotSpec(places) : backupSpec(places),
  };
}

function snapshotSpec({ volumeSnapshot: at }: Places): Record<string, unknown> {
  const className = at?.className ? { volumeSnapshotClassName: at.className } : {};
  return { source: { persistentVolumeClaimName: at?.claim }, ...className };
}

function backupSpec({ cnpg: at }: Places): Record<string, unknown> {
  return {
    cluster: { name: at?.cluster },
    ...(at?.method ? { method: at.method } : {}),
    ...(at?.plugin ? { pluginConfiguration: { name: at.plugin } } : {}),
  };
}

/** What the maker says of the object. One that is not ours, or of something else, never counts. */
export function makingOf(way: SnapshotWay, object: BackupObject, asked: BackupObject): Making {
  const what = `${asked.kind} ${asked.metadata.namespace}/${asked.metadata.name}`;
  const theirs = object.metadata.annotations?.[uidAnnotation] !== asked.metadata.annotations?.[uidAnnotation];
  if (theirs) return { state: 'failed', message: `${what} is there already and was not made by this run` };
  const part = way === 'VolumeSnapshot' ? 'source' : 'cluster';
  if (!same(object.spec[part], asked.spec[part]))
    return { state: 'failed', message: `${what} was asked for before the policy named something else` };
  return way === 'VolumeSnapshot' ? snapshotSays(what, object.status ?? {}) : backupSays(what, object.status ?? {});
}

function snapshotSays(what: string, { readyToUse, restoreSize, error }: Record<string, unknown>): Making {
  if (readyToUse === true) {
    const bytes = quantity(restoreSize);
    return { state: 'ready', ...(bytes === undefined ? {} : { bytes }) };
  }
  const { message } = record(error) ?? {};
  if (message) return { state: 'erring', message: `${what}: ${String(message)}` };
  return { state: 'working', message: `${what} is being made` };
}

function backupSays(what: string, { phase, error }: Record<string, unknown>): Making {
  if (phase === 'completed') return { state: 'ready' };
  const named = error ? `: ${String(error)}` : '';
  if (phase === 'failed') return { state: 'failed', message: `${what} failed${named || ', without a reason'}` };
  return { state: 'working', message: `${what} is ${phase ? String(phase) : 'not begun yet'}${named}` };
}

const factors: Record<string, number> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** "10Gi", "1e9", 5 → bytes, whole ones; undefined for what is no quantity. */
export function quantity(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const [, number, unit = ''] = /^([0-9.]+(?:[eE][-+]?[0-9]+)?)([A-Za-z]*)$/.exec(String(value)) ?? [];
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined;
  const bytes = Math.ceil(Number(number) * (factor ?? Number.NaN));
  return Number.isFinite(bytes) ? bytes : undefined;
}
