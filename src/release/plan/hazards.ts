/**
 * What follows for a plan from what the running image counted in the database (src/inside/downdraft/inspect/hazards.py): what blocks it,
 * what is lost, what a person should know before, and about how long it takes. Pure.
 */
import type { FoundHazard, Obstacle, WhatWasFound } from '../model/runner.ts';
import { seconds } from './estimate.ts';

export interface Consequences {
  blockers: { reason: 'ScriptWouldFail'; message: string }[];
  losses: { what: string; count: number }[];
  notes: string[];
}

/** Blockers, losses and notes of a plan that reverses the revisions in `crossed`. */
export function hazardsOfPlan(found: WhatWasFound, crossed: ReadonlySet<string>): Consequences {
  const told: Consequences = { blockers: [], losses: [], notes: [] };
  const hazards = (found.hazards ?? []).filter((hazard) => crossed.has(hazard.crosses));
  for (const hazard of hazards) if (hazard.id !== notInTable) tell(hazard, told);
  const newer = hazards.filter((hazard) => hazard.id === notInTable).map((hazard) => hazard.crosses);
  if (newer.length > 0) told.notes.push(unknownScripts(newer));
  told.notes.push(...limitNotes(found.limits ?? {}), ...(found.obstacles ?? []).map(obstacleNote));
  return told;
}

/** The id that hazards.py gives to a revision which came after its table was made. */
const notInTable = 'not-in-table';

function tell(hazard: FoundHazard, { blockers, losses, notes }: Consequences): void {
  const what = hazard.what.replace('{count}', String(hazard.count));
  const remedy = hazard.remedy ? `; ${hazard.remedy}` : '';
  if (hazard.error) notes.push(`not known (${hazard.error}): ${hazard.what.replace('{count}', 'how many')}${remedy}`);
  else if (hazard.effect === 'refuses')
    blockers.push({ reason: 'ScriptWouldFail', message: what + examples(hazard) + remedy });
  else if ((hazard.effect === 'loses' || hazard.effect === 'breaks') && hazard.count !== null)
    losses.push({ what: rowsOf(hazard) + what + remedy, count: hazard.count });
  else notes.push(what + remedy);
}

/** Where it is; always in the plural, since the words without their numbers tell which loss was agreed to. */
function rowsOf({ tables, count }: FoundHazard): string {
  return tables ? `${count} rows of ${tables.join(', ')}: ` : '';
}

function examples({ examples: some = [] }: FoundHazard): string {
  return some.length > 0 ? ` (for example ${some.join(', ')})` : '';
}

function unknownScripts(revisions: readonly string[]): string {
  const which = revisions.length > 3 ? `${revisions.slice(0, 3).join(', ')}, …` : revisions.join(', ');
  return `${revisions.length} of the revisions to reverse (${which}) are newer than downdraft's table of hazards: what they refuse or drop was not looked for; be sure of the copy`;
}

/** What each limit of PostgreSQL ends, in words. */
const limited: Record<string, string> = {
  statement_timeout: 'a statement',
  lock_timeout: 'a wait for a lock',
  idle_in_transaction_session_timeout: "an idle transaction (Airflow's migration lock is one)",
  transaction_timeout: 'a transaction',
};

function limitNotes(limits: Record<string, number>): string[] {
  return Object.entries(limits)
    .filter(([, ms]) => ms > 0)
    .map(
      ([name, ms]) =>
        `${name} of the database's user is ${seconds(ms / 1000)}: ${limited[name] ?? 'work'} that takes longer is ended by the server; raise it for the time of the downgrade if the estimate comes near`,
    );
}

function obstacleNote({ what, pid, user, application, seconds: age }: Obstacle): string {
  const who = [pid === null ? '' : `pid ${pid}`, user ?? '', application ?? '']
    .filter((part) => part !== '')
    .join(', ');
  const since = age === null ? '' : ` since ${seconds(age)}`;
  return `may block a step${who ? `: ${who}` : ''}: ${what}${since}; end it first`;
}
