/** What dry runs say of new pods of a release: whether they would be taken, and whether the gate catches them. */
import { gateStateOf } from '../../release/downgrade/trials.ts';
import type { Admission, GateState } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import type { Workload } from '../../release/model/workload.ts';
import type { Reads } from '../ports.ts';

export interface Tries {
  now(): Date;
  /** Run → what was last seen of new pods, so that a run that waits for somebody's word is not tried at each look. */
  tried?: Map<string, { at: number; admission: Admission }>;
}

interface Subject {
  namespace: string;
  name: string;
  workloads: Workload[];
  gateExists: boolean;
  run: Run | undefined;
}

/** How long what was seen serves. */
const keptMs = 20_000;

const notLookedAt: Admission = { trials: [], missingRights: [] };

/** Whether new pods of a release would be taken before there is a gate, and whether they are caught once there is one. */
export async function observeNewPods(
  reads: Reads,
  subject: Subject,
  tries: Tries,
): Promise<{ gate: GateState; admission: Admission }> {
  const [gate, admission] = await Promise.all([observeGate(reads, subject), observeAdmission(reads, subject, tries)]);
  return { gate, admission };
}

/** Looked at once a plan stands and nothing is written for its drain. */
async function observeAdmission(
  reads: Reads,
  { namespace, name, workloads, gateExists, run }: Subject,
  { now, tried }: Tries,
): Promise<Admission> {
  const { plan, drainStartedAt, returnStartedAt, completedAt } = run?.status ?? {};
  if (!run || !plan || drainStartedAt || returnStartedAt || completedAt || gateExists || workloads.length === 0)
    return notLookedAt;
  const time = now().getTime();
  for (const [key, { at }] of tried ?? []) if (time - at >= keptMs) tried?.delete(key);
  const last = tried?.get(run.uid);
  if (last) return last.admission;
  const [trials, missingRights] = await Promise.all([
    reads.tryPods(namespace, name, workloads),
    reads.missingRights(namespace),
  ]);
  const admission = { trials, missingRights };
  tried?.set(run.uid, { at: time, admission });
  return admission;
}

/** A gate that nobody means to keep is not tried. */
async function observeGate(reads: Reads, { namespace, name, workloads, gateExists, run }: Subject): Promise<GateState> {
  if (!gateExists) return 'absent';
  const { drainStartedAt, gating } = run?.status ?? {};
  if (!drainStartedAt && (!gating || gating.failedAt)) return { written: 'nothing is drained' };
  if (!drainStartedAt) return gateStateOf(await reads.tryPods(namespace, name, workloads), true);
  // It was proved for each of them: from here on one for each selector tells whether it still stands.
  const one = workloads.filter((w, at) => workloads.findIndex(({ profile }) => profile === w.profile) === at);
  const state = gateStateOf(await reads.tryPods(namespace, name, one), false);
  if (state === 'inForce' || one.length === workloads.length) return state;
  return gateStateOf(await reads.tryPods(namespace, name, workloads), false);
}
