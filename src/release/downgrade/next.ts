/**
 * next: the one thing to do now for a release, decided from the snapshot alone.
 *
 * 1. A workload that is not held certainly needs an older database: hold it. It came in by a way that nothing guards.
 * 2. Nothing held, no run: tidy what an earlier run left. Something held, no run: write the record (a Downgrade), unless everything fits already.
 * 3. Somebody wants the newer version back: the way back (returning.ts).
 * 4. The schema step has begun and is not verified: forward (downgrading.ts).
 * 5. Nothing is held, planned or begun while it is not known what the policies say.
 * 6. Every workload's desired image fits the database: resume. That is the normal end, the end of the way back, the wish
 *    withdrawn before the schema step, and "nothing to do after all" in one rule.
 * 7. Otherwise plan (planning.ts), drain (draining.ts), back up (backing-up.ts).
 *
 * A controller that is killed anywhere starts again at the top and finds the same place, since nothing here depends on
 * what was done last, only on what is there.
 */
import { unrecorded } from '../kubernetes/own-pods.ts';
import type { Act } from '../model/act.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import type { Workload } from '../model/workload.ts';
import { certainlyTooOld, fits, foremost } from '../verdict/workload.ts';
import { reversing } from './downgrading.ts';
import { draining } from './draining.ts';
import { dismiss, tidyGate, tidying } from './gates.ts';
import { planning } from './planning.ts';
import { resuming } from './resuming.ts';
import { dropping } from './retention.ts';
import { returning } from './returning.ts';

/** Decides the next act for one release. Pods that only pretend to be ours are ended first, whatever is under way. */
export function next(release: Release): Act {
  const { run } = release;
  const pods = run && unrecorded(release.pods, run);
  if (pods) return { act: 'record', status: { pods } };
  const strays = run ? release.pods.filter((p) => p.role === 'stray' && !p.terminating) : [];
  if (strays.length > 0) return { act: 'endStrays', pods: strays };
  const held = release.workloads.filter((w) => w.hold);
  const back = run && returning(release, run);
  if (back) return back;
  const { schemaStartedAt, verifiedAt, returnedAt } = run?.status ?? {};
  if (run && schemaStartedAt && !verifiedAt && !returnedAt) return reversing(release, run);
  const unknown = waitForPolicy(release);
  if (unknown) return opened(release, unknown);
  const loose = release.workloads.find((w) => !w.hold && certainlyTooOld(release, w));
  if (loose) return { act: 'hold', workload: loose };
  if (!run && held.length > 0) return begin(release, held);
  if (!run) return idle(release);
  if (release.workloads.every((w) => fits(release, w))) return resuming(release, run);
  const act = beforeDrain(release, run);
  return act ? opened(release, act) : draining(release, run);
}

/** A gate that stands while no drain runs and something is awaited keeps new pods from starting, and for nothing. */
function opened(release: Release, act: Act): Act {
  if (act.act !== 'wait' || !release.run || release.run.status.drainStartedAt) return act;
  return tidyGate(release) ?? act;
}

/** What comes before pods are ended; undefined when they may be. */
function beforeDrain(release: Release, run: Run): Act | undefined {
  const { verifiedAt, returnedAt } = run.status;
  if (release.database.state !== 'read')
    return { act: 'wait', reason: 'DatabaseUnreadable', message: release.database.why };
  if (verifiedAt && !returnedAt) return { act: 'finish', outcome: 'Downgraded' };
  if (superseded(release, run)) return { act: 'finish', outcome: 'Reverted' };
  return planning(release, run);
}

/** What fits may go and what is called off goes back, whatever the policies say; all else waits until that is known. */
function waitForPolicy(release: Release): Act | undefined {
  const { policyUnknown, run, workloads } = release;
  if (policyUnknown === undefined) return undefined;
  if (run && (run.status.returnStartedAt || run.status.verifiedAt || workloads.every((w) => fits(release, w))))
    return undefined;
  return { act: 'wait', reason: 'PolicyUnknown', message: policyUnknown };
}

/** Whether an act begins what is not undone by doing nothing: new pods are gated, pods end, or the schema changes. */
export function begins(act: Act): boolean {
  if (act.act !== 'record') return false;
  const { gating, drainStartedAt, schemaStartedAt } = act.status;
  return Boolean((gating && !gating.failedAt) || drainStartedAt || schemaStartedAt);
}

/** What earlier runs left in the cluster first, then what they left on the database's server, then their records. */
function idle(release: Release): Act {
  const tidy = tidying(release);
  if (tidy.act !== 'rest' && tidy.act !== 'wait') return tidy;
  const { surplus } = release;
  return dropping(release) ?? (surplus ? { act: 'deleteRecord', surplus } : tidy);
}

function begin(release: Release, held: Workload[]): Act {
  const misfit = held.filter((w) => !fits(release, w));
  if (misfit.length < held.length) return { act: 'unhold', workload: held.find((w) => !misfit.includes(w))! };
  if (release.database.state !== 'read')
    return { act: 'wait', reason: 'DatabaseUnreadable', message: release.database.why };
  // Runner and probe of a run that was superseded would be taken for the new one's.
  return dismiss(release) ?? { act: 'startRun', to: foremost(misfit).image };
}

/** Another older image is wanted than the one this run was made for. */
function superseded(release: Release, run: Run): boolean {
  const misfit = release.workloads.filter((w) => w.hold && !fits(release, w));
  return misfit.length > 0 && misfit.every((w) => w.image !== run.to);
}
