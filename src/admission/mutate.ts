/**
 * /mutate: the guard of the workloads. It judges a change and holds what must wait.
 *
 * 1. Only an UPDATE that changes the main image, or that would lift a hold, is judged. The rest leaves before any I/O.
 * 2. allow: passes. A hold that stands stays as it is, for the controller to take off; an update that takes the whole hold
 *    off (the controller's own resume does) passes with it.
 * 3. hold: the object comes back held, with what was there before the first hold written down.
 * 4. deny: refused, with the reason.
 *
 * The API server may ask twice for one request (reinvocationPolicy) and repeats it after a conflict: the same question
 * always gets the same answer, and an object that is held already comes back untouched.
 */
import fastJsonPatch from 'fast-json-patch';
import { hold, holdOf } from '../release/hold.ts';
import type { Metadata, WorkloadObject } from '../release/objects.ts';
import { nameOf } from '../release/reasons.ts';
import type { Workload } from '../release/release.ts';
import type { Verdict } from '../release/verdict.ts';
import { readWorkload } from '../release/workload.ts';
import { judgeWithin } from './observe.ts';
import type { Ports } from './ports.ts';
import { type Answer, allowed, denied, errored, patched, type ReviewRequest } from './review.ts';

interface Change {
  request: ReviewRequest;
  desired: Workload;
  current: Workload;
  /** The update takes off the labels by which the workload is known. */
  unlabelled: boolean;
}

/** Answers the review of a Deployment or StatefulSet. */
export async function mutate(request: ReviewRequest, ports: Ports): Promise<Answer> {
  const { operation, object } = request;
  if (!['CREATE', 'UPDATE', 'DELETE', 'CONNECT'].includes(operation))
    return errored(400, `operation "${operation}" is not known`);
  if (operation !== 'UPDATE' || request.subResource !== '') return allowed('NotAirflow');
  if (request.group !== 'apps' || !isWorkloadKind(request.kind)) return allowed('NotAirflow');
  if (!isObject(object) || !isObject(request.oldObject)) return errored(400, 'an UPDATE needs object and oldObject');
  if (object.metadata.deletionTimestamp !== undefined) return allowed('NotAirflow');
  const change = changeOf(request, object, request.oldObject);
  if (!change) return allowed('NotAirflow');
  if (!matters(change)) return allowed('SameImage');
  return answer(change, object, await judgeChange(change, ports), ports);
}

function isWorkloadKind(kind: string): kind is Workload['kind'] {
  return kind === 'Deployment' || kind === 'StatefulSet';
}

function isObject(object: Record<string, unknown>): object is Record<string, unknown> & WorkloadObject {
  return Boolean(object.metadata && object.spec);
}

/** Both sides of the update as workloads; undefined when neither is one of Airflow's. */
function changeOf(request: ReviewRequest, object: WorkloadObject, old: WorkloadObject): Change | undefined {
  const read = (side: WorkloadObject, labels: Metadata['labels']) =>
    readWorkload({
      ...side,
      kind: request.kind,
      metadata: { ...side.metadata, name: request.name, namespace: request.namespace, labels },
    });
  const own = read(object, object.metadata.labels);
  const labels = own ? object.metadata.labels : old.metadata.labels;
  const desired = own ?? read(object, labels);
  const current = read(old, old.metadata.labels) ?? read(old, labels);
  return desired && current && { request, desired, current, unlabelled: own === undefined };
}

/** The main image changes, or a hold that stands would be lifted. */
function matters({ desired, current }: Change): boolean {
  return desired.image !== current.image || (current.hold !== undefined && !(desired.hold && desired.stopped));
}

function judgeChange({ desired, current, request }: Change, ports: Ports): Promise<Verdict> {
  const { kind, namespace, name } = desired;
  const subject = {
    workload: { kind, namespace, name, release: current.release },
    image: desired.image,
    from: current.hold?.from,
    declaredVersion: desired.declaredVersion,
    connection: async (signal: AbortSignal) => {
      const stored = await ports.storedWorkload(desired.kind, request.namespace, request.name, signal);
      if (!stored) throw new Error('the API server has none of this name');
      return stored;
    },
  };
  return judgeWithin(subject, ports);
}

function answer(change: Change, object: WorkloadObject, verdict: Verdict, ports: Ports): Answer {
  const { desired, current, unlabelled } = change;
  if (verdict.verdict === 'deny') return denied(verdict.reason, verdict.message);
  if (verdict.verdict === 'allow') {
    const half = current.hold && desired.hold && !desired.stopped;
    return half ? patched(holdPatch(change, object, ports), verdict, []) : allowed(verdict.reason);
  }
  // Held without its labels it would be found by nobody, and never resumed.
  if (unlabelled)
    return denied(verdict.reason, `${verdict.message}. The update also takes off the labels by which it is resumed`);
  const { reason } = verdict;
  return patched(holdPatch(change, object, ports), { verdict: 'hold', reason }, warningsOf(desired, verdict));
}

/**
 * What was there before the first hold is taken from the stored object; when this is the second call for one request,
 * from the object, which the first call has held.
 */
function holdPatch({ request, current }: Change, object: WorkloadObject, ports: Ports) {
  const standing = [current.object, object].find((o) => holdOf(o) !== undefined);
  const since = ports.now().toISOString();
  const held = hold(request.kind, object, standing, { since, by: request.username, from: current.image, before: {} });
  return fastJsonPatch.compare(object, held);
}

function warningsOf(workload: Workload, verdict: { reason: string; message: string }): string[] {
  const { namespace } = workload;
  const watch =
    verdict.reason === 'DatabaseUnreadable'
      ? `watch: kubectl -n ${namespace} events --for ${nameOf(workload)} -w`
      : `watch: kubectl -n ${namespace} get downgrade -w`;
  const meaning: Record<string, string> = {
    DatabaseAhead: 'downdraft will take the database back first',
    ProviderAhead: 'downdraft will take the database back first',
    ImageUnknown: 'downdraft asks the image first',
    RevisionUnknown: 'downdraft asks the running image first',
  };
  const what =
    meaning[verdict.reason] ?? `downdraft goes on trying, and resumes ${nameOf(workload)} by itself when it fits`;
  return [`downdraft holds ${verdict.message}`, `${what}; ${watch}`];
}
