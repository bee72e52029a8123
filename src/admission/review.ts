/** AdmissionReview v1: what comes in, and the four answers: allowed, patched, denied, errored. */
import type { Operation } from 'fast-json-patch';
import { isRecord } from '../release/model/json.ts';
import { type Reason, shorten } from '../release/model/reasons.ts';

/** The part of a request that is looked at. Anyone who reaches the port can send one: it names things, it proves nothing. */
export interface ReviewRequest {
  uid: string;
  kind: string;
  group: string;
  subResource: string;
  name: string;
  namespace: string;
  operation: string;
  username: string;
  dryRun: boolean;
  /** {} when the request has none. */
  object: Record<string, unknown>;
  oldObject: Record<string, unknown>;
}

/** For the API server's audit log, and for ours. */
export interface Audit {
  verdict: 'allow' | 'hold' | 'deny' | 'error';
  reason: Reason | 'NotJudged';
  /** What it would have been, where the DowngradePolicy only observes. */
  observed?: { verdict: 'hold' | 'deny'; reason: Reason };
}

export interface Answer {
  allowed: boolean;
  audit: Audit;
  patch: Operation[];
  warnings: string[];
  /** Only when not allowed. */
  status?: { code: number; message: string };
}

/** The body is no AdmissionReview that could be answered; goes out as HTTP 400. */
export class MalformedReview extends Error {
  override name = 'MalformedReview';
}

/**
 * Takes a parsed body apart. Throws MalformedReview when there is no uid to answer to, and when something is named that
 * the API server has no object of: names are looked up, so what is no name goes no further.
 */
export function readReview(body: unknown): ReviewRequest {
  if (!isRecord(body)) throw new MalformedReview('the body is no JSON object; an AdmissionReview is expected');
  if (body.kind !== 'AdmissionReview' || body.apiVersion !== 'admission.k8s.io/v1')
    throw new MalformedReview('the body is no AdmissionReview of admission.k8s.io/v1');
  const { request } = body;
  if (!isRecord(request)) throw new MalformedReview('the AdmissionReview has no request');
  if (textOf(request.uid) === '') throw new MalformedReview('the AdmissionReview has no request.uid');
  const kind = isRecord(request.kind) ? request.kind : {};
  const userInfo = isRecord(request.userInfo) ? request.userInfo : {};
  checkNames({ ...request, group: kind.group, kindName: kind.kind });
  return {
    uid: textOf(request.uid),
    kind: textOf(kind.kind),
    group: textOf(kind.group),
    subResource: textOf(request.subResource),
    name: textOf(request.name),
    namespace: textOf(request.namespace),
    operation: textOf(request.operation),
    username: textOf(userInfo.username),
    dryRun: request.dryRun === true,
    object: isRecord(request.object) ? request.object : {},
    oldObject: isRecord(request.oldObject) ? request.oldObject : {},
  };
}

/** No slash, no percent sign, no line break: what any kind of object may be called (the API's path segment names). */
const segment = /^(?!\.{1,2}$)[^/%\\\p{Cc}]{1,253}$/u;

const namespaceName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const kindName = /^[A-Za-z][-A-Za-z0-9]{0,62}$/;

/**
 * What names something in a review, by the grammar of the API. May be left out or empty: a CREATE has no name yet, and
 * a cluster's own object no namespace.
 */
function checkNames(request: Record<string, unknown>): void {
  check('request.kind.kind', request.kindName, kindName);
  check('request.kind.group', request.group, segment);
  check('request.subResource', request.subResource, segment);
  check('request.name', request.name, segment);
  check('request.namespace', request.namespace, namespaceName);
  for (const side of ['object', 'oldObject']) {
    const object = request[side];
    const metadata = isRecord(object) && isRecord(object.metadata) ? object.metadata : {};
    check(`request.${side}.metadata.name`, metadata.name, segment);
    check(`request.${side}.metadata.generateName`, metadata.generateName, segment);
    check(`request.${side}.metadata.namespace`, metadata.namespace, namespaceName);
  }
}

function check(what: string, value: unknown, grammar: RegExp): void {
  if (value === undefined || value === null || value === '') return;
  if (typeof value !== 'string' || !grammar.test(value))
    throw new MalformedReview(`the AdmissionReview's ${what} is no name that Kubernetes could have given`);
}

/** Let through as it is. */
export function allowed(reason: Reason): Answer {
  return { allowed: true, audit: { verdict: 'allow', reason }, patch: [], warnings: [] };
}

/** Let through changed. An empty patch is no change; the warnings are said all the same. */
export function patched(patch: Operation[], audit: Audit, warnings: string[]): Answer {
  return { allowed: true, audit, patch, warnings };
}

/** The rule says no. */
export function denied(reason: Reason, message: string): Answer {
  const status = { code: 403, message: `downdraft: ${message}` };
  return { allowed: false, audit: { verdict: 'deny', reason }, patch: [], warnings: [], status };
}

/** It could not be judged; that is not the same as denied, so the code says whose fault it is (4xx theirs, 5xx ours). */
export function errored(code: number, message: string): Answer {
  const status = { code, message: `downdraft: could not judge: ${message}` };
  return { allowed: false, audit: { verdict: 'error', reason: 'NotJudged' }, patch: [], warnings: [], status };
}

/** The AdmissionReview that goes out; the one place where the uid is copied. */
export function respond(uid: string, answer: Answer) {
  const { patch, warnings, status, audit } = answer;
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed: answer.allowed,
      ...(status ? { status } : {}),
      ...(patch.length > 0
        ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }
        : {}),
      ...(warnings.length > 0 ? { warnings: warnings.map((text) => shorten(text)) } : {}),
      auditAnnotations: {
        verdict: audit.verdict,
        reason: audit.reason,
        ...(audit.observed ? { observed: `${audit.observed.verdict} ${audit.observed.reason}` } : {}),
      },
    },
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
