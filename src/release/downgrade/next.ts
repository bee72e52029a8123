/**
 * next: the one thing to do now for a release, decided from the snapshot alone: what the first of `steps` finds to do.
 *
 * A controller that is killed anywhere starts again at the top and finds the same place, since nothing here depends on
 * what was done last, only on what is there.
 */
import { unrecorded } from '../kubernetes/own-pods.ts';
import type { Act } from '../model/act.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import { certainlyTooOld, fits, foremost } from '../verdict/workload.ts';
import { downgrading } from './downgrading.ts';
import { draining } from './draining.ts';
import { dismiss, tidyGate, tidying } from './gates.ts';
import { planning } from './planning.ts';
import { resuming } from './resuming.ts';
import { dropping } from './retention.ts';
import { returning } from './returning.ts';

/** From the top: what goes before everything, then from the end of a run's life to its beginning. */
const steps: readonly ((release: Release) => Act | undefined)[] = [
  // Pods that only pretend to be ours end, whatever is under way.
  ownPods,
  // Somebody wants the newer version again.
  ofRun(returning),
  // The schema step has begun and is not verified: forward.
  ofRun(downgrading),
  // Nothing is held, planned or begun while it is not known what the policies say.
  unknownPolicy,
  // What certainly needs an older database and is not held came in by a way that nothing guards.
  holdLoose,
  // Something is held, and no run: a record, unless everything fits already.
  begin,
  // Nothing is held, and no run: what earlier runs have left is tidied.
  idle,
  // Every workload's requested image fits: the normal end, that of a return, of a change that was withdrawn before the
  // schema step, and "nothing to do after all" in one.
  ofRun(resuming),
  ofRun(beforeDrain),
  ofRun(draining),
];

/** Decides the next act for one release. Throws when no step has one, which would be a fault of these steps. */
export function next(release: Release): Act {
  for (const step of steps) {
    const act = step(release);
    if (act) return act;
  }
  throw new Error(`nothing is known to do for the release ${release.name}`);
}

function ofRun(step: (release: Release, run: Run) => Act | undefined) {
  return (release: Release) => (release.run ? step(release, release.run) : undefined);
}

function ownPods({ run, pods }: Release): Act | undefined {
  if (!run) return undefined;
  const found = unrecorded(pods, run);
  if (found) return { act: 'record', status: { pods: found } };
  const strays = pods.filter((p) => p.role === 'stray' && !p.terminating);
  return strays.length > 0 ? { act: 'endStrays', pods: strays } : undefined;
}

function holdLoose(release: Release): Act | undefined {
  const loose = release.workloads.find((w) => !w.hold && certainlyTooOld(release, w));
  return loose && { act: 'hold', workload: loose };
}

/** A gate that stands while no drain runs and something is awaited keeps new pods from starting, and for nothing. */
function opened(release: Release, act: Act): Act {
  if (act.act !== 'wait' || !release.run || release.run.status.drainStartedAt) return act;
  return tidyGate(release) ?? act;
}

/** What comes before pods are ended; undefined when they may be. */
function beforeDrain(release: Release, run: Run): Act | undefined {
  const act = readiness(release, run) ?? planning(release, run);
  return act && opened(release, act);
}

function readiness(release: Release, run: Run): Act | undefined {
  const { verifiedAt, returnedAt } = run.status;
  if (release.database.state !== 'read')
    return { act: 'wait', reason: 'DatabaseUnreadable', message: release.database.why };
  if (verifiedAt && !returnedAt) return { act: 'finish', outcome: 'Downgraded' };
  return superseded(release, run) ? { act: 'finish', outcome: 'Canceled' } : undefined;
}

/** What fits may go and what is aborted goes back, whatever the policies say; all else waits until that is known. */
function unknownPolicy(release: Release): Act | undefined {
  const { policyUnknown, run, workloads } = release;
  if (policyUnknown === undefined) return undefined;
  if (run && (run.status.returnStartedAt || run.status.verifiedAt || workloads.every((w) => fits(release, w))))
    return undefined;
  return opened(release, { act: 'wait', reason: 'PolicyUnknown', message: policyUnknown });
}

/** Whether an act begins what is not undone by doing nothing: new pods are gated, pods end, or the schema changes. */
export function begins(act: Act): boolean {
  if (act.act !== 'record') return false;
  const { gating, drainStartedAt, schemaStartedAt } = act.status;
  return Boolean((gating && !gating.failedAt) || drainStartedAt || schemaStartedAt);
}

/** What earlier runs left in the cluster first, then what they left on the database's server, then their records. */
function idle(release: Release): Act | undefined {
  if (release.run) return undefined;
  const tidy = tidying(release);
  if (tidy.act !== 'rest' && tidy.act !== 'wait') return tidy;
  const { surplus } = release;
  return dropping(release) ?? (surplus ? { act: 'deleteRecord', surplus } : tidy);
}

function begin(release: Release): Act | undefined {
  const held = release.workloads.filter((w) => w.hold);
  if (release.run || held.length === 0) return undefined;
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
