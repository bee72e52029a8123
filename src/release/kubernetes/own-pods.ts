/**
 * Which pods were made for a run: those whose uid is in its record, and no other. A name can be guessed, and labels can be
 * written by whoever may write pods. Pure.
 */
import { label, type PodObject, runLabel } from '../model/kubernetes.ts';
import type { PodPart, Run, RunStatus } from '../model/run.ts';
import type { Pod } from '../model/workload.ts';
import { runValue } from './helper-pods.ts';

/** The pod that was made for this part of the run, while it stands. */
export function ownPod(pods: readonly Pod[], { status }: Run, part: PodPart): Pod | undefined {
  const uid = status.pods?.[part]?.uid;
  const role = part === 'runner' ? 'runner' : 'probe';
  return uid === undefined ? undefined : pods.find((p) => p.uid === uid && p.role === role && !p.terminating);
}

/** The pods with those that only say that they are this run's marked as strays; without a run nobody listens to any. */
export function withStrays(pods: Pod[], run: Run | undefined): Pod[] {
  if (!run) return pods;
  const own = new Set(Object.values(run.status.pods ?? {}).map((pod) => pod?.uid));
  return pods.map((pod) => (pod.role === 'airflow' || own.has(pod.uid) ? pod : { ...pod, role: 'stray' }));
}

/**
 * The runner of a record that is from before records said which pods are the run's: known as it was then. Once pods have
 * ended it may be in the middle of a reverse script, and is not ended for want of an entry.
 */
export function unrecorded(pods: readonly Pod[], { name, status }: Run): RunStatus['pods'] {
  if (status.pods || !status.drainStartedAt) return undefined;
  const runner = pods.find(({ role, terminating, object: { metadata } }) => {
    const { [label.role]: said, [runLabel]: of } = metadata.labels ?? {};
    return role === 'stray' && !terminating && said === 'runner' && of === runValue(name);
  });
  return runner && { runner: { name: runner.name, uid: runner.uid, image: runner.image } };
}

/** Under a name of its own, where somebody else's pod has the first one. */
export function named(pod: PodObject, { status: { podMark } }: Run): PodObject {
  if (podMark === undefined) return pod;
  return { ...pod, metadata: { ...pod.metadata, name: `${pod.metadata.name}-${podMark}` } };
}

/** Whether a pod has this name, with a mark or without. */
export function hasName({ name }: Pod, first: string): boolean {
  return name === first || name.startsWith(`${first}-`);
}
