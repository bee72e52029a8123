/**
 * Reconcile: observe → next → act, until there is nothing to do but wait. The same loop serves a new hold, a request that
 * was withdrawn, a controller that was killed and a half-done downgrade found at start.
 */
import { begins, next } from '../release/downgrade/next.ts';
import { phaseOf } from '../release/downgrade/phase.ts';
import type { Act } from '../release/model/act.ts';
import type { Release } from '../release/model/release.ts';
import type { Run } from '../release/model/run.ts';
import { wordsOfThrown } from '../release/model/thrown.ts';
import { carryOut } from './act/act.ts';
import { keep, keepStore } from './act/learned-images.ts';
import { NoOldPod } from './act/runner.ts';
import { lookAgain } from './observe/policy.ts';
import { type ObserveSettings, observe } from './observe/release.ts';
import type { ActSettings, Reads, Writes } from './ports.ts';
import { looksAtOnce, patience, timesAsked, type Unanswered, unlessRepeated } from './repeats.ts';
import { isDue, sayFailure, warnOn } from './report/failures.ts';
import { show } from './report/show.ts';

export interface ReconcileSettings extends ActSettings, ObserveSettings {
  log(fields: Record<string, unknown>, message: string): void;
  /** What was last said of a release that has no record yet, so that it is said once. */
  told: Map<string, string>;
  /** Release → how many looks at it in a row have failed. */
  failed: Map<string, number>;
  /** Release → what was last asked of a pod, and in how many looks in a row. */
  unanswered: Unanswered;
}

/**
 * Brings one release as far as it can go now.
 * Returns what it ended with: `rest` (nothing to do until something changes) or `wait` (look again soon).
 */
export async function reconcile(
  key: { namespace: string; name: string },
  reads: Reads,
  writes: Writes,
  settings: ReconcileSettings,
): Promise<Act> {
  const id = `${key.namespace}/${key.name}`;
  try {
    const act = await goOn(key, reads, writes, settings);
    settings.failed.delete(id);
    return act;
  } catch (error) {
    const times = (settings.failed.get(id) ?? 0) + 1;
    settings.failed.set(id, times);
    if (isDue(times)) await sayFailure(key, error, { reads, writes, now: settings.now() });
    throw error;
  }
}

async function goOn(
  key: { namespace: string; name: string },
  reads: Reads,
  writes: Writes,
  settings: ReconcileSettings,
): Promise<Act> {
  const decided = new Map<string, number>();
  for (let looks = 1; ; looks++) {
    try {
      const ended = await step(key, reads, writes, settings, (act, of) =>
        unlessRepeated(act, decided, looks, of.workloads.length),
      );
      if (ended) return ended;
    } catch (error) {
      // What was decided by is not there any more: a person said something, or another leader was quicker.
      if (!isConflict(error) || looks > looksAtOnce) throw error;
      decided.clear();
      settings.log({ ...key, err: error }, 'changed meanwhile, looking again');
    }
  }
}

/** One look and what comes of it; undefined: look again at once. */
async function step(
  key: { namespace: string; name: string },
  reads: Reads,
  writes: Writes,
  settings: ReconcileSettings,
  bounded: (act: Act, of: Release) => Act,
): Promise<Act | undefined> {
  const observed = await observe(reads, key, settings);
  forgetGone(observed, settings);
  await keepStore(observed, writes, settings);
  const decided = await decide(observed, reads);
  let { release } = decided;
  const act = bounded(decided.act, release);
  if (act.act === 'wait') await report(release, act, reads, writes);
  else if (isStale(release.run)) {
    const shown = await report(release, act, reads, writes);
    if (shown === undefined) return undefined;
    release = { ...release, run: { ...release.run!, resourceVersion: shown } };
  }
  if (act.act === 'wait' && (!release.run || act.reason === 'Blocked'))
    await sayOnWorkloads(release, act, writes, settings.told);
  if (act.act === 'rest' || act.act === 'wait') {
    timesAsked(key, act, settings.unanswered);
    return act;
  }
  settings.log({ ...key, act: act.act, ...('status' in act ? { record: Object.keys(act.status) } : {}) }, 'act');
  const stopped = await carryOutOrSay(act, release, reads, writes, settings);
  if (stopped) return stopped;
  if (act.act === 'record' && act.learned) await keep(release, act.learned, writes, settings);
  const again = timesAsked(key, act, settings.unanswered);
  if (again === 0) return undefined;
  const wait: Act = { act: 'wait', reason: 'RunnerStarting', message: `asked and not answered: ${act.act}` };
  if (again > patience) await report(release, wait, reads, writes);
  return wait;
}

/** What is to be done; decided anew by what people say at this moment where it begins what is not undone by doing nothing. */
async function decide(observed: Release, reads: Reads): Promise<{ release: Release; act: Act }> {
  const act = next(observed);
  if (!begins(act)) return { release: observed, act };
  const release = await lookAgain(reads, observed);
  return { release, act: next(release) };
}

/** Whoever watches the Downgrade must not have to read our log to learn of a missing right or a full quota. */
async function carryOutOrSay(
  act: Act,
  release: Release,
  reads: Reads,
  writes: Writes,
  settings: ReconcileSettings,
): Promise<Act | undefined> {
  try {
    await carryOut(act, release, { reads, writes }, settings);
    return undefined;
  } catch (error) {
    if (isConflict(error)) throw error;
    const reason = error instanceof NoOldPod ? 'NoOldPod' : 'Blocked';
    const wait: Act = { act: 'wait', reason, message: `${act.act}: ${wordsOfThrown(error)}` };
    await report(release, wait, reads, writes);
    if (!(error instanceof NoOldPod)) throw error;
    return wait;
  }
}

/** A write that was bound to what was read, and that is not so any more. */
function isConflict(error: unknown): boolean {
  return (error as { status?: number } | undefined)?.status === 409;
}

/** What is kept in memory of a release goes with it. */
function forgetGone(
  { namespace, name, workloads, run, pods }: Release,
  { told, failed, unanswered, examined, asked, proofs }: ReconcileSettings,
): void {
  if (workloads.length > 0 || run || pods.some((p) => p.gated)) return;
  for (const map of [told, failed, unanswered, examined, asked, proofs]) map?.delete(`${namespace}/${name}`);
}

/** A phase that people wait for is shown when it begins, not when the next act has to wait. */
function isStale(run: Run | undefined): boolean {
  if (run === undefined) return false;
  const phase = phaseOf(run.status);
  // A look at the rows once a minute is not the end of a question.
  return run.shownPhase !== phase && !(phase === 'Planning' && run.shownPhase === 'AwaitingApproval');
}

/**
 * Shows where the run is; an event marks each new reason. Answers the record's version, so that what was decided can still
 * be written; undefined when others have changed it since it was decided.
 */
async function report(release: Release, act: Act, reads: Reads, writes: Writes): Promise<string | undefined> {
  const { run, namespace } = release;
  if (!run) return undefined;
  const object = (await reads.downgrades(namespace)).find((d) => d.metadata.uid === run.uid);
  const version = object && (await show(release, object, act, writes));
  return object?.metadata.resourceVersion === run.resourceVersion ? version : undefined;
}

/** No run to show it in: the workloads that are held carry the word themselves, and so do the pods that it is about. */
async function sayOnWorkloads(
  { namespace, name, workloads, now }: Release,
  { reason, message, about = [] }: Extract<Act, { act: 'wait' }>,
  writes: Writes,
  told: Map<string, string>,
): Promise<void> {
  const key = `${namespace}/${name}`;
  // API servers keep events for an hour: a word that still holds is said again.
  const word = `${Math.floor(now.getTime() / 3_600_000)} ${message}`;
  if (told.get(key) === word) return;
  await warnOn([...workloads.filter((w) => w.hold), ...about], reason, message, writes);
  told.set(key, word);
}
