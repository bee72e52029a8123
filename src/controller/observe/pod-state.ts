/** How a pod of ours stands: whether it starts, how long it has been at it, how it ended. Its main container alone counts. */
import { inShort, lastWordsInWords } from '../../release/airflow/log.ts';
import { backupVolume } from '../../release/kubernetes/helper-pods.ts';
import { mainContainerOf, mainStatusOf } from '../../release/kubernetes/main-container.ts';
import { passesByItself, troubleOf } from '../../release/kubernetes/pod-trouble.ts';
import { secondsSince } from '../../release/model/elapsed.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Pod } from '../../release/model/workload.ts';
import type { Reads } from '../ports.ts';

export interface Failed {
  state: 'failed';
  message: string;
  at: string;
}

/** A pod that kubelet or the scheduler can't bring up says so; both go on trying. */
export function notRunning(pod: Pod, now: Date): Failed | undefined {
  const { status } = pod.object;
  const main = mainStatusOf(pod.object);
  // Once it runs, what becomes of a sidecar is not what keeps it.
  if (main?.state?.running || main?.state?.terminated) return undefined;
  for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const { reason, message = '' } = state?.waiting ?? {};
    // Only a sidecar is started again and again: until it stays up, the main container is not begun.
    const ours = reason === 'CrashLoopBackOff' && name === main?.name;
    if (!reason || ours || passesByItself(reason)) continue;
    const which = name === main?.name ? '' : ` (container ${name})`;
    return failed(now, `pod/${pod.name}${which}: ${reason}: ${inShort(message)}`);
  }
  const unscheduled = status?.conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False');
  if (unscheduled?.reason !== 'Unschedulable') return undefined;
  return failed(now, `pod/${pod.name} can't be scheduled${withClaim(pod)}: ${inShort(unscheduled.message ?? '')}`);
}

function failed(now: Date, message: string): Failed {
  return { state: 'failed', at: now.toISOString(), message };
}

/** So long a pod of ours may take to start, and then to answer: pulls of large images are slow. */
const patienceMinutes = 5;

/**
 * One that has neither failed nor answered in that time, and what its newest warning says; undefined before. It goes on by
 * itself, so nothing is ended for it: someone is told.
 */
export async function tooLong(reads: Reads, pod: Pod, now: Date, what: string): Promise<Failed | undefined> {
  const running = mainStatusOf(pod.object)?.state?.running;
  const since = running ? running.startedAt : pod.object.metadata.creationTimestamp;
  const minutes = since ? secondsSince(since, now) / 60 : 0;
  if (!(minutes >= patienceMinutes)) return undefined;
  // Said anew at each doubling: words that change each minute would be an event each minute, for as long as it stands.
  const ago = `${patienceMinutes * 2 ** Math.floor(Math.log2(minutes / patienceMinutes))} min ago or more`;
  if (running) {
    const goes = what.startsWith(`pod/${pod.name}`) ? what : `pod/${pod.name} ${what}`;
    return failed(now, `${goes}; it started ${ago} and has not answered; see kubectl logs, or delete it to try again`);
  }
  const warned = await warningOf(reads, pod);
  const waits = `pod/${pod.name} was made ${ago} and has not started${withClaim(pod)}`;
  return failed(now, `${waits}: ${warned}; correct that, or delete the pod to try again`);
}

async function warningOf(reads: Reads, { object, name }: Pod): Promise<string> {
  const { namespace = 'default', uid = '' } = object.metadata;
  try {
    const warning = await reads.podWarning(namespace, uid);
    return warning ? inShort(warning) : `no event says why (kubectl -n ${namespace} describe pod ${name})`;
  } catch (error) {
    return `its events can't be read (${wordsOfThrown(error)})`;
  }
}

/** A volume that does not come keeps a pod for ever, and the scheduler does not always name it. */
export function withClaim(pod: Pod): string {
  const volume = backupVolume(pod.object);
  return volume ? ` with volume claim ${volume.claim} of the policy's backup.dump` : '';
}

/** How the main container ended, or what kept it from beginning. */
export function endReason({ object }: Pod): string {
  const ended = mainStatusOf(object)?.state?.terminated;
  if (ended) {
    const said = ended.message ? `: ${inShort(ended.message)}` : '';
    return `${ended.reason ?? 'ended'} with exit code ${ended.exitCode}${said}`;
  }
  const { message, reason } = object.status ?? {};
  const trouble = troubleOf(object)?.how;
  return inShort(message ?? reason ?? trouble ?? 'no reason given');
}

export function endedAt({ object }: Pod): string | undefined {
  return (mainStatusOf(object)?.state?.terminated as { finishedAt?: string } | undefined)?.finishedAt;
}

/** The log of the main container. */
export async function logOf(reads: Reads, { name, object }: Pod): Promise<string> {
  return reads.podLog(object.metadata.namespace!, name, mainContainerOf(object));
}

/** The last words in it, or why they can't be had. */
export async function wordsOf(reads: Reads, pod: Pod): Promise<string> {
  try {
    return lastWordsInWords(await logOf(reads, pod));
  } catch (error) {
    return `its log can't be read (${wordsOfThrown(error)})`;
  }
}
