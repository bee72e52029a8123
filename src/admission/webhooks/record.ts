/**
 * /record: Helm's release record, the first thing that an upgrade or a rollback writes. A denial here leaves nothing half
 * applied, where a denial of a workload comes after the Secrets and ConfigMaps.
 *
 * It only says earlier what /mutate would say, and never holds: what is not certain is let through, since the workloads'
 * own webhook is the guard. So nothing here may throw: an answer "could not judge" would refuse the upgrade.
 */
import { connectionFingerprint, readWorkload } from '../../release/kubernetes/workloads.ts';
import { nameOf } from '../../release/model/kubernetes.ts';
import type { Workload } from '../../release/model/workload.ts';
import type { Verdict } from '../../release/verdict/question.ts';
import { readRecord } from '../helm/record-reader.ts';
import type { HookJob } from '../helm/release.ts';
import { judgeWithin } from '../judging/evaluate.ts';
import type { Ports } from '../ports.ts';
import { type Answer, allowed, denied, type ReviewRequest } from '../review.ts';

/** Status of a record that is about to change workloads → the hooks that Helm waits for first. */
const pending: Record<string, { event: string; cure: string }> = {
  'pending-upgrade': {
    event: 'pre-upgrade',
    cure: "make it a post-upgrade hook (the official chart's default), or set migrateDatabaseJob.enabled=false for the downgrade",
  },
  'pending-rollback': {
    event: 'pre-rollback',
    cure: 'go back by helm upgrade with the older version and migrateDatabaseJob.enabled=false, since a rollback takes the hooks as they were',
  },
};

/** One image that the record brings in front of a database, and the workloads to which it does. */
interface ImageChange {
  desired: Workload;
  stored: Workload;
  /** On another database than the one that is stored. */
  elsewhere: boolean;
  /** How many further workloads change to the same. */
  others: number;
}

/** More than any release of Airflow has; each is a question to the API server. */
const mostWorkloads = 50;

/** Answers the review of a Secret or ConfigMap: denied when a workload in it would be denied, or could never be held. */
export async function early(request: ReviewRequest, ports: Ports): Promise<Answer> {
  const about = pendingOf(request);
  if (!about) return allowed('NotAirflow');
  const { budgetMs } = ports.settings;
  const over = new AbortController();
  const { promise: late, resolve } = Promise.withResolvers<Answer>();
  const clock = setTimeout(() => resolve(notJudged), budgetMs);
  try {
    return await Promise.race([judgeRecord(request, about, over.signal, ports), late]);
  } catch {
    return notJudged;
  } finally {
    clearTimeout(clock);
    // Whatever is still read or asked is for nobody.
    over.abort();
  }
}

/** Let through without a judgement: the workloads' webhook judges. */
const notJudged: Answer = { ...allowed('NotAirflow'), audit: { verdict: 'allow', reason: 'NotJudged' } };

function pendingOf({ operation, kind, group, subResource, object }: ReviewRequest) {
  if (operation !== 'CREATE' || group !== '' || subResource !== '') return undefined;
  if (kind !== 'ConfigMap' && !(kind === 'Secret' && object.type === 'helm.sh/release.v1')) return undefined;
  const { labels } = (object.metadata ?? {}) as { labels?: Record<string, unknown> };
  const status = labels?.owner === 'helm' ? labels.status : undefined;
  return typeof status === 'string' && Object.hasOwn(pending, status) ? pending[status] : undefined;
}

type Pending = (typeof pending)[string];

async function judgeRecord(request: ReviewRequest, about: Pending, signal: AbortSignal, ports: Ports): Promise<Answer> {
  const { namespace } = request;
  const question = { object: recordOf(request), namespace, event: about.event };
  const read = await readRecord(question, signal);
  if (!read) return notJudged;
  const { workloads, jobs } = read;
  if (workloads.length === 0) return allowed('NotAirflow');
  const changes = await changesOf(workloads.slice(0, mostWorkloads), signal, ports);
  const judged = await Promise.all(
    changes.map(async (change) => ({ change, verdict: await judgeChange(change, ports) })),
  );
  for (const { change, verdict } of judged)
    if (verdict.verdict === 'deny') return denied(verdict.reason, withOthers(verdict.message, change));
  return deadlock(judged, jobs, about) ?? allowed(judged[0]?.verdict.reason ?? 'SameImage');
}

/** Only what is read of it: the whole object would be copied into the thread. */
function recordOf({ kind, object }: ReviewRequest) {
  const { release } = (object.data ?? {}) as { release?: unknown };
  return { kind, data: typeof release === 'string' ? { release } : {} };
}

/** The changes of image to what is stored. Workloads of one release that change to the same count once: they share a database. */
async function changesOf(workloads: Workload[], signal: AbortSignal, ports: Ports): Promise<ImageChange[]> {
  const found = await Promise.all(
    workloads.map(async (desired) => {
      const { kind, namespace, name } = desired;
      const object = await ports.storedWorkload(kind, namespace, name, signal);
      const stored = object && readWorkload({ ...object, kind });
      return stored && stored.images.join(' ') !== desired.images.join(' ') ? [{ desired, stored }] : [];
    }),
  );
  const changes = new Map<string, ImageChange>();
  for (const { desired, stored } of found.flat()) {
    const elsewhere = namesOtherDatabase(desired, stored);
    const key = JSON.stringify([stored.release, desired.images, desired.declaredVersion, stored.hold?.from, elsewhere]);
    const same = changes.get(key);
    if (same) same.others++;
    else changes.set(key, { desired, stored, elsewhere, others: 0 });
  }
  return [...changes.values()];
}

/** Annotations by which charts make new pods when a Secret with the connection changes. */
const connectionChecksums = ['metadata-secret', 'pgbouncer-config-secret', 'extra-secrets', 'secret-config-envs'];

/**
 * Helm writes the Secrets after this record and before the workloads: whoever points an older Airflow at a restored
 * database must not be judged by the one that is stored now.
 */
function namesOtherDatabase(desired: Workload, stored: Workload): boolean {
  const sumsOf = ({ object }: Workload) => object.spec.template.metadata?.annotations ?? {};
  const [wanted, current] = [sumsOf(desired), sumsOf(stored)];
  if (connectionOf(desired) !== connectionOf(stored)) return true;
  return connectionChecksums.some((name) => wanted[`checksum/${name}`] !== current[`checksum/${name}`]);
}

/** A chart may write in another order, and write out what is empty; the API server keeps neither. */
function connectionOf({ object, container }: Workload): string {
  const main = object.spec.template.spec.containers.find((c) => c.name === container);
  const canonical = JSON.stringify(main ?? {}, (_, value) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    const members = Object.entries(value).filter(([, v]) => v !== null && v !== '');
    return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return connectionFingerprint(JSON.parse(canonical));
}

async function judgeChange({ desired, stored, elsewhere }: ImageChange, ports: Ports): Promise<Verdict> {
  if (elsewhere) return { verdict: 'hold', reason: 'ConnectionChanged', message: '' };
  const { kind, namespace, name, image, images, declaredVersion } = desired;
  const workload = { kind, namespace, name, release: stored.release };
  const connection = async () => stored.object;
  const subject = { workload, image, others: images.slice(1), declaredVersion, from: stored.hold?.from, connection };
  return judgeWithin(subject, ports);
}

function withOthers(message: string, { others }: ImageChange): string {
  const also = others === 0 ? '' : ` The same goes for ${others} more ${others === 1 ? 'workload' : 'workloads'}.`;
  return `${message}.${also} Helm has applied nothing`;
}

/** Only what is certain: an image or a database that could not be asked may fit after all. */
function isAhead(verdict: Verdict): boolean {
  return verdict.verdict === 'hold' && ['DatabaseAhead', 'ProviderAhead'].includes(verdict.reason);
}

/** Helm would wait for a Job that can only succeed after a downgrade, and the downgrade for the workloads that come after it. */
function deadlock(
  judged: { change: ImageChange; verdict: Verdict }[],
  jobs: HookJob[],
  about: Pending,
): Answer | undefined {
  for (const { change, verdict } of judged) {
    if (!isAhead(verdict) || verdict.verdict === 'allow') continue;
    const { image } = change.desired;
    const job = jobs.find((j) => j.image === image && j.release === change.stored.release);
    if (!job) continue;
    const what = `${nameOf({ kind: 'Job', name: job.name })} is a ${about.event} hook, so helm would wait for it before it changes any workload, but it can't succeed until the database has been downgraded, which begins with the workloads`;
    return denied('MigrationHookFirst', `${what} (${verdict.message}); ${about.cure}. Helm has applied nothing`);
  }
  return undefined;
}
