/**
 * The ordered steps of one downgrade: rows that the older version can't read, the core schema, each provider's schema that
 * the target enforces, repairs. Made from what the images themselves say (the running one of its chain, the target one of
 * its heads) and from the rows found, never from our table of releases, so a release newer than the table works as well.
 */
import { coreTable } from '../airflow/revisions.ts';
import type { DatabaseState } from '../model/database.ts';
import type { ImageKnowledge } from '../model/image.ts';
import { same } from '../model/json.ts';
import { type Blocker, blocker, type Plan, type PlanStep } from '../model/plan.ts';
import type { NewerSince } from '../model/run.ts';
import type { Inspection, TakeUp } from '../model/runner.ts';
import { ageNotes } from './age.ts';
import { backupInWords, backupNotes, chooseBackup, type Means } from './backup-way.ts';
import { distance, revisionsBetween } from './chain.ts';
import { keepCeilings, planHash } from './consent.ts';
import { estimateSeconds } from './estimate.ts';
import { keysOfPlan } from './fernet-keys.ts';
import { hazardsOfPlan } from './hazards.ts';
import { claimsCore, managerStep, unknownTables } from './provider-schemas.ts';
import { triggersOfPlan } from './triggers.ts';

/** What a plan is made from, beside what the two images said. */
export interface Circumstances extends Means {
  /** The database that the workloads name now: the runner works on the one that the old pods use; they must be the same. */
  wanted?: DatabaseState;
  /** The plan so far: a loss that was agreed to may grow up to its ceiling. */
  before?: Plan;
  /** What the target said of the triggers that somebody waits for. */
  takeUps?: readonly TakeUp[];
  /** Fingerprints of the target's Fernet keys. */
  targetKeys?: readonly string[];
  /** Since when a version newer than the target has run, and the time now. */
  age?: { since: NewerSince; now: Date };
  /** What the comparison of the copy with the running Airflow says. */
  proved?: { notes: string[]; blockers: Blocker[] };
}

/** The last head whose readers know only the older form of deferral data: that of 3.1.8 (apache/airflow #59711, #68317). */
const lastOfOldForm = '509b94a1042d';

/** Plans the way from what the running image inspected to what the target image's probe said. */
export function planDowngrade(inspection: Inspection, target: ImageKnowledge, circumstances: Circumstances): Plan {
  const schema: PlanStep[] = [];
  const blockers: Blocker[] = otherDatabase(inspection, circumstances.wanted) ?? [];
  const add = (made: PlanStep | Blocker | undefined) => {
    if (made && 'kind' in made) schema.push(made);
    else if (made) blockers.push(made);
  };
  add(coreStep(inspection, target));
  for (const [table, [revision]] of Object.entries(inspection.database.versionTables).sort())
    if (table !== coreTable && revision !== undefined) add(managerStep(inspection, target, table, revision));
  const core = schema.find((s) => s.kind === 'core');
  const crossed = core ? revisionsBetween(inspection.core.chain, core.from, core.toRevision) : [];
  const converts = core !== undefined && readsOldForm(inspection, core.toRevision);
  const conversions = converts ? inspection.rows.filter(({ count }) => count > 0) : [];
  if (converts) blockers.push(...inspection.unconvertible.map(unconvertible));
  const hazards = hazardsOfPlan(inspection, new Set(crossed));
  const { version } = target;
  const triggers = triggersOfPlan(inspection.triggers, circumstances.takeUps, { version, crossed: new Set(crossed) });
  const estimate = estimateSeconds(inspection, new Set(crossed));
  const keys = keysOfPlan(inspection, circumstances.targetKeys, target.version);
  const { age, proved = { notes: [], blockers: [] } } = circumstances;
  const backup = chooseBackup(inspection, circumstances);
  const before = converts ? [convertStep(conversions)] : [];
  const after = [...repairStep(crossed), verifyStep(inspection, schema, crossed, converts)];
  const steps = schema.length === 0 ? [] : [...before, ...schema, ...after];
  const made = {
    identity: inspection.database.identity,
    steps,
    conversions: conversions.map(({ table, column, count }) => ({ table, column, count })),
    losses: [...hazards.losses, ...keys.losses, ...triggers.losses].map(({ what, count }) => ({ what, count })),
    notes: [
      ...(core ? [`takes ${estimate.why}`] : []),
      ...unknownTables(inspection, target),
      ...hazards.notes,
      ...triggers.notes,
      ...keys.notes,
      ...(age ? ageNotes(age.since, target.version, age.now) : []),
      ...proved.notes,
      ...backupNotes(backup, inspection),
    ],
    blockers: [...proved.blockers, ...claimsCore(inspection, target), ...blockers, ...hazards.blockers],
    backup,
  };
  const plan = keepCeilings(made, circumstances.before);
  return { ...plan, hash: planHash(plan) };
}

/** Whether a database at this head is read by an Airflow that knows only the older form. */
function readsOldForm({ core: { chain } }: Inspection, head: string): boolean {
  return distance(chain, lastOfOldForm, head) !== undefined;
}

/** S4-16: a row that can't be rewritten would crash the older version, so it stops the plan. */
function unconvertible({ table, column, count, ids, why }: Inspection['unconvertible'][number]): Blocker {
  return blocker(
    'RowsUnreadable',
    `${count} rows of ${table}.${column} (ids ${ids}) can't be rewritten for the older version: ${why}; let the newer version end or clear their tasks, or give it the key or the class that is missing`,
  );
}

function convertStep(conversions: Plan['conversions']): PlanStep {
  const rows = conversions.reduce((sum, { count }) => sum + count, 0);
  const named = conversions.map((c) => `${c.count} rows of ${c.table}.${c.column}`);
  const command = `convert ${named.join(', ') || 'rows, of which none is there now,'} to the form that the older version reads`;
  return { kind: 'convert', rows, command };
}

function repairStep(crossed: string[]): PlanStep[] {
  return [{ kind: 'repair', crossed, command: 'repair what the reverse scripts leave (sequences, next run dates)' }];
}

function verifyStep(inspection: Inspection, schema: PlanStep[], crossed: string[], readable: boolean): PlanStep {
  const managers = schema.flatMap((step) => {
    const manager = step.kind === 'manager' && inspection.managers.find((m) => m.class === step.class);
    return manager ? [[manager.class, revisionsBetween(manager.chain, step.from, step.toRevision)]] : [];
  });
  const counted = (inspection.hazards ?? [])
    .filter((hazard) => hazard.effect === 'loses' && crossed.includes(hazard.crosses))
    .map(({ id, count }) => [id, count]);
  return {
    kind: 'verify',
    crossed,
    managers: Object.fromEntries(managers),
    counted: Object.fromEntries(counted),
    readable,
    command: 'compare the rows of every table with what they were',
  };
}

function otherDatabase({ database }: Inspection, wanted: DatabaseState | undefined): Blocker[] | undefined {
  if (wanted?.state !== 'read' || same(wanted.identity, database.identity)) return undefined;
  const [old, other] = [database.identity, wanted.identity].map((i) => `${i.database} (${i.cluster})`);
  const what = `the old pods use database ${old}, the workloads now name ${other}, which is ahead of their image`;
  return [
    blocker(
      'OtherDatabase',
      `${what}; only the database of the old pods can be downgraded: set the connection back, or point it to one that fits`,
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

/** The plan as a person reads it in the Downgrade: the steps, what is lost, blockers, the backup. */
export function planInWords(plan: Plan | undefined): string[] {
  if (!plan) return [];
  return [
    ...plan.steps.map(stepInWords),
    ...plan.losses.filter(({ count }) => count > 0).map(({ what }) => `lost: ${what}`),
    ...plan.blockers.map((b) => `blocked: ${b.message}`),
    ...plan.notes.map((note) => `note: ${note}`),
    ...(plan.steps.length > 0 ? [backupInWords(plan.backup)] : []),
  ];
}

function stepInWords(step: PlanStep): string {
  if (step.kind !== 'core' && step.kind !== 'manager') return step.command;
  return `${step.command}  (from ${step.from}, ${step.revisions} ${step.revisions === 1 ? 'revision' : 'revisions'})`;
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
