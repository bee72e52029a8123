/**
 * Making the pods of a run: which one it was is in the record at once, by uid. A controller that is killed in between finds
 * a pod that it does not know, ends it and makes another: what a pod says of itself anybody may have written, so whether it
 * was made by us can't be told from it, and nobody is accused.
 */
import { randomBytes } from 'node:crypto';
import { isForRoom } from '../../release/downgrade/trials.ts';
import { probePod, triggersName, triggersPod } from '../../release/kubernetes/helper-pods.ts';
import { named } from '../../release/kubernetes/own-pods.ts';
import { readPod } from '../../release/kubernetes/pods.ts';
import { sharedLabels, withLabels } from '../../release/kubernetes/shared-labels.ts';
import { replacing } from '../../release/model/json.ts';
import type { PodObject } from '../../release/model/kubernetes.ts';
import type { Release } from '../../release/model/release.ts';
import type { OwnPod, PodPart, Run } from '../../release/model/run.ts';
import type { AskedTrigger } from '../../release/model/runner.ts';
import type { Workload } from '../../release/model/workload.ts';
import { withAnswers } from '../../release/plan/triggers.ts';
import { foremost } from '../../release/verdict/workload.ts';
import type { Recording, Writes } from '../ports.ts';

/** Makes, and writes down what was made. */
export interface Making {
  writes: Writes;
  record: Recording;
}

/** Starts the pod that asks the target image. */
export async function startProbe(release: Release, run: Run, ways: Making, command: string[]): Promise<void> {
  await make(
    'probe',
    probePod(foremost(requesting(release, run)), wantedOf(release, run, command)),
    release,
    run,
    ways,
  );
}

/** A pod that the API server refuses (no right, a quota, a rule of others) stops nothing: what was asked is not known. */
export async function askTriggers(
  asked: AskedTrigger[],
  release: Release,
  run: Run,
  ways: Making,
  command: string[],
): Promise<void> {
  const asking = requesting(release, run);
  // What a triggerer has on its path counts, where there is one.
  const workload = asking.find((w) => w.component === 'triggerer') ?? foremost(asking);
  try {
    const pod = triggersPod(workload, wantedOf(release, run, command), triggersName(run), asked);
    await make('triggers', pod, release, run, ways);
  } catch (error) {
    const { status, message } = error as Error & { status?: number };
    if (![400, 403, 422].includes(status ?? 0)) throw error;
    const triggers = withAnswers(
      run.status.triggers,
      asked.map((one) => ({ ...one, notKnown: message })),
    );
    await ways.record({ triggers });
  }
}

/** Makes a pod and records which one it is. Where the name is taken by a pod that is none of ours, the next one has another. */
export async function make(
  part: PodPart,
  pod: PodObject,
  release: Release,
  run: Run,
  { writes, record }: Making,
  more: Pick<OwnPod, 'copied'> = {},
): Promise<void> {
  const wanted = named(pod, run);
  const { name } = wanted.metadata;
  const stored = await create(wanted, release, writes);
  if (stored) {
    const { uid, image } = readPod(stored, {});
    return record({ pods: { [part]: replacing(run.status.pods?.[part], { name, uid, image, ...more }) } });
  }
  const own = Object.values(run.status.pods ?? {}).map((one) => one?.uid);
  // One of ours that is ending has its name until it is gone.
  if (release.pods.some((p) => p.name === name && own.includes(p.uid))) return;
  await record({ podMark: randomBytes(4).toString('hex') });
  await sayUnknown(
    `pod/${name} has the name of a pod of this run and is not in its record (${whose}): nothing that it says is believed, and ours takes another name`,
    { release, run, writes },
  );
}

/** A rule of the cluster may want labels of its owners on every pod; no copy has them where it is taken without. */
async function create(pod: PodObject, { workloads }: Release, writes: Writes): Promise<PodObject | undefined> {
  try {
    return await writes.createPod(pod);
  } catch (error) {
    const labels = sharedLabels(workloads);
    if (!isRefusal(error) || Object.keys(labels).length === 0) throw error;
    return await writes.createPod(withLabels(pod, labels));
  }
}

/** The API server, or a rule of the cluster, does not take this pod; a full quota says nothing of the pod. */
function isRefusal(error: unknown): boolean {
  const { status = 0, message } = error as Error & { status?: number };
  return [400, 403, 422].includes(status) && !isForRoom({ status, message });
}

/** Ends pods that carry our labels and were not made for the run. */
export async function endStrays(
  pods: readonly { name: string; uid: string }[],
  release: Release,
  run: Run,
  writes: Writes,
) {
  for (const { name, uid } of pods) {
    await writes.deletePod(release.namespace, name, uid);
    const message = `pod/${name} has the labels of a pod of this run and is not in its record (${whose}): nothing that it says is believed, and it is ended`;
    await sayUnknown(message, { release, run, writes });
  }
}

const whose = 'a downdraft that was stopped right after it made it leaves one, or somebody else made it';

async function sayUnknown(
  message: string,
  { release, run, writes }: { release: Release; run: Run; writes: Writes },
): Promise<void> {
  const { apiVersion, kind } = { apiVersion: 'downdraft.dev/v1alpha1', kind: 'Downgrade' };
  const object = { apiVersion, kind, namespace: release.namespace, name: run.name, uid: run.uid };
  await writes.event({ object, type: 'Warning', reason: 'PodNotOurs', message });
}

/** The workloads that ask for the run's image. Throws when there is none any more. */
function requesting({ workloads }: Release, { to }: Run): Workload[] {
  const asking = workloads.filter((w) => w.image === to);
  if (asking.length === 0) throw new Error(`no workload asks for ${to} any more`);
  return asking;
}

function wantedOf({ namespace, name, profile }: Release, run: Run, command: string[]) {
  return { run: run.name, namespace, release: name, profile, command };
}
