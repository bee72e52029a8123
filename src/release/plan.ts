/**
 * The ordered steps of one downgrade: the core schema first, then each provider's schema that the target enforces.
 * Made from what the images themselves say (the running one of its chain, the target one of its heads), never from our
 * table of releases, so a release newer than the table works as well.
 */
import type { Reason } from './reasons.ts';
import type { ChainLink, DatabaseState, ImageKnowledge, Inspection, Plan, PlanStep } from './release.ts';
import { same } from './same.ts';
import { coreTable } from './verdict.ts';

type Blocker = Plan['blockers'][number];

/**
 * Plans the way from what the running image inspected to what the target image's probe said. `wanted` is the database that
 * the workloads name now: the runner works on the one that the old pods use, and the two must be the same.
 */
export function planDowngrade(inspection: Inspection, target: ImageKnowledge, wanted?: DatabaseState): Plan {
  const steps: PlanStep[] = [];
  const blockers: Blocker[] = otherDatabase(inspection, wanted) ?? otherBackend(inspection) ?? [];
  const add = (made: PlanStep | Blocker | undefined) => {
    if (made && 'kind' in made) steps.push(made);
    else if (made) blockers.push(made);
  };
  add(coreStep(inspection, target));
  for (const [table, [revision]] of Object.entries(inspection.database.versionTables).sort())
    if (table !== coreTable && revision !== undefined) add(managerStep(inspection, target, table, revision));
  if (crossesDeferralFormat(inspection, steps)) for (const rows of inspection.rows) add(unreadableRows(rows, target));
  return { identity: inspection.database.identity, steps, blockers, notYet: notYet(steps) };
}

function otherDatabase({ database }: Inspection, wanted: DatabaseState | undefined): Blocker[] | undefined {
  if (wanted?.state !== 'read' || same(wanted.identity, database.identity)) return undefined;
  const [old, other] = [database.identity, wanted.identity].map((i) => `${i.database} (${i.cluster})`);
  const what = `the old pods use database ${old}, the workloads now name ${other}, which is ahead of their image`;
  return [
    blocker(
      'OtherDatabase',
      `${what}; only the database of the old pods can be taken back: set the connection back, or point it to one that fits`,
    ),
  ];
}

function otherBackend({ database: { backend } }: Inspection): Blocker[] | undefined {
  if (backend === 'postgresql') return undefined;
  const what = `the database is ${backend}, and downdraft takes back only PostgreSQL yet`;
  return [
    blocker(
      'BackendNotSupported',
      `${what}; set the newer image again, or follow Airflow's own guide by hand with a backup`,
    ),
  ];
}

function coreStep(inspection: Inspection, target: ImageKnowledge): PlanStep | Blocker | undefined {
  const from = inspection.database.versionTables[coreTable]?.[0];
  const to = target.coreHead;
  if (from === undefined || to === undefined)
    return blocker('RevisionUnknown', `the database's revision (${from}) or the target's head (${to}) is not known`);
  if (from === to) return undefined;
  const revisions = distance(inspection.core.chain, from, to);
  if (revisions === undefined)
    return blocker(
      'NotAnAncestor',
      `the running image ${inspection.airflowVersion} has no reverse scripts from ${from} to ${to}, which ${target.version} needs; choose a release in between, or an image whose scripts reach that far`,
    );
  const command = `airflow db downgrade --to-revision ${to} --yes`;
  return { kind: 'core', from, toRevision: to, revisions, command };
}

/** Only a schema that the target enforces must move; others may stay ahead without harm. */
function managerStep(
  inspection: Inspection,
  target: ImageKnowledge,
  table: string,
  from: string,
): PlanStep | Blocker | undefined {
  const enforced = target.managers?.find((m) => m.versionTable === table);
  const to = enforced?.heads[0];
  if (!enforced || to === undefined || to === from) return undefined;
  const manager = inspection.managers.find((m) => m.versionTable === table);
  const revisions = manager && distance(manager.chain, from, to);
  if (manager && revisions === undefined && distance(manager.chain, to, from) !== undefined) return undefined;
  if (!manager || revisions === undefined || !manager.canDowngrade)
    return blocker(
      'ProviderNotReversible',
      `${table} is at ${from} and ${target.version} needs ${to}, but the running image ${manager ? `can't take ${manager.class} back there` : 'has no manager for it'}; install the target image with the provider version that is in the running one`,
    );
  const tool =
    manager.command === 'fab-db' ? 'airflow fab-db downgrade' : `airflow db-manager downgrade ${manager.class}`;
  const command = `${tool} --to-revision ${to} --yes`;
  return { kind: 'manager', class: manager.class, versionTable: table, from, toRevision: to, revisions, command };
}

/** The plan as a person reads it in the Downgrade: the steps, then blockers, then what is not done. */
export function planInWords(plan: Plan | undefined): string[] {
  if (!plan) return [];
  const revisions = (n: number) => `${n} ${n === 1 ? 'revision' : 'revisions'}`;
  return [
    ...plan.steps.map((s) => `${s.command}  (from ${s.from}, ${revisions(s.revisions)})`),
    ...plan.blockers.map((b) => `blocked: ${b.message}`),
    ...plan.notYet.map((n) => `not yet: ${n}`),
  ];
}

/** What the running image says of itself, in the form in which a probe says it. */
export function knowledgeOf(inspection: Inspection, image: string, imageID: string | undefined): ImageKnowledge {
  const coreHead = inspection.core.heads.length === 1 ? inspection.core.heads[0] : undefined;
  return {
    image,
    source: 'probe',
    version: inspection.airflowVersion,
    ...(coreHead ? { coreHead } : {}),
    managers: inspection.managers.map(({ class: name, versionTable, heads }) => ({ class: name, versionTable, heads })),
    ...(imageID ? { imageID } : {}),
  };
}

/** Number of revisions undone from `from` down to `to`; undefined when `to` is no ancestor. Follows the first parent only where there is one. */
export function distance(chain: readonly ChainLink[], from: string, to: string): number | undefined {
  const parents = new Map(chain.map((link) => [link.revision, link.down]));
  let frontier = [from];
  const seen = new Set<string>();
  for (let undone = 0; frontier.length > 0; undone++) {
    if (frontier.includes(to)) return undone;
    const next = frontier.flatMap((r) => parents.get(r) ?? []).filter((r) => !seen.has(r));
    for (const r of next) seen.add(r);
    frontier = next;
  }
  return undefined;
}

/**
 * The runner counts rows in the form that came with 3.2 (apache/airflow #59711) only while its scripts have that
 * boundary; they matter when the core schema goes down at all.
 */
function crossesDeferralFormat(inspection: Inspection, steps: readonly PlanStep[]): boolean {
  return inspection.rows.length > 0 && steps.some((s) => s.kind === 'core');
}

function unreadableRows(rows: Inspection['rows'][number], target: ImageKnowledge): Blocker | undefined {
  if (rows.count === 0) return undefined;
  const ids = rows.examples.length > 0 ? ` (for example ${rows.examples.slice(0, 3).join(', ')})` : '';
  return blocker(
    'RowsUnreadable',
    `${rows.count} rows of ${rows.table}.${rows.column}${ids} are in a form that ${target.version} can't read: its scheduler and triggerer would crash with KeyError '__var'. Converting them is not built yet; let deferred tasks end or clear them, and downdraft goes on by itself`,
  );
}

function notYet(steps: readonly PlanStep[]): string[] {
  if (steps.length === 0) return [];
  return [
    'no backup is made: take one before you set the older image if you need a way back',
    'rows are not converted: a plan that meets rows the older version cannot read is blocked',
    'once the schema step has begun it can not be withdrawn; it can be repeated from where the database is',
  ];
}

function blocker(reason: Reason, message: string): Blocker {
  return { reason, message };
}
