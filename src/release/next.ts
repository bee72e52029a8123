/**
 * next: the one thing to do now for a release, decided from the snapshot alone.
 *
 * 1. A workload that is not held certainly needs an older database: hold it. It came in by a way that nothing guards.
 * 2. Nothing held, no run: tidy what an earlier run left. Something held, no run: write the record (a Downgrade), unless everything fits already.
 * 3. Somebody wants the newer version back: the way back (returning.ts).
 * 4. The schema step has begun and is not verified: forward (reversing.ts).
 * 5. Nothing is held, planned or begun while it is not known what the policies say.
 * 6. Every workload's desired image fits the database: resume. That is the normal end, the end of the way back, the wish
 *    withdrawn before the schema step, and "nothing to do after all" in one rule.
 * 7. Otherwise plan (planning.ts), drain (draining.ts), back up (backing.ts).
 *
 * A controller that is killed anywhere starts again at the top and finds the same place, since nothing here depends on
 * what was done last, only on what is there.
 */
import { draining } from './draining.ts';
import { unrecorded } from './ownpods.ts';
import { planning } from './planning.ts';
import type { ImageKnowledge, Pod, Release, Run, RunStatus, Workload } from './release.ts';
import { dismiss, resuming, tidyGate, tidying } from './resuming.ts';
import { dropping, type Expired, type Surplus } from './retention.ts';
import { returning } from './returning.ts';
import { reversing } from './reversing.ts';
import type { BackupObject } from './snapshots.ts';
import type { Part } from './stepkinds.ts';
import type { AskedTrigger } from './triggers.ts';
import { judge, type Verdict } from './verdict.ts';
import type { WaitReason } from './waits.ts';

/** What the controller does next; each is safe to do twice. */
export type Act = ReleaseAct | RunAct;

/** What needs no record of a run. */
export type ReleaseAct =
  | { act: 'rest' }
  /** `about`: pods that it is to be said of, where there is no run to say it in. */
  | { act: 'wait'; reason: WaitReason; message: string; about?: Pod[] }
  | { act: 'startRun'; to: string }
  | { act: 'createGate' }
  | { act: 'deleteGate' }
  | { act: 'restore'; workload: Workload }
  | { act: 'unhold'; workload: Workload }
  | { act: 'hold'; workload: Workload }
  | { act: 'endPods'; pods: Pod[] }
  | { act: 'ungate'; pods: Pod[] }
  | { act: 'endMisfits'; pods: Pod[] }
  | { act: 'dismissHelpers' }
  | { act: 'deleteRecord'; surplus: Surplus }
  | { act: 'dropCopy'; expired: Expired };

/** What is done for a run, and stands in its record. */
export type RunAct =
  /** `learned` is kept for later changes, too, where that can be done: nothing of this run waits for it. */
  | { act: 'record'; status: Partial<RunStatus>; learned?: ImageKnowledge }
  | { act: 'startProbe' }
  | { act: 'restartProbe' }
  | { act: 'askTriggers'; triggers: AskedTrigger[] }
  | { act: 'startRunner' }
  | { act: 'restartRunner' }
  | { act: 'isolateRunner' }
  | { act: 'endStrays'; pods: Pod[] }
  | { act: 'lookAgain'; mark: string }
  | { act: 'order'; part: Part }
  | { act: 'askBackup'; object: BackupObject }
  | { act: 'finish'; outcome: NonNullable<RunStatus['outcome']> };

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

/** The workload whose image stands for the release: the API first, since its pod knows all providers, then the scheduler. */
export function foremost(workloads: readonly Workload[]): Workload {
  const order = ['api-server', 'webserver', 'scheduler'];
  const rank = (w: Workload) => (order.includes(w.component) ? order.indexOf(w.component) : order.length);
  return [...workloads].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))[0]!;
}

/** The verdict on a workload's desired images. Where the policy only observes, nothing is held and all may go. */
export function verdictOn(release: Release, workload: Workload): Verdict {
  if (onlyObserves(release)) return { verdict: 'allow', reason: 'Observed' };
  const [image, ...others] = workload.images.map(
    (name) => release.images[name] ?? { image: name, source: 'unknown' as const, why: 'not looked at' },
  );
  const { hold } = workload;
  const connectionChanged = hold?.connection !== undefined && hold.connection !== workload.connection;
  // What is not held was let through: its image counts as the one that runs.
  const from = hold ? hold.from : workload.image;
  const { database, run } = release;
  return judge({ workload, image: image!, others, database, run, from, connectionChanged });
}

/** A run whose schema step has begun is brought to its end, whatever the policy says since. */
export function onlyObserves({ mode, run }: Release): boolean {
  return mode === 'Observe' && !run?.status.schemaStartedAt;
}

/** Only what is known is held from here: what is not known was let through, and is not stopped while it runs. */
function certainlyTooOld(release: Release, workload: Workload): boolean {
  const { verdict, reason } = verdictOn(release, workload);
  return verdict === 'hold' && (reason === 'DatabaseAhead' || reason === 'ProviderAhead');
}

function fits(release: Release, workload: Workload): boolean {
  return verdictOn(release, workload).verdict === 'allow';
}
