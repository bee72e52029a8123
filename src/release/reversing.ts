/**
 * Reversing: the schema step has begun, so the only ways are forward or standing still. The database alone says whether
 * it is done; an order that was given twice, or a runner that died, changes nothing about that.
 */
import { drain } from './draining.ts';
import type { Act } from './next.ts';
import type { DatabaseState, Plan, Progress, Release, Run, RunnerState } from './release.ts';
import { same } from './same.ts';

/** The next act once the schema step has begun. */
export function reversing(release: Release, run: Run): Act {
  const { runner, database } = release;
  const { plan, status } = { plan: run.status.plan, status: run.status };
  const emptying = drain(release);
  if (emptying) return emptying;
  if (!status.verifiedAt && database.state === 'read' && plan && meets(database, plan) && !working(runner, run)) {
    const { versionTables } = database;
    return { act: 'record', status: { verifiedAt: release.now.toISOString(), versionTables, failure: null } };
  }
  if (runner.state === 'absent') return { act: 'startRunner' };
  if (runner.state === 'starting') return { act: 'wait', reason: 'RunnerStarting', message: runner.message };
  if (runner.state === 'failed') return { act: 'restartRunner' };
  const result = runner.result?.run === run.uid ? runner.result : undefined;
  if (result && !result.ok) return failed(run, result.error.kind, result.error.message);
  if (result?.ok) return verify(release, run);
  if (status.failure) return { act: 'record', status: { failure: null } };
  if (runner.progress?.run === run.uid) return follow(run, runner.progress);
  return { act: 'order' };
}

/** The runner says it is done; the database has the last word. */
function verify({ database }: Release, run: Run): Act {
  if (database.state !== 'read') return { act: 'wait', reason: 'DatabaseUnreadable', message: database.why };
  const seen = Object.entries(database.versionTables).map(([table, rows]) => `${table} ${rows.join('+')}`);
  return failed(run, 'NotVerified', `the runner said it is done, but the database is at ${seen.join(', ')}`);
}

function failed(run: Run, kind: string, message: string): Act {
  const failure = { reason: kind, message };
  if (run.status.failure?.message !== message) return { act: 'record', status: { failure } };
  return { act: 'wait', reason: 'DowngradeFailed', message };
}

function follow(run: Run, { step, steps, kind, done, of, revision, message }: Progress): Act {
  const progress = { step, steps, kind, done, of, revision, message };
  if (!same(progress, run.status.progress)) return { act: 'record', status: { progress } };
  return { act: 'wait', reason: 'Downgrading', message: `${kind} ${done}/${of}` };
}

/** True when every step's table is at the revision that the step aims at. */
export function meets(database: DatabaseState, plan: Plan): boolean {
  if (database.state !== 'read') return false;
  return plan.steps.every((step) => {
    const rows = database.versionTables[step.kind === 'core' ? 'alembic_version' : step.versionTable] ?? [];
    return rows.length === 1 && rows[0] === step.toRevision;
  });
}

/** The runner has begun this run's steps and not ended them. */
function working(runner: RunnerState, run: Run): boolean {
  return runner.state === 'ready' && runner.progress?.run === run.uid && runner.result?.run !== run.uid;
}
