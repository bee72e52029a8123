/**
 * Downgrading: the schema step has begun, so the only ways are forward or standing still. The database alone says whether
 * it is done; an order that was given twice, or a runner that died, changes nothing about that.
 */
import type { Act } from '../model/act.ts';
import type { DatabaseState } from '../model/database.ts';
import { same } from '../model/json.ts';
import type { Plan } from '../model/plan.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import type { Progress } from '../model/runner.ts';
import { drain } from './draining.ts';
import { failing } from './failure.ts';
import { bringRunner, progressOf, resultOf } from './orders.ts';
import { paceOf } from './pace.ts';
import { comparedInWords, failureInWords } from './rows.ts';

/** The next act once the schema step has begun; undefined before, and once what it left is verified or returned. */
export function downgrading(release: Release, run: Run): Act | undefined {
  const { runner, database } = release;
  const { status } = run;
  const { plan } = status;
  if (!status.schemaStartedAt || status.verifiedAt || status.returnedAt) return undefined;
  const emptying = drain(release);
  if (emptying) return emptying;
  const absent = bringRunner(release, run, 'DowngradeFailed');
  if (absent) return absent;
  const result = resultOf(runner, run, 'reverse');
  if (result && !result.ok)
    return failing(release, run, result.error.kind, failureInWords(release, run, result.error), 'DowngradeFailed');
  if (result?.ok && database.state === 'read' && plan && meets(database, plan)) {
    const { versionTables } = database;
    const compared = comparedInWords(run, result);
    return { act: 'record', status: { verifiedAt: release.now.toISOString(), versionTables, compared, failure: null } };
  }
  if (result?.ok) return verify(release, run);
  if (status.failure) return { act: 'record', status: { failure: null } };
  const progress = progressOf(runner, run, 'reverse');
  return progress ? follow(release, run, progress) : { act: 'order', part: 'reverse' };
}

/** The runner says it is done; the database has the last word. */
function verify(release: Release, run: Run): Act {
  const { database } = release;
  if (database.state !== 'read') return { act: 'wait', reason: 'DatabaseUnreadable', message: database.why };
  const seen = Object.entries(database.versionTables).map(([table, rows]) => `${table} ${rows.join('+')}`);
  const message = `the runner said it is done, but the database is at ${seen.join(', ')}`;
  return failing(release, run, 'NotVerified', message, 'DowngradeFailed');
}

function follow(release: Release, run: Run, progress: Progress): Act {
  if (!same(progress, run.status.progress)) return { act: 'record', status: { progress } };
  const pace = paceOf(release, run);
  if (pace?.asks) return { act: 'wait', ...pace.asks };
  const step = `${progress.kind} ${progress.done}/${progress.of}`;
  return { act: 'wait', reason: 'Downgrading', message: pace?.words ? `${step}, ${pace.words}` : step };
}

/** True when every step's table is at the revision that the step aims at. */
function meets(database: DatabaseState, plan: Plan): boolean {
  if (database.state !== 'read') return false;
  return plan.steps.every((step) => {
    if (step.kind !== 'core' && step.kind !== 'manager') return true;
    const rows = database.versionTables[step.kind === 'core' ? 'alembic_version' : step.versionTable] ?? [];
    return rows.length === 1 && rows[0] === step.toRevision;
  });
}
