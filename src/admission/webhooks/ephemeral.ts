/** /ephemeral: the containers that a person adds to a running pod to debug it. */
import { releaseOfPod } from '../../release/kubernetes/pods.ts';
import type { ContainerSpec, PodObject, PodSpec } from '../../release/model/kubernetes.ts';
import type { Reason } from '../../release/model/reasons.ts';
import { foremost } from '../../release/verdict/workload.ts';
import { judgeWithin, storedRelease } from '../judging/evaluate.ts';
import type { Ports } from '../ports.ts';
import { type Answer, allowed, denied, type ReviewRequest } from '../review.ts';

/** A debugging person is only stopped on certain knowledge. */
const certain: readonly Reason[] = [
  'DatabaseAhead',
  'DowngradeUnderWay',
  'TargetTooOld',
  'NotAnAncestor',
  'PolicyDenies',
];

/** Refuses a new ephemeral container whose image is certainly an Airflow for which the database is too new. */
export async function ephemeral(request: ReviewRequest, ports: Ports): Promise<Answer> {
  const { operation, kind, subResource, object, oldObject } = request;
  if (operation !== 'UPDATE' || kind !== 'Pod' || subResource !== 'ephemeralcontainers') return allowed('NotAirflow');
  if (!isPod(object)) return allowed('NotAirflow');
  const release = releaseOfPod(object);
  if (!release) return allowed('NotAirflow');
  const workload = { kind: 'Pod', namespace: request.namespace, name: request.name || object.metadata.name, release };
  return judgeAdded(addedTo(object, oldObject), workload, ports);
}

function isPod(object: Record<string, unknown>): object is Record<string, unknown> & PodObject {
  return Boolean(object.metadata && object.spec);
}

function addedTo({ spec }: PodObject, oldObject: Record<string, unknown>): ContainerSpec[] {
  const before = (oldObject.spec as PodSpec | undefined)?.ephemeralContainers ?? [];
  return (spec.ephemeralContainers ?? []).filter(({ name }) => !before.some((b) => b.name === name));
}

async function judgeAdded(added: ContainerSpec[], workload: Debugged, ports: Ports): Promise<Answer> {
  let reason: Reason | undefined;
  for (const { name, image = '' } of added) {
    const verdict = await judgeWithin({ ...subjectOf(workload, ports), image }, ports);
    if (verdict.verdict !== 'allow' && certain.includes(verdict.reason))
      return denied(verdict.reason, `ephemeral container ${name}, ${verdict.message}; use an image that fits`);
    reason ??= verdict.verdict === 'allow' ? verdict.reason : 'NotKnownYet';
  }
  return allowed(reason ?? 'SameImage');
}

interface Debugged {
  kind: string;
  namespace: string;
  name: string;
  release: string;
}

function subjectOf(workload: Debugged, ports: Ports) {
  return {
    workload,
    declaredVersion: undefined,
    lenient: true,
    onlyRefused: true,
    connection: async (signal: AbortSignal) => {
      const workloads = await storedRelease(ports, workload, signal);
      return workloads.length > 0 ? foremost(workloads).object : undefined;
    },
  };
}
