/**
 * Resuming: every desired image fits the database. The gate stays closed until the last misfit pod is gone: each new pod
 * of the desired image is let through by name, so that no autoscaler can start the other version in between.
 */
import { lastWordsInWords } from '../airflow/log.ts';
import { troubleOf } from '../kubernetes/pod-trouble.ts';
import type { Act } from '../model/act.ts';
import { nameOf } from '../model/kubernetes.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import type { Pod, Workload } from '../model/workload.ts';
import { fits, verdictOn } from '../verdict/workload.ts';
import { dismiss, letGo } from './gates.ts';

/** The next act of resuming; ends in `finish`. Undefined while not every requested image fits. */
export function resuming(release: Release, run: Run): Act | undefined {
  if (!release.workloads.every((w) => fits(release, w))) return undefined;
  if (!run.status.resumeStartedAt) return { act: 'record', status: { resumeStartedAt: release.now.toISOString() } };
  const dismissing = dismiss(release);
  if (dismissing) return dismissing;
  const held = release.workloads.find((w) => w.hold);
  if (held) return { act: 'unhold', workload: held };
  const letting = letGo(release);
  if (letting) return letting;
  const unsettled = release.workloads.filter((w) => !w.settled);
  if (unsettled.length > 0) return awaiting(release, unsettled);
  if (release.gate !== 'absent') return { act: 'deleteGate' };
  return { act: 'finish', outcome: outcomeOf(release, run) };
}

function outcomeOf(release: Release, run: Run): NonNullable<Run['status']['outcome']> {
  const { verifiedAt, schemaStartedAt, returnedAt } = run.status;
  if (returnedAt) return schemaStartedAt ? 'Returned' : 'Canceled';
  if (verifiedAt) return 'Downgraded';
  return release.workloads.some((w) => w.image === run.to) ? 'NotNeeded' : 'Canceled';
}

/** The act of waiting for these workloads. Those in trouble come first, and words that were said are not said again. */
function awaiting(release: Release, unsettled: Workload[]): Act {
  const ill = unsettled.filter((w) => podInTrouble(release, w));
  const said = new Set<string>();
  const troubles = ill.map((workload) => {
    const { how, words } = lastWords(release, workload);
    const again = words !== '' && said.has(words);
    said.add(words);
    return `${nameOf(workload)} not Ready: ${how}${words === '' ? '' : `; ${again ? 'it says the same as above' : words}`}`;
  });
  const others = unsettled.filter((w) => !ill.includes(w)).map((w) => notYet(release, w));
  const reason = ill.length > 0 ? 'TargetNotReady' : 'Resuming';
  return { act: 'wait', reason, message: [...troubles, ...others].join('; ') };
}

/** The first pod of a workload that may start and does not get on. */
export function podInTrouble({ pods }: Pick<Release, 'pods'>, workload: Workload): Pod | undefined {
  const own = pods.filter((p) => p.owner?.name === workload.name && p.owner.kind === workload.kind);
  return own.find((p) => !p.gated && !p.terminating && troubleOf(p.object));
}

function lastWords(release: Release, workload: Workload): { how: string; words: string } {
  const pod = podInTrouble(release, workload);
  const { lastLogs } = release;
  const log = pod && lastLogs !== 'unread' ? lastLogs[pod.name] : undefined;
  const words = log && ('read' in log ? lastWordsInWords(log.read) : `its log can't be read (${log.unread})`);
  const how = pod ? `pod/${pod.name}: ${troubleOf(pod.object)?.how}` : '';
  return { how, words: words ?? '' };
}

function notYet(release: Release, workload: Workload): string {
  const verdict = verdictOn(release, workload);
  return `${nameOf(workload)} not Ready yet${verdict.verdict === 'allow' ? '' : ` (${verdict.reason})`}`;
}
