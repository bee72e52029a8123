/** The logs of the target's pods that don't get Ready: why, only they can say. */
import { podInTrouble } from '../../release/downgrade/resuming.ts';
import { troubleOf } from '../../release/kubernetes/pod-trouble.ts';
import type { LastLog, Release } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Pod, Workload } from '../../release/model/workload.ts';
import type { Reads } from '../ports.ts';

/** So many logs are read in one look; the pods of a release mostly fail for one reason. */
const logsAtOnce = 4;

interface Seen {
  namespace: string;
  run: Run | undefined;
  workloads: Workload[];
  pods: Pod[];
}

/** The end of the log of one pod of each workload that is in trouble, by pod; nothing is read before Resuming. */
export async function observeLastLogs(
  reads: Reads,
  { namespace, run, workloads, pods }: Seen,
): Promise<Release['lastLogs']> {
  if (!run?.status.resumeStartedAt) return 'unread';
  const unsettled = workloads.filter((w) => !w.settled).flatMap((w) => podInTrouble({ pods }, w) ?? []);
  const known = await Promise.all(
    unsettled.slice(0, logsAtOnce).map(async ({ name, object }) => {
      const { container, log } = troubleOf(object) ?? {};
      return container && log ? [await readLog(reads, namespace, name, container, log === 'previous')] : [];
    }),
  );
  return Object.fromEntries(known.flat());
}

async function readLog(
  reads: Reads,
  namespace: string,
  pod: string,
  container: string,
  previous: boolean,
): Promise<[string, LastLog]> {
  try {
    return [pod, { read: await reads.podLog(namespace, pod, container, previous) }];
  } catch (error) {
    // A missing right, a node that is away: what is known without the log is still worth saying.
    return [pod, { unread: wordsOfThrown(error) }];
  }
}
