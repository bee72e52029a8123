/**
 * /mutate: the guard of the workloads. It judges a change and holds what must wait.
 *
 * 1. Judged are a CREATE, and an UPDATE that changes an image that opens the database, the connection's environment, or
 *    that would lift a hold. The rest leaves before any I/O.
 * 2. allow: passes. A hold that stands stays as it is, for the controller to take off. When the controller does, under our
 *    own account, nothing is judged again: it has asked inside a pod where a review can't look.
 * 3. hold: the object comes back held, with what was there before the first hold written down.
 * 4. deny: refused, with the reason.
 *
 * The API server may ask twice for one request (reinvocationPolicy) and repeats it after a conflict: the same question
 * always gets the same answer, and an object that is held already comes back untouched.
 */
import fastJsonPatch from 'fast-json-patch';
import { hold, holdOf } from '../../release/kubernetes/hold.ts';
import { label, nameOf, type WorkloadObject } from '../../release/model/kubernetes.ts';
import type { Workload } from '../../release/model/workload.ts';
import type { Decision } from '../../release/verdict/decide.ts';
import { foremost } from '../../release/verdict/workload.ts';
import { type Change, readChange } from '../judging/change.ts';
import { isOwn, judgeWithin, storedRelease } from '../judging/evaluate.ts';
import type { Ports } from '../ports.ts';
import { type Answer, allowed, denied, errored, patched, type ReviewRequest } from '../review.ts';

/** Answers the review of a Deployment or StatefulSet. */
export async function mutate(request: ReviewRequest, ports: Ports): Promise<Answer> {
  const { operation, object } = request;
  if (!['CREATE', 'UPDATE', 'DELETE', 'CONNECT'].includes(operation))
    return errored(400, `operation "${operation}" is not known`);
  if (!isChange(request) || !isOfWorkload(request)) return allowed('NotAirflow');
  const needed = operation === 'UPDATE' ? [object, request.oldObject] : [object];
  if (!isObject(object) || !needed.every(isObject))
    return errored(400, operation === 'UPDATE' ? 'an UPDATE needs object and oldObject' : 'a CREATE needs an object');
  if (object.metadata.deletionTimestamp !== undefined) return allowed('NotAirflow');
  const change = readChange(request, object, operation === 'UPDATE' ? (request.oldObject as never) : undefined);
  if (!change) return allowed('NotAirflow');
  if (!matters(change)) return allowed('SameImage');
  if (await isOwnResume(change, ports)) return allowed('Resumed');
  return change.current ? judgeUpdate(change, change.current, object, ports) : judgeCreate(change, object, ports);
}

/** Of the object itself: its status and its scale hold no image. */
function isChange({ operation, subResource }: ReviewRequest): boolean {
  return (operation === 'UPDATE' || operation === 'CREATE') && subResource === '';
}

function isOfWorkload({ group, kind }: ReviewRequest): boolean {
  return group === 'apps' && ['Deployment', 'StatefulSet'].includes(kind);
}

function isObject(object: Record<string, unknown>): object is Record<string, unknown> & WorkloadObject {
  return Boolean(object.metadata && object.spec);
}

/** What opens the database is another image or another database, or a hold that stands would be lifted. */
function matters({ desired, current }: Change): boolean {
  if (!current || opensOther(desired, current)) return true;
  return current.hold !== undefined && !(desired.hold && desired.stopped);
}

function opensOther(desired: Workload, current: Workload): boolean {
  return desired.images.join(' ') !== current.images.join(' ') || desired.connection !== current.connection;
}

/**
 * The controller takes a whole hold off, and neither image nor database changes: judged again, a database that can't be
 * read from outside would put each hold back for ever. Who forges a review under our name has its answer for himself.
 */
async function isOwnResume({ desired, current, request }: Change, ports: Ports): Promise<boolean> {
  if (!current?.hold || desired.hold || opensOther(desired, current)) return false;
  return isOwn(request.username, ports);
}

async function judgeUpdate(change: Change, current: Workload, object: WorkloadObject, ports: Ports): Promise<Answer> {
  const { desired, request } = change;
  const subject = {
    ...subjectOf(desired),
    from: current.hold?.from,
    connectionChanged: desired.connection !== current.connection,
    connection: (signal: AbortSignal) => {
      const stored = ports.storedWorkload(desired.kind, request.namespace, request.name, signal);
      return stored instanceof Promise ? stored.then(thatIsStored) : thatIsStored(stored);
    },
  };
  const decision = await judgeWithin(
    { ...subject, workload: { ...subject.workload, release: current.release } },
    ports,
  );
  const before = { from: current.image, connection: current.connection };
  const since = () => ({ ...before, since: ports.now().toISOString(), by: request.username });
  return answer(change, object, decision, since);
}

function thatIsStored(object: WorkloadObject | undefined): WorkloadObject {
  if (!object) throw new Error('the API server has none of this name');
  return object;
}

/** A new workload of a release that is there already is judged on that release's database; its own is not believed yet. */
async function judgeCreate(change: Change, object: WorkloadObject, ports: Ports): Promise<Answer> {
  const { desired, request } = change;
  let from = '';
  const subject = {
    ...subjectOf(desired),
    created: true,
    lenient: true,
    otherwise: 'NewRelease' as const,
    connection: async (signal: AbortSignal) => {
      const stored = await storedRelease(ports, desired, signal);
      const held = stored.find((w) => w.hold?.from);
      if (stored.length === 0) return undefined;
      from = held?.hold?.from ?? foremost(stored).image;
      return (held ?? foremost(stored)).object;
    },
  };
  const decision = await judgeWithin(subject, ports);
  const before = from === desired.image ? '' : from;
  const since = () => ({ since: ports.now().toISOString(), by: request.username, from: before });
  return answer(change, object, decision, since);
}

function subjectOf({ kind, namespace, name, release, image, images, declaredVersion }: Workload) {
  return { workload: { kind, namespace, name, release }, image, others: images.slice(1), declaredVersion };
}

/** Asked only where something is held. */
type Since = () => Parameters<typeof hold>[3];

function answer(change: Change, object: WorkloadObject, decision: Decision, since: Since): Answer {
  const { desired, current, unlabelled } = change;
  if (decision.verdict === 'deny') return denied(decision.reason, decision.message);
  if (decision.verdict === 'allow') {
    if (decision.observed) return observed(decision.observed);
    const half = (current ? current.hold : desired.hold) && desired.hold && !desired.stopped;
    const { verdict, reason } = decision;
    return half ? patched(holdPatch(change, object, since), { verdict, reason }, []) : allowed(reason);
  }
  // Held without its labels it would be found by nobody, and never resumed.
  if (unlabelled)
    return denied(
      decision.reason,
      `${decision.message}. It can't be held: its own labels (tier or app, release, component) are missing, by which it is resumed; put them back first`,
    );
  if (!podsLabelled(change))
    return denied(
      'PodsNotLabelled',
      `${decision.message}. It can't be held: its pods don't carry the label ${label.release}; add it to spec.template.metadata.labels with the image that runs now, and only then change the image`,
    );
  const { reason } = decision;
  return patched(holdPatch(change, object, since), { verdict: 'hold', reason }, warningsOf(desired, decision));
}

function observed({ verdict, reason, ...said }: NonNullable<Decision['observed']>): Answer {
  const would = verdict === 'deny' ? 'deny' : 'hold';
  const message = 'message' in said ? said.message : '';
  const audit = { verdict: 'allow', reason: 'Observed', observed: { verdict: would, reason } } as const;
  return patched([], audit, [`downdraft only observes here; it would ${would} ${message}`]);
}

/** The gate of a drain finds pods by their labels: those of today and those to come must have them. */
function podsLabelled({ desired, current }: Change): boolean {
  const sides = current ? [desired, current] : [desired];
  if (desired.profile !== 'labelled') return true;
  return sides.every(({ object }) => object.spec.template.metadata?.labels?.[label.release] === desired.release);
}

/**
 * What was there before the first hold is taken from the stored object; when this is the second call for one request,
 * from the object, which the first call has held.
 */
function holdPatch({ request, current }: Change, object: WorkloadObject, since: Since) {
  const standing = [current?.object, object].find((o) => o && holdOf(o) !== undefined);
  return fastJsonPatch.compare(object, hold(request.kind, object, standing, since(), current === undefined));
}

function warningsOf(workload: Workload, verdict: { reason: string; message: string }): string[] {
  const { namespace } = workload;
  const looking = ['DatabaseUnreadable', 'ConnectionChanged'].includes(verdict.reason);
  const watch = looking
    ? `watch: kubectl -n ${namespace} events --for ${nameOf(workload)} -w`
    : `watch: kubectl -n ${namespace} get downgrade -w`;
  const meaning: Record<string, string> = {
    DatabaseAhead: 'downdraft will take the database back first',
    ProviderAhead: 'downdraft will take the database back first',
    ImageUnknown: 'downdraft asks the image first',
    RevisionUnknown: 'downdraft asks the running image first',
  };
  const what = meaning[verdict.reason] ?? 'it resumes by itself when it fits';
  return [`downdraft holds ${verdict.message}`, `${what}; ${watch}`];
}
