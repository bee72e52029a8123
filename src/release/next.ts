/**
 * next: the one thing to do now for a release, decided from the snapshot alone.
 *
 * 1. Nothing held, no run: tidy what an earlier run left.
 * 2. Something held, no run: write the record (a Downgrade), unless everything fits already.
 * 3. The schema step has begun and is not verified: only forward (reversing.ts).
 * 4. Every workload's desired image fits the database: resume. That is the normal end, the wish withdrawn before the
 *    schema step, and "nothing to do after all" in one rule.
 * 5. Otherwise plan (planning.ts), then drain (draining.ts).
 *
 * A controller that is killed anywhere starts again at the top and finds the same place, since nothing here depends on
 * what was done last, only on what is there.
 */
import { draining } from './draining.ts';
import { planning } from './planning.ts';
import type { Reason } from './reasons.ts';
import type { ImageKnowledge, Pod, Release, Run, RunStatus, Workload } from './release.ts';
import { resuming, tidying } from './resuming.ts';
import { reversing } from './reversing.ts';
import { judge, type Verdict } from './verdict.ts';

/** What the controller does next; each is safe to do twice. */
export type Act =
  | { act: 'rest' }
  | { act: 'wait'; reason: Reason; message: string }
  | { act: 'startRun'; to: string }
  | { act: 'record'; status: Partial<RunStatus> }
  | { act: 'startProbe' }
  | { act: 'restartProbe' }
  | { act: 'learn'; knowledge: ImageKnowledge }
  | { act: 'startRunner' }
  | { act: 'restartRunner' }
  | { act: 'createGate' }
  | { act: 'deleteGate' }
  | { act: 'endPods'; pods: Pod[] }
  | { act: 'isolateRunner' }
  | { act: 'lookAgain'; mark: string }
  | { act: 'order' }
  | { act: 'dismissHelpers' }
  | { act: 'unhold'; workload: Workload }
  | { act: 'ungate'; pods: Pod[] }
  | { act: 'endMisfits'; pods: Pod[] }
  | { act: 'finish'; outcome: NonNullable<RunStatus['outcome']> };

/** Decides the next act for one release. */
export function next(release: Release): Act {
  const { run } = release;
  const held = release.workloads.filter((w) => w.hold);
  if (!run) return held.length === 0 ? tidying(release) : begin(release, held);
  if (run.status.schemaStartedAt && !run.status.verifiedAt) return reversing(release, run);
  if (release.workloads.every((w) => fits(release, w))) return resuming(release, run);
  if (release.database.state !== 'read')
    return { act: 'wait', reason: 'DatabaseUnreadable', message: release.database.why };
  if (run.status.verifiedAt) return { act: 'finish', outcome: 'Downgraded' };
  if (superseded(release, run)) return { act: 'finish', outcome: 'Reverted' };
  return planning(release, run) ?? draining(release, run);
}

function begin(release: Release, held: Workload[]): Act {
  const misfit = held.filter((w) => !fits(release, w));
  if (misfit.length < held.length) return { act: 'unhold', workload: held.find((w) => !misfit.includes(w))! };
  if (release.database.state !== 'read')
    return { act: 'wait', reason: 'DatabaseUnreadable', message: release.database.why };
  return { act: 'startRun', to: foremost(misfit).image };
}

/** Another older image is wanted than the one this run was made for. */
function superseded(release: Release, run: Run): boolean {
  const misfit = release.workloads.filter((w) => w.hold && !fits(release, w));
  return misfit.length > 0 && misfit.every((w) => w.image !== run.to);
}

/** The workload whose image stands for the release: the API first, since its pod knows all providers, then the scheduler. */
export function foremost(workloads: readonly Workload[]): Workload {
  const order = ['api-server', 'webserver', 'scheduler'];
  const rank = (w: Workload) => (order.includes(w.component) ? order.indexOf(w.component) : order.length);
  return [...workloads].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))[0]!;
}

/** The verdict on a workload's desired image. */
export function verdictOn(release: Release, workload: Workload): Verdict {
  const image = release.images[workload.image] ?? { image: workload.image, source: 'unknown', why: 'not looked at' };
  // What is not held was let through: its image counts as the one that runs.
  const from = workload.hold ? workload.hold.from : workload.image;
  return judge({ workload, image, database: release.database, run: release.run, from });
}

function fits(release: Release, workload: Workload): boolean {
  return verdictOn(release, workload).verdict === 'allow';
}
