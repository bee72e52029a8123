/** Schemas beside core's: those of providers' managers, and those that nobody knows. */
import { coreTable } from '../airflow/revisions.ts';
import type { ImageKnowledge } from '../model/image.ts';
import { type Blocker, blocker, type PlanStep } from '../model/plan.ts';
import type { Inspection } from '../model/runner.ts';
import { distance } from './chain.ts';

/** Only a schema that the target enforces must move; others may stay ahead without harm. */
export function managerStep(
  inspection: Inspection,
  target: ImageKnowledge,
  table: string,
  from: string,
): PlanStep | Blocker | undefined {
  const enforced = enforcedAt(target, table);
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
  const command = commandOf(manager, to);
  return { kind: 'manager', class: manager.class, versionTable: table, from, toRevision: to, revisions, command };
}

function enforcedAt({ managers = [] }: ImageKnowledge, table: string) {
  return managers.find((m) => m.versionTable === table);
}

/** S3-15: what a person could type; not every manager has a command that takes it. */
function commandOf({ class: name, command }: Inspection['managers'][number], to: string): string {
  if (command === null) return `reverse ${name} to ${to} by its own scripts, for which Airflow has no command`;
  const tool = command === 'fab-db' ? 'airflow fab-db downgrade' : `airflow db-manager downgrade ${name}`;
  return `${tool} --to-revision ${to} --yes`;
}

/** S3-9: Airflow itself refuses such a manager, in versions that look; its scripts would be taken for core's. */
export function claimsCore({ managers }: Inspection, target: ImageKnowledge): Blocker[] {
  const versions = [...managers, ...(target.managers ?? [])].filter((m) => m.versionTable === coreTable);
  const tables = managers.filter(({ coreTables = [] }) => coreTables.length > 0);
  return [
    ...[...new Set(versions.map((m) => m.class))].map((name) => claim(name, `its revision in ${coreTable}`)),
    ...tables.map(({ class: name, coreTables = [] }) => claim(name, `its data in ${coreTables.join(', ')}`)),
  ];
}

function claim(name: string, what: string): Blocker {
  return blocker(
    'ProviderNotReversible',
    `${name} keeps ${what}, a name of Airflow's core, so neither can be told from the other; take it out of [database] external_db_managers, or give it names of its own`,
  );
}

/** S3-7: a schema that neither version knows stays as it is, and whether the older one minds can't be told. */
export function unknownTables({ database, managers }: Inspection, target: ImageKnowledge): string[] {
  return Object.entries(database.versionTables)
    .filter(([table]) => table !== coreTable && !managers.some((m) => m.versionTable === table))
    .filter(([table]) => !enforcedAt(target, table))
    .sort()
    .map(
      ([table, revisions]) =>
        `${table} (at ${revisions.join(', ') || 'no revision'}) belongs to no manager that either version knows; its tables stay as they are`,
    );
}
