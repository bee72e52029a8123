/** What is seen of backups that others make: whether they can be asked for, and how far the one of this drain is. */
import { sourceOf } from '../../release/downgrade/snapshots.ts';
import { isSnapshot, type Rules } from '../../release/model/policy.ts';
import type { Outlook, Release } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import type { Reads } from '../ports.ts';

/** Only asked while a run is planned and backed up, of ways that the policy wants. Throws when the API server can't be asked. */
export async function observeBackups(
  reads: Reads,
  namespace: string,
  { backup: rules }: Rules,
  run: Run | undefined,
): Promise<Pick<Release, 'outlook' | 'asked'>> {
  if (!run || run.status.schemaStartedAt || run.status.returnStartedAt) return { outlook: {}, asked: 'unread' };
  const outlook: Outlook = {};
  for (const way of rules.ways.filter(isSnapshot)) {
    const source = sourceOf(way, rules, namespace);
    if (source) outlook[way] = await reads.obstacles(way, source);
  }
  const { way, name, verifiedAt } = run.status.backup ?? {};
  // Where the rules have it: what the record says of that is shown, and leads nowhere.
  const at = way && isSnapshot(way) && sourceOf(way, rules, namespace);
  const awaited = at && name && !verifiedAt && run.status.drainedAt;
  return { outlook, asked: awaited ? await reads.backupObject(way, at.namespace, name) : 'unread' };
}
