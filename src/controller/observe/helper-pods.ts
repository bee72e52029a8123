/** What the probe and the runner have told so far, read from their pods. */
import { contradictionOf } from '../../release/airflow/images.ts';
import { explained, lastWordsInWords } from '../../release/airflow/log.ts';
import { isCopy, triggersName } from '../../release/kubernetes/helper-pods.ts';
import { mainStatusOf } from '../../release/kubernetes/main-container.ts';
import { hasName, ownPod } from '../../release/kubernetes/own-pods.ts';
import type { ImageKnowledge } from '../../release/model/image.ts';
import type { ContainerStatus } from '../../release/model/kubernetes.ts';
import { inspectionIn, probeIn, progressIn, resultIn, takeUpsIn } from '../../release/model/messages.ts';
import type { PodPart, Run } from '../../release/model/run.ts';
import { type ProbeState, type RunnerState, runnerFolder, type TriggersState } from '../../release/model/runner.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Pod } from '../../release/model/workload.ts';
import type { Reads } from '../ports.ts';
import { endedAt, endReason, logOf, notRunning, tooLong, withClaim, wordsOf } from './pod-state.ts';

/** Asked once: what the probe told is in the record from then on, and the way to its log may be gone. */
export async function observeProbe(
  reads: Reads,
  run: Run | undefined,
  pods: Pod[],
  now: Date,
  repositories: readonly string[],
): Promise<ProbeState> {
  const pod = run && ownPod(pods, run, 'probe');
  if (!pod || run.status.target) return { state: 'absent' };
  const other = otherImage(pod, run, 'probe');
  if (other) return { state: 'failed', at: now.toISOString(), message: other };
  if (!pod.ended)
    return (
      notRunning(pod, now) ??
      (await tooLong(reads, pod, now, `has not answered for ${run.to}: does its import of Airflow hang?`)) ?? {
        state: 'starting',
        message: `pod/${pod.name} is asking ${run.to}`,
      }
    );
  const at = endedAt(pod) ?? now.toISOString();
  const told = readProbe(await logOf(reads, pod), run.to, pod);
  if ('fault' in told) return { state: 'failed', at, message: told.fault };
  const contradiction = contradictionOf(told.knowledge, repositories);
  if (contradiction) return { state: 'failed', at, message: `${run.to} is not believed: ${contradiction}` };
  return { state: 'told', ...told };
}

/** An image of a pod can be changed by others while it stands: then it is not the one that was asked. */
function otherImage(pod: Pod, run: Run, part: PodPart): string | undefined {
  const made = run.status.pods?.[part]?.image;
  if (made === undefined || made === pod.image) return undefined;
  return `pod/${pod.name} was made with ${made}, and somebody has set ${pod.image} in it: what it says is not believed`;
}

const probeMark = 'DOWNDRAFT-PROBE ';
type Probed = { knowledge: ImageKnowledge; fernetKeys?: string[] } | { fault: string };

function readProbe(log: string, image: string, pod: Pod): Probed {
  const line = answerIn(log, probeMark);
  if (!line) return { fault: `${image} started but did not answer: ${lastWordsInWords(log) || endReason(pod)}` };
  const read = probeIn(line);
  if ('fault' in read) return { fault: `${image} started but can't be asked: ${explained(read.fault)}` };
  const { told } = read;
  const status = mainStatusOf(pod.object);
  const knowledge: ImageKnowledge = {
    image,
    source: 'probe',
    version: told.airflowVersion,
    ...(told.coreHeads.length === 1 ? { coreHead: told.coreHeads[0]! } : {}),
    managers: told.managers.map(({ class: name, versionTable, heads }) => ({ class: name, versionTable, heads })),
    ...(status?.imageID ? { imageID: status.imageID } : {}),
  };
  // Of the configuration, not of the image: it is never kept with what was learned of that.
  return { knowledge, ...(told.fernetKeys ? { fernetKeys: told.fernetKeys } : {}) };
}

const triggersMark = 'DOWNDRAFT-TRIGGERS ';

/** What the pod has told that asks about the triggers which are next to be asked about. */
export async function observeTriggers(
  reads: Reads,
  run: Run | undefined,
  pods: Pod[],
  now: Date,
): Promise<TriggersState> {
  if (!run || run.status.drainStartedAt) return { state: 'absent' };
  const pod = ownPod(pods, run, 'triggers');
  // One that was asked something else has answered already.
  if (!pod || !hasName(pod, triggersName(run))) return { state: 'absent' };
  const other = otherImage(pod, run, 'triggers');
  if (other) return { state: 'failed', message: other };
  if (!pod.ended) {
    const message = notRunning(pod, now)?.message ?? `pod/${pod.name} is asking ${run.to} about triggers`;
    return { state: 'waiting', message, since: pod.object.metadata.creationTimestamp ?? now.toISOString() };
  }
  const line = answerIn(await logOf(reads, pod), triggersMark);
  if (!line) return { state: 'failed', message: `pod/${pod.name} said nothing: ${endReason(pod)}` };
  const read = takeUpsIn(line);
  if ('fault' in read) return { state: 'failed', message: read.fault };
  return { state: 'told', takeUps: read.told.triggers };
}

/** What stands after the mark in the last line that begins with it. */
function answerIn(log: string, mark: string): string | undefined {
  return log
    .split('\n')
    .findLast((line) => line.startsWith(mark))
    ?.slice(mark.length);
}

/** Reads the runner's files. The pod alone is not enough: an old pod is there long before its runner is. */
export async function observeRunner(reads: Reads, run: Run | undefined, pods: Pod[], now: Date): Promise<RunnerState> {
  const pod = run && ownPod(pods, run, 'runner');
  if (!pod) return { state: 'absent' };
  const other = otherImage(pod, run, 'runner');
  if (other) return { state: 'failed', message: other, at: now.toISOString() };
  if (pod.ended) {
    const said = await wordsOf(reads, pod);
    const message = `pod/${pod.name} ended: ${endReason(pod)}${said ? `; ${said}` : ''}`;
    return { state: 'failed', message, at: endedAt(pod) ?? now.toISOString() };
  }
  const status = mainStatusOf(pod.object);
  // In the outage nobody is to do anything else but wait: it is not called failed for being slow. An old pod has run for
  // long before its runner did.
  const patient = run.status.drainStartedAt !== undefined || !isCopy(pod);
  const late = async (what: string) => (patient ? undefined : tooLong(reads, pod, now, what));
  if (!status?.state?.running)
    return (
      notRunning(pod, now) ??
      (await late('does not start')) ?? {
        state: 'starting',
        message: `pod/${pod.name} is starting${withClaim(pod)}`,
      }
    );
  const told = await readRunner(reads, pod, status, now);
  return told.state === 'starting' ? ((await late(told.message)) ?? told) : told;
}

async function readRunner(reads: Reads, pod: Pod, status: ContainerStatus, now: Date): Promise<RunnerState> {
  const files = ['inspect.json', 'progress.json', 'result.json', 'pid'].map((f) => `${runnerFolder}/${f}`);
  const namespace = pod.object.metadata.namespace!;
  let told: Awaited<ReturnType<Reads['runnerFiles']>>;
  try {
    told = await reads.runnerFiles(namespace, pod.name, status.name, files);
  } catch (error) {
    // It may work on all the while: nothing is ordered and nothing is ended until it is known.
    const why = wordsOfThrown(error);
    return { state: 'starting', message: `pod/${pod.name} can't be asked how far it is: ${why}` };
  }
  const [inspect, progress, result, alive] = told;
  // An old pod runs Airflow whether or not a runner lives in it; a copy runs nothing else.
  if (!alive && !isCopy(pod)) return { state: 'absent' };
  if (!inspect)
    return { state: 'starting', message: `pod/${pod.name} is importing Airflow and looking at the database` };
  const read = inspectionIn(inspect);
  if ('fault' in read) return { state: 'failed', message: explained(read.fault), at: now.toISOString() };
  const [step, end] = [progress ? progressIn(progress) : undefined, result ? resultIn(result) : undefined];
  if (end && 'fault' in end)
    return { state: 'failed', message: `pod/${pod.name}: ${end.fault}`, at: now.toISOString() };
  // It may work on all the while, as where it can't be asked.
  if (step && 'fault' in step) return { state: 'starting', message: `pod/${pod.name}, how far it is: ${step.fault}` };
  return {
    state: 'ready',
    pod: pod.name,
    container: status.name,
    image: pod.image,
    ...(status.imageID ? { imageID: status.imageID } : {}),
    inspection: read.told,
    ...(step ? { progress: step.told } : {}),
    ...(end ? { result: end.told } : {}),
  };
}
