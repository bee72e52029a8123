/** What becomes of a copy whose time is over. */
import { CopyKept, nobodyLeft, notDropped } from '../../release/downgrade/retention.ts';
import type { Expired, Release } from '../../release/model/release.ts';
import { foremost } from '../../release/verdict/workload.ts';
import type { Writes } from '../ports.ts';

/** Whether it is gone, or why it stays, is written into the record of the run that made it, and shown beside it. */
export async function dropExpired(expired: Expired, release: Release, writes: Writes): Promise<void> {
  const { namespace, workloads } = release;
  const at = release.now.toISOString();
  const tell = (said: object) =>
    writes.patchDowngradeStatus(namespace, expired.run, { record: { backup: said }, backup: said }, expired);
  try {
    if (workloads.length === 0) throw new CopyKept(nobodyLeft(release.name));
    const { object, container } = foremost(workloads);
    const { database: name, uid: run, cluster } = expired;
    await writes.dropCopy(object, container, { name, run, cluster });
    await tell({ droppedAt: at, ...(expired.failure ? { failure: null } : {}) });
  } catch (error) {
    if (!(error instanceof CopyKept)) throw error;
    await tell({ triedAt: at, failure: notDropped(expired, error.message) });
  }
}
