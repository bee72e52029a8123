/** Awaiting: what is said while the pods of the target are not all Ready, each workload in its pods' own last words. */
import { lastWordsInWords } from './lastwords.ts';
import { type Act, verdictOn } from './next.ts';
import { nameOf } from './reasons.ts';
import type { Pod, Release, Workload } from './release.ts';
import { troubleOf } from './trouble.ts';

/** The act of waiting for these workloads. Those in trouble come first, and words that were said are not said again. */
export function awaiting(release: Release, unsettled: Workload[]): Act {
  const ill = unsettled.filter((w) => podInTrouble(release, w));
  const said = new Set<string>();
  const troubles = ill.map((workload) => {
    const { how, words } = lastWords(release, workload);
    const again = words !== '' && said.has(words);
    said.add(words);
    return `${nameOf(workload)} not Ready: ${how}${words === '' ? '' : `; ${again ? 'it says the same' : words}`}`;
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
