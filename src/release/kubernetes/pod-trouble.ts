/** Trouble: which container keeps a pod from getting Ready, as its kubelet tells it. */
import { inShort } from '../airflow/log.ts';
import type { ContainerStatus, PodObject } from '../model/kubernetes.ts';

export interface Trouble {
  container: string;
  /** In words that stay the same while kubelet starts it again and again, so that they are said once. */
  how: string;
  /** Which run of the container has the words: the one that is there, or the one before it. None: it never ran. */
  log?: 'current' | 'previous';
}

/**
 * Whether a container that waits for this reason is only being started. Kubelet's other reasons all say that it will not
 * start as things are, and there are new ones with each release; it goes on trying by itself.
 */
export function passesByItself(reason: string): boolean {
  return reason === 'PodInitializing' || reason === 'ContainerCreating';
}

/** The first container that ended badly or can't start, init containers first; undefined when none is known. */
export function troubleOf({ status }: PodObject): Trouble | undefined {
  const [first] = [
    ...(status?.initContainerStatuses ?? []).flatMap((one) => ofContainer(one, true) ?? []),
    ...(status?.containerStatuses ?? []).flatMap((one) => ofContainer(one, false) ?? []),
  ];
  return first ?? unscheduled(status);
}

/** Some parts of Airflow end with 0 after an error: only an init container may end well. */
function ofContainer({ name, ready, state, lastState }: ContainerStatus, mayEnd: boolean): Trouble | undefined {
  const before = lastState?.terminated;
  if (state?.terminated)
    return mayEnd && state.terminated.exitCode === 0 ? undefined : ended(name, state.terminated, 'current');
  if (state?.running) return before && !ready ? ended(name, before, 'previous') : undefined;
  const { reason = '', message } = state?.waiting ?? {};
  // Asked for the log of a container that waits, kubelet gives that of its last run.
  if (before) return ended(name, before, 'current');
  if (!reason || passesByItself(reason)) return undefined;
  return { container: name, how: `${name} ${reason}${message ? `: ${inShort(message)}` : ''}` };
}

type Terminated = NonNullable<NonNullable<ContainerStatus['state']>['terminated']>;

function ended(container: string, { exitCode, reason }: Terminated, log: 'current' | 'previous'): Trouble {
  const memory = 'it needs more memory than its limit; give it a higher one';
  const how = reason === 'OOMKilled' ? `OOMKilled: ${memory}` : `ended with exit code ${exitCode}`;
  return { container, how: `${container} ${how}`, log };
}

function unscheduled(status: PodObject['status']): Trouble | undefined {
  const placed = status?.conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False');
  if (placed?.reason !== 'Unschedulable') return undefined;
  return { container: '', how: `a pod of it can't be scheduled: ${inShort(placed.message ?? '')}` };
}
