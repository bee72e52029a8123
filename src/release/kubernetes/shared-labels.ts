/**
 * Labels that a cluster's rule may want on every pod (a team, a cost centre), for copies that are refused without them. A
 * Service or a workload must never take a copy for its own, and what they select by is not known. But what every workload
 * of a release has on its pods tells the one that serves from the scheduler beside it no more than from a copy, so nothing
 * that works selects by that alone. Pure.
 */
import type { PodObject } from '../model/kubernetes.ts';
import type { Workload } from '../model/workload.ts';
import { isOfOthers } from './injected.ts';
import type { LabelSelector } from './selector.ts';

/** Components that no Service sends requests to. */
const unserved = ['scheduler', 'triggerer', 'dag-processor'];

/** Of Kubernetes' own names those that only describe; by the others controllers and tools know what is theirs. */
const describing = ['name', 'part-of', 'version', 'created-by'].map((name) => `app.kubernetes.io/${name}`);

/** Of the templates' labels those that a copy may have; {} where what serves can't be told from what does not. */
export function sharedLabels(workloads: readonly Workload[]): Record<string, string> {
  const [first, ...others] = workloads.map(labelsOf);
  const told =
    workloads.some((w) => unserved.includes(w.component)) && workloads.some((w) => !unserved.includes(w.component));
  if (!first || !told) return {};
  const selecting = new Set(workloads.flatMap(selectedBy));
  const shared = Object.entries(first).filter(
    ([name, value]) => others.every((labels) => labels[name] === value) && !selecting.has(name) && isPlain(name),
  );
  return Object.fromEntries(shared);
}

function labelsOf({ object }: Workload): Record<string, string> {
  return object.spec.template.metadata?.labels ?? {};
}

function selectedBy({ object }: Workload): string[] {
  const { matchLabels = {}, matchExpressions = [] } = (object.spec.selector ?? {}) as LabelSelector;
  return [...Object.keys(matchLabels), ...matchExpressions.map(({ key }) => key)];
}

const owning = [
  'app',
  'component',
  'tier',
  'release',
  'pod-template-hash',
  'controller-revision-hash',
  'job-name',
  'controller-uid',
];

function isPlain(name: string): boolean {
  if (describing.includes(name)) return true;
  return !owning.includes(name) && !isOfOthers(name) && !isTracking(name);
}

/** By such a label a tool that deploys finds what is its own, and prunes what it did not make (Argo CD's instance label). */
function isTracking(name: string): boolean {
  return /(^|\.)(kubernetes|k8s|istio|argoproj)\.io\/|(^|\/|-)instance$/.test(name);
}

/** The same pod with these labels beside its own, which count. */
export function withLabels(pod: PodObject, labels: Readonly<Record<string, string>>): PodObject {
  return { ...pod, metadata: { ...pod.metadata, labels: { ...labels, ...pod.metadata.labels } } };
}
