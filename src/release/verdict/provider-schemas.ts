/** The check of schemas that providers bring: an image enforces those of the managers that it is configured to have. */
import { tagOf } from '../airflow/images.ts';
import { compareProviderRevisions, coreTable, isLowestProviderRevision, managerOf } from '../airflow/revisions.ts';
import { isBelow } from '../airflow/versions.ts';
import type { ImageKnowledge } from '../model/image.ts';
import { nameOf } from '../model/kubernetes.ts';
import { isRestored, type Question, restored, type Verdict } from './question.ts';

/** A provider that the image enforces may be ahead, and then no pod of it ever starts. */
export function providerSchemas(question: Question): Verdict | undefined {
  const { image, database } = question;
  if (image.source === 'unknown' || database.state !== 'read') return undefined;
  for (const [table, [revision]] of Object.entries(database.versionTables)) {
    if (table === coreTable || revision === undefined) continue;
    const verdict = compareProvider(question, image, table, revision);
    if (verdict) return verdict;
  }
  return undefined;
}

function compareProvider(
  question: Question,
  image: ImageKnowledge,
  table: string,
  revision: string,
): Verdict | undefined {
  const { workload } = question;
  if (image.managers === undefined) {
    if (isRestored(question)) return restored;
    if (isLowestProviderRevision(table, revision)) return undefined;
    return {
      verdict: 'hold',
      reason: 'ImageUnknown',
      message: `${nameOf(workload)}: ${table} is at ${revision}, and which provider schemas ${tagOf(image.image)} enforces is not known yet; downdraft asks the image`,
    };
  }
  const needed = image.managers.find((m) => m.versionTable === table)?.heads[0];
  if (needed === undefined) return notAmong(question, image, table, revision);
  if (needed === revision) return undefined;
  if (compareProviderRevisions(table, revision, needed) === 'behind') return undefined;
  return {
    verdict: 'hold',
    reason: 'ProviderAhead',
    message: `${nameOf(workload)}: ${table} is at ${revision}, image ${image.version} needs ${needed}`,
  };
}

/** Which providers an image enforces is configuration: one that it did not enforce when it was asked, it may enforce by now. */
function notAmong(
  question: Question,
  { fresh, image, version }: ImageKnowledge,
  table: string,
  revision: string,
): Verdict | undefined {
  if (fresh || !couldEnforce(table, version) || isLowestProviderRevision(table, revision)) return undefined;
  if (isRestored(question)) return restored;
  return {
    verdict: 'hold',
    reason: 'ImageUnknown',
    message: `${nameOf(question.workload)}: ${table} is at ${revision}, and whether ${tagOf(image)} enforces it depends on the configuration of now; downdraft asks the image`,
  };
}

/** From 3.0 on an image enforces what it is configured to; which managers there are is in the table. */
function couldEnforce(table: string, version: string): boolean {
  return managerOf(table) !== undefined && !isBelow(version, '3.0.0.dev0');
}
