/**
 * Pace: how the step that runs gets on, in words with numbers, by what the runner saw the server do
 * (src/inside/downdraft/orders/activity.py). At a limit a person is asked to decide; nothing is ended here. Pure.
 *
 * Every duration is a difference of the runner's own times; only its last sign of life is held against our clock.
 */
import type { Reason } from '../model/reasons.ts';
import type { Patience, Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import type { RunnerProgress, ServerActivity } from '../model/runner.ts';
import { factsOf, type Part } from '../model/step-kinds.ts';
import { revisionsBetween } from '../plan/chain.ts';
import { estimateSeconds } from '../plan/estimate.ts';
import { patchCommand } from '../plan/patch-command.ts';
import { partName } from './orders.ts';

export interface Pace {
  /** '' while there is nothing worth saying, as in most steps. */
  words: string;
  asks?: { reason: Extract<Reason, 'NoProgress' | 'LongStep'>; message: string };
  /** What became of the estimate, once the step has clearly outrun it. */
  late?: string;
}

const parts: Part[] = ['copy', 'reverse', 'return'];

/** The pace of what the runner does for this run; undefined while it does nothing. */
export function paceOf(release: Release, run: Run): Pace | undefined {
  const { runner, patience } = release;
  if (runner.state !== 'ready' || !runner.progress) return undefined;
  const { progress, result } = runner;
  if (!parts.some((part) => partName(run, part) === progress.run) || result?.run === progress.run) return undefined;
  const server = silence(progress, release.now) ?? progress.server;
  const words = inWords(progress, server);
  const asks = decision(release, run, progress, server, patience);
  const late = lateness(release, run, progress, server);
  return { words, ...(asks ? { asks } : {}), ...(late ? { late } : {}) };
}

/** A runner writes every few seconds; longer than this is more than two clocks that disagree a little. */
const silentSeconds = 120;

function silence({ at, server }: RunnerProgress, now: Date): ServerActivity | undefined {
  if (at === undefined) return undefined;
  const seconds = Math.round(now.getTime() / 1000 - at);
  if (seconds < silentSeconds) return undefined;
  const why = 'the runner gives no sign of life';
  return { state: 'unknown', seconds, quietSeconds: seconds + (server?.quietSeconds ?? 0), why };
}

function inWords({ at = 0, since = at, blockedBy }: RunnerProgress, server: ServerActivity | undefined): string {
  const running = at - since;
  if (!server) return running < 60 ? '' : `for ${minutes(running)}`;
  const { state, seconds, why } = server;
  if (state === 'waiting') return seconds < 5 ? '' : `waiting for ${minutes(seconds)} for ${lockOf(blockedBy)}`;
  if (state === 'still') return [`nothing has moved for ${minutes(server.quietSeconds)}`, eventsOf(server)].join('');
  if (state === 'unknown') return seconds < 60 ? '' : `not known for ${minutes(seconds)} whether it moves: ${why}`;
  return running < 60 ? '' : [`working for ${minutes(running)}`, ...numbersOf(server)].join(', ');
}

function lockOf(blockedBy: readonly string[] = []): string {
  const [first, ...others] = blockedBy;
  if (first === undefined) return 'a lock, it is not seen whose';
  return others.length > 0 ? `${first}; and ${others.length} more` : first;
}

function eventsOf({ events = [] }: ServerActivity): string {
  return events.length > 0 ? ` (${events.join(', ')})` : ' (no statement of ours runs)';
}

function numbersOf({ wal = 0, databaseBytes = 0, part, replicas = [], slots = [] }: ServerActivity): string[] {
  const behind = replicas.flatMap(({ name, bytes }) =>
    (bytes ?? 0) >= gibibyte ? [`${name} ${inBytes(bytes!)}`] : [],
  );
  const kept = slots.flatMap(({ name, bytes }) => (bytes >= gibibyte ? [`${name} ${inBytes(bytes)}`] : []));
  return [
    ...(wal >= mebibyte ? [`WAL ${inBytes(wal)}`] : []),
    ...(databaseBytes >= mebibyte ? [`database grown by ${inBytes(databaseBytes)}`] : []),
    ...(part ? [part.percent === null ? part.what : `${Math.floor(part.percent / 5) * 5} % of ${part.what}`] : []),
    ...(behind.length > 0 ? [`replicas behind: ${behind.join(', ')}`] : []),
    ...(kept.length > 0 ? [`WAL kept by slots: ${kept.join(', ')}`] : []),
  ];
}

function decision(
  { namespace, runner }: Release,
  run: Run,
  progress: RunnerProgress,
  server: ServerActivity | undefined,
  { noProgressMinutes, longStepMinutes }: Patience,
): Pace['asks'] {
  const { kind, done, of, at = 0, begun = at } = progress;
  const quiet = server?.quietSeconds ?? 0;
  const long = at - begun >= longStepMinutes * 60;
  if (quiet < noProgressMinutes * 60 && !long) return undefined;
  const reason = quiet >= noProgressMinutes * 60 ? 'NoProgress' : 'LongStep';
  const what =
    reason === 'NoProgress'
      ? `nothing of ${kind} ${done}/${of} was seen to progress for ${minutes(quiet)}`
      : `${kind} has run for ${minutes(at - begun)}, ${done} of ${of} done, and it makes progress`;
  const seen = inWords(progress, server);
  const backend = runner.state === 'ready' ? runner.inspection.database.backend : '';
  const ways = [
    'wait',
    ...(server?.state === 'waiting' ? ['end the session that holds the lock yourself'] : []),
    ...aborting(namespace, run, kind, ending(backend, server)),
  ];
  return {
    reason,
    message: `${what}${seen ? ` (${seen})` : ''}. Decide: ${ways.join('; or ')}. downdraft ends nothing on its own`,
  };
}

/** A return is not aborted; what is aborted already need not be again. */
function aborting(namespace: string, run: Run, kind: string, statement: string): string[] {
  const { abort: takesEffect, reverses } = factsOf(kind);
  if (takesEffect === 'never') return [];
  const effect =
    takesEffect === 'at once'
      ? 'which takes effect at once'
      : `which takes effect after what runs now${reverses ? statement : ''}`;
  if (run.status.returnStartedAt) return [`it is already aborted, ${effect}`];
  return [`abort it: ${patchCommand(namespace, run.name, { abort: true })}, ${effect}`];
}

/** How the statement itself may be ended once the run is aborted. */
function ending(backend: string, server: ServerActivity | undefined): string {
  if (backend === 'mysql') return '; never end its statement: what MySQL has done of a script stays';
  if (backend !== 'postgresql' || server?.pid === undefined) return '';
  return `; after that its statement may be ended (SELECT pg_cancel_backend(${server.pid})): PostgreSQL rolls that revision back`;
}

/** An estimate may be wrong by so much before anybody hears of it. */
const lateFactor = 1.5;

const lateSeconds = 60;

function lateness(
  { runner }: Release,
  { status: { plan } }: Run,
  { step, kind, done, of, at = 0, begun = at }: RunnerProgress,
  server: ServerActivity | undefined,
): string | undefined {
  const planned = plan?.steps[step];
  if (kind !== 'core' || planned?.kind !== 'core' || runner.state !== 'ready') return undefined;
  const { inspection } = runner;
  // A second runner goes on from where the first one ended: of all that was planned the last `of` are its own.
  const all = revisionsBetween(inspection.core.chain, planned.from, planned.toRevision);
  const crossed = all.slice(Math.max(0, all.length - of));
  const estimated = estimateSeconds(inspection, new Set(crossed)).seconds;
  const took = at - begun;
  if (took < estimated * lateFactor || took < estimated + lateSeconds) return undefined;
  const told = `core was estimated at ${minutes(estimated)} and has run for ${minutes(took)}`;
  const { part } = server ?? {};
  if (part?.remainingSeconds === undefined) return `${told}; how long it still takes is not known`;
  const rest = estimateSeconds(inspection, new Set(crossed.slice(done + 1))).seconds;
  return `${told}; by its pace ${part.what} needs about ${minutes(part.remainingSeconds)} more, and the revisions after this one about ${minutes(rest)}`;
}

/** In a grain that grows, so that what shows it is not rewritten with every look. */
export function minutes(seconds: number): string {
  const whole = Math.floor(seconds / 60);
  if (whole < 1) return 'less than a minute';
  if (whole < 10) return `${whole} min`;
  if (whole < 60) return `${whole - (whole % 5)} min`;
  const tens = Math.floor((whole % 60) / 10) * 10;
  return `${Math.floor(whole / 60)} h${tens > 0 ? ` ${tens} min` : ''}`;
}

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

function inBytes(bytes: number): string {
  return bytes >= gibibyte ? `${(bytes / gibibyte).toFixed(1)} GiB` : `${Math.round(bytes / mebibyte)} MiB`;
}

/** The same text without its sizes: they alone are not worth a write. */
export function withoutSizes(text: string): string {
  return text.replace(/[\d.]+ [MG]iB/g, '…');
}
