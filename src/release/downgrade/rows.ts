/**
 * Rows before and after: counted while nobody writes any more and nothing is changed yet, kept in the record, and compared
 * by the runner's last step. What could not be counted is not compared, and said; it stops nothing.
 */
import type { Act } from '../model/act.ts';
import { consequenceOf } from '../model/error-kinds.ts';
import { same } from '../model/json.ts';
import type { Release } from '../model/release.ts';
import type { Counted, Run } from '../model/run.ts';
import type { RunnerResult } from '../model/runner.ts';
import { patchCommand } from '../plan/patch-command.ts';
import { failing } from './failure.ts';
import { bringRunner, progressOf, resultOf } from './orders.ts';

/** Airflow has some 60 tables; a record that is much larger would be refused. */
const mostTables = 500;

/** The next act of counting, once the backup stands; undefined when it was done for this drain, or tried in vain. */
export function counting(release: Release, run: Run): Act | undefined {
  const { status } = run;
  if (status.counted && status.counted.of === status.drainedAt) return undefined;
  const { runner } = release;
  const absent = bringRunner(release, run, 'BackingUp');
  if (absent) return absent;
  if (runner.state === 'ready' && !runner.inspection.kinds?.includes('count'))
    return { act: 'record', status: countedBy(run, { ok: true }) };
  const result = resultOf(runner, run, 'copy');
  if (result?.ok) return { act: 'record', status: { ...countedBy(run, result), failure: null, progress: null } };
  if (result) return inVain(release, run, result.error);
  if (status.failure) return { act: 'record', status: { failure: null } };
  const progress = progressOf(runner, run, 'copy');
  if (!progress) return { act: 'order', part: 'copy' };
  if (!same(progress, status.progress)) return { act: 'record', status: { progress } };
  return { act: 'wait', reason: 'BackingUp', message: `counts the rows: ${progress.message}` };
}

/** A connection that was lost is made again; for all else nobody is kept waiting while the release is down. */
function inVain(release: Release, run: Run, { kind, message }: { kind: string; message: string }): Act {
  const act = failing(release, run, kind, message, 'BackingUp');
  if (act.act !== 'wait' || act.message !== message) return act;
  return { act: 'record', status: { counted: { of: drainOf(run), why: message }, failure: null, progress: null } };
}

/** What the runner's answer to the part `copy` says of the rows. Nothing that is not a number is taken for one. */
export function countedBy(run: Run, result: Pick<RunnerResult & { ok: true }, 'ok' | 'facts'>): { counted: Counted } {
  const of = drainOf(run);
  const told = result.facts?.find((facts) => facts?.counts !== undefined);
  const rows = Object.entries((told?.counts ?? {}) as Record<string, unknown>).filter(isCount);
  const uncounted = Object.entries((told?.uncounted ?? {}) as Record<string, unknown>).filter(isText);
  if (!told) return { counted: { of, why: 'the runner did not count them' } };
  if (rows.length > mostTables) return { counted: { of, why: `there are ${rows.length} tables` } };
  return { counted: { of, rows, ...(uncounted.length > 0 ? { uncounted: uncounted.slice(0, 20) } : {}) } };
}

function drainOf({ status }: Run): string {
  return status.drainedAt ?? '';
}

function isCount(entry: [string, unknown]): entry is [string, number] {
  return Number.isSafeInteger(entry[1]) && (entry[1] as number) >= 0;
}

function isText(entry: [string, unknown]): entry is [string, string] {
  return typeof entry[1] === 'string';
}

/** What came of it, in one sentence. */
export function comparedInWords({ status }: Run, { facts = [] }: RunnerResult & { ok: true }): string {
  const found = facts.find((one) => one?.gone !== undefined && one.told !== undefined);
  if (!found) return `the rows were not compared: ${status.counted?.why ?? 'nobody counted them before'}`;
  const { tables, rows, gone, told } = found as { tables: number; rows: number; gone: object; told: string[] };
  const lost = Object.entries(gone).map(([table, count]) => `${table} (${count})`);
  const parts = [
    `${tables} tables with ${rows} rows are as planned`,
    ...(lost.length > 0 ? [`gone as planned: ${lost.join(', ')}`] : []),
    ...told,
  ];
  const words = parts.join('; ');
  return words.length > longestWords ? `${words.slice(0, longestWords - 1)}…` : words;
}

/** An event's message has 1,024 characters. */
const longestWords = 1000;

/** The failure of a step, and how to go on where a person may decide that it is none. */
export function failureInWords(
  { namespace }: Release,
  { name }: Run,
  error: { kind: string; message: string },
): string {
  if (consequenceOf(error.kind) !== 'accept') return error.message;
  const patch = (spec: object) => patchCommand(namespace, name, spec);
  const either = `to start the older version on these rows: ${patch({ acceptRows: true })}`;
  return `${error.message}. The release stays drained. Look at these tables; ${either}; to go back: ${patch({ abort: true })}`;
}
