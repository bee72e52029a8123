/**
 * Returning: the return to the newer version, asked for by a person (spec.abort), by the workloads (all of them ask for
 * the newer image again, as helm --atomic makes them) or by the policy after a failed step. Before the schema step nothing
 * was changed. After it the verified copy takes its place again, or the newer image migrates up; then the old templates are
 * put back where people still ask for the older version, and all goes on as for a request that was withdrawn.
 */
import { isCertain } from '../airflow/images.ts';
import type { Act } from '../model/act.ts';
import { hasCopy } from '../model/backup-names.ts';
import { same } from '../model/json.ts';
import type { Release } from '../model/release.ts';
import type { ReturnBy, Run } from '../model/run.ts';
import type { Workload } from '../model/workload.ts';
import { drain } from './draining.ts';
import { failing, mayPass } from './failure.ts';
import { bringRunner, partName, progressOf, resultOf } from './orders.ts';
import { paceOf } from './pace.ts';

/** The next act of the return; undefined while nobody wants it, and once all that was its own is done. */
export function returning(release: Release, run: Run): Act | undefined {
  const { status } = run;
  if (status.completedAt || status.resumeStartedAt) return undefined;
  const now = release.now.toISOString();
  if (!status.returnStartedAt) {
    const returnBy = whoWants(release, run);
    if (!returnBy) return undefined;
    const untouched = status.schemaStartedAt ? {} : { returnedAt: now };
    return { act: 'record', status: { returnStartedAt: now, returnBy, failure: null, progress: null, ...untouched } };
  }
  if (!status.returnedAt) return returnDatabase(release, run);
  return status.returnBy === 'Wish' ? undefined : restoring(release);
}

function whoWants(release: Release, run: Run): ReturnBy | undefined {
  const { status, spec } = run;
  if (spec.abort) return 'Abort';
  if (!status.schemaStartedAt) return undefined;
  if (isWithdrawn(release, run)) return 'Wish';
  const gaveUp = status.failure && !mayPass(run) && release.rules.onFailure === 'Return' && hasCopy(status);
  return gaveUp ? 'Failure' : undefined;
}

/** Every workload asks again for what ran before, or for an image that needs the same heads. */
function isWithdrawn({ workloads, images }: Release, run: Run): boolean {
  const core = run.status.before?.alembic_version?.[0];
  const isBack = ({ image, hold }: Workload) => {
    const known = images[image];
    const same = isCertain(known) && known.coreHead === core && core !== undefined;
    return image !== run.to && (image === run.status.from?.image || image === hold?.from || same);
  };
  return workloads.length > 0 && workloads.every(isBack);
}

/** The release stays drained until the database is where it was. */
function returnDatabase(release: Release, run: Run): Act {
  const emptying = drain(release);
  if (emptying) return emptying;
  const { runner } = release;
  const absent = bringRunner(release, run, 'ReturnFailed');
  if (absent) return absent;
  const result = resultOf(runner, run, 'return');
  if (result?.ok) return arrived(release, run, result.versionTables);
  if (result) return failing(release, run, result.error.kind, result.error.message, 'ReturnFailed');
  if (run.status.failure) return { act: 'record', status: { failure: null } };
  const progress = progressOf(runner, run, 'return');
  if (!progress) return afterWhatRuns(release, run) ?? { act: 'order', part: 'return' };
  if (!same(progress, run.status.progress)) return { act: 'record', status: { progress } };
  const asks = paceOf(release, run)?.asks;
  return asks ? { act: 'wait', ...asks } : { act: 'wait', reason: 'Returning', message: progress.message };
}

/**
 * The runner has the orders for the return and still reverses: it takes them up between two revisions, since a script
 * that is cut off is rolled back at best (PostgreSQL), and stays half done at worst (MySQL).
 */
function afterWhatRuns(release: Release, run: Run): Act | undefined {
  const { runner } = release;
  const running = progressOf(runner, run, 'reverse');
  if (runner.state !== 'ready' || runner.progress?.newer !== partName(run, 'return')) return undefined;
  if (!running || resultOf(runner, run, 'reverse')) return undefined;
  const pace = paceOf(release, run);
  if (pace?.asks) return { act: 'wait', ...pace.asks };
  const what = `${running.kind} ${running.done}/${running.of}${running.revision ? ` (${running.revision})` : ''}`;
  const why = 'a reverse script is never cut off in its middle';
  return { act: 'wait', reason: 'Returning', message: `the return begins when ${what} is through: ${why}` };
}

/** The database has the last word, read from outside where that is possible. */
function arrived(release: Release, run: Run, told: Record<string, string[]>): Act {
  const { database, now } = release;
  const { before } = run.status;
  const seen = database.state === 'read' ? database.versionTables : told;
  if (same(seen, before)) {
    const versionTables = seen;
    return { act: 'record', status: { returnedAt: now.toISOString(), versionTables, failure: null, progress: null } };
  }
  const message = `the return is done, but the database is at ${heads(seen)} and not at ${heads(before ?? {})}`;
  return failing(release, run, 'NotReturned', message, 'ReturnFailed');
}

function heads(tables: Record<string, string[]>): string {
  return Object.entries(tables)
    .map(([table, rows]) => `${table} ${rows.join('+') || 'empty'}`)
    .join(', ');
}

/** What was there before the hold is put back, template by template; a tool that still asks for the other is refused. */
function restoring({ workloads }: Release): Act | undefined {
  const first = workloads.find((w) => w.hold?.from)?.hold?.from;
  const changed = workloads.find(({ hold, image, connection }) => {
    if (!hold) return false;
    const from = hold.from || first;
    return (from !== undefined && image !== from) || (hold.connection !== undefined && hold.connection !== connection);
  });
  return changed && { act: 'restore', workload: changed };
}
