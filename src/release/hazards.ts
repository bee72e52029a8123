/**
 * What follows for a plan from what the running image counted in the database (src/inside/hazards.py): what blocks it,
 * what is lost, what a person should know before, and about how long it takes. Pure.
 */

/** What was found on the way back, of one row of src/inside/hazards.json, with that row's own words. */
export interface FoundHazard {
  id: string;
  /** The revision whose reverse script has the effect. */
  crosses: string;
  effect: 'refuses' | 'breaks' | 'loses' | 'repaired' | 'unchecked';
  /** Of loses and breaks: the tables whose rows are counted, with the column where only that is lost. */
  tables?: string[];
  /** A sentence with {count}; for breaks and loses what it is that is counted. */
  what: string;
  remedy?: string;
  /** null: nothing to count, or, with `error`, not counted. */
  count: number | null;
  examples?: string[];
  error?: string;
}

/** The database's size, and its biggest tables; `rows` of a large one is the server's own estimate. */
export interface DatabaseSizes {
  databaseBytes: number;
  tables: { table: string; rows: number | null; bytes: number; estimated?: boolean }[];
}

/** Who could keep a step waiting: a prepared transaction (no pid), an idle session, the holder of a lock. */
export interface Obstacle {
  what: string;
  pid: number | null;
  user: string | null;
  application: string | null;
  seconds: number | null;
}

/** The part of an inspection that is looked at here; each is missing where the runner was an older one. */
export interface WhatWasFound {
  hazards?: FoundHazard[];
  sizes?: DatabaseSizes;
  /** Time limits of the role's sessions by their name in PostgreSQL, in milliseconds; 0 is none. */
  limits?: Record<string, number>;
  /** null: this kind of database doesn't tell. */
  obstacles?: Obstacle[] | null;
}

export interface Consequences {
  blockers: { reason: 'HazardRefuses'; message: string }[];
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
    blockers.push({ reason: 'HazardRefuses', message: what + examples(hazard) + remedy });
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
  return `in the way${who ? `: ${who}` : ''}: ${what}${since}; a step may wait for it in vain: end it before`;
}

function seconds(value: number): string {
  return value < 120 ? `${Math.round(value * 10) / 10} s` : `${Math.round(value / 60)} min`;
}

/** A revision whose reverse script takes time that grows with a table: seconds per GB, or per million rows. */
interface Cost {
  tables: readonly string[];
  perGB?: number;
  perMillionRows?: number;
}

/**
 * From test/matrix/large.json (PostgreSQL 18, 3.2.1 back to 2.11.2), by seconds of processor and half as much again, for a
 * server waits for its disk, too. The first lies between that (27) and the field's 8 min for 9.4 GB
 * (apache/airflow#63545).
 */
const costs: Readonly<Record<string, Cost>> = {
  a5a3e5eb9b8d: { tables: ['task_instance', 'task_instance_history'], perGB: 40 },
  '3ac9e5732b1f': { tables: ['task_instance'], perGB: 3 },
  '7645189f3479': { tables: ['task_instance_history'], perMillionRows: 45 },
  e00344393f31: { tables: ['dag_run'], perMillionRows: 35 },
  // Row by row in Python.
  e39a26ac59f6: { tables: ['dag_run'], perMillionRows: 1100 },
  eed27faa34e3: { tables: ['xcom'], perGB: 60 },
  d59cbbef95eb: { tables: ['task_instance'], perGB: 25 },
  d8cd3297971e: { tables: ['task_instance'], perGB: 2 },
};

const secondsPerRevision = 0.1;
const gigabyte = 1024 ** 3;
const usualRowBytes = 500;

/** About how long the reverse scripts take, and what of it takes longest: an estimate from sizes, not a promise. */
export function estimateSeconds(
  { sizes }: WhatWasFound,
  crossed: ReadonlySet<string>,
): { seconds: number; why: string } {
  const plain = secondsPerRevision * crossed.size;
  if (!sizes) return { seconds: Math.ceil(plain), why: 'the sizes of the tables are not known' };
  const slow = [...crossed]
    .flatMap((revision) => {
      const cost = costs[revision];
      return cost ? [{ revision, cost, takes: takes(cost, sizes) }] : [];
    })
    .sort((a, b) => b.takes - a.takes);
  const total = Math.ceil(plain + slow.reduce((sum, { takes }) => sum + takes, 0));
  const longest = slow.filter((one) => one.takes >= 1).slice(0, 3);
  const parts = longest.map(({ revision, cost, takes }) => `${revision} (${cost.tables.join(', ')}) ${seconds(takes)}`);
  const why = `about ${seconds(total)} by the sizes of the tables, more on a slow or busy server`;
  return { seconds: total, why: parts.length > 0 ? `${why}; longest: ${parts.join(', ')}` : why };
}

function takes({ tables, perGB = 0, perMillionRows = 0 }: Cost, sizes: DatabaseSizes): number {
  return sizes.tables
    .filter(({ table }) => tables.includes(table))
    .reduce((sum, { bytes, rows }) => {
      const millions = (rows ?? bytes / usualRowBytes) / 1e6;
      return sum + (bytes / gigabyte) * perGB + millions * perMillionRows;
    }, 0);
}
