/** The live view: what a release's pods and its Downgrade are at, as lines. Pure. */

import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { cut, inWords, wrap } from './lines.ts';

/** What is there now. */
export interface Seen {
  pods: PodObject[];
  downgrade: DowngradeObject | undefined;
  /** Whole lines that helm printed so far. */
  helm: string[];
}

/** The frame for a terminal: at most `rows` lines of at most `columns`. */
export function frame(seen: Seen, now: Date, columns: number, rows: number): string {
  const { downgrade } = seen;
  const wrapped = (text: string) => wrap(text, columns - TITLE);
  const step = wrapped(String(downgrade?.status?.step ?? '')).slice(0, 3);
  const above = [
    ...titled('helm', warnings(seen.helm).slice(0, 2).flatMap(wrapped)),
    ...titled('downdraft', downgrade ? [outline(downgrade, now), ...step] : []),
  ];
  const room = Math.max(3, rows - above.length);
  const all = podLines(seen);
  const shown = all.length <= room ? all : [...all.slice(0, room - 1), `and ${all.length - room + 1} more`];
  return [...above, ...titled('pods', shown)].map((line) => cut(line, columns)).join('\n');
}

/** One line that only changes when something happened, for logs; without the running seconds. */
export function brief(seen: Seen): string {
  const { downgrade } = seen;
  const tags = tagsOf(seen);
  const counts = new Map<string, number>();
  for (const pod of seen.pods.filter(isShown)) {
    const what = `${versionOf(pod, tags)} ${stateOf(pod)}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const pods = [...counts].sort().map(([what, count]) => `${count} × ${what}`);
  const step = String(downgrade?.status?.step ?? '');
  const run = downgrade ? `${[outline(downgrade, undefined), step].filter(Boolean).join(' · ')}; ` : '';
  return `${run}pods: ${pods.join('; ') || 'none'}`;
}

/** What downdraft told helm's user, each line once. helm writes warnings as klog does: I1121 … warnings.go:110] "…". */
export function warnings(helm: string[]): string[] {
  const told = helm.map((line) => /Warning: downdraft [^"]*/.exec(line)?.[0]);
  return [...new Set(told.filter((line) => line !== undefined))];
}

const TITLE = 11;

function titled(title: string, lines: string[]): string[] {
  return lines.map((line, index) => `${(index === 0 ? title : '').padEnd(TITLE)}${line}`);
}

/** Name, phase and outage; `now` undefined: without the outage. */
function outline({ metadata, status = {} }: DowngradeObject, now: Date | undefined): string {
  const { phase = 'Planning', outageSeconds, record } = status;
  const parts = [metadata.name, String(phase)];
  if (now) {
    const began = record?.drainStartedAt;
    const seconds = record?.completedAt || !began ? outageSeconds : (now.getTime() - Date.parse(began)) / 1000;
    if (typeof seconds === 'number') parts.push(`outage ${inWords(seconds * 1000)}`);
  }
  return parts.join(' · ');
}

function podLines(seen: Seen): string[] {
  const tags = tagsOf(seen);
  const shown = seen.pods.filter(isShown).sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  const longest = Math.max(0, ...shown.map(({ metadata }) => metadata.name.length));
  return shown.map((pod) => `${pod.metadata.name.padEnd(longest)}  ${versionOf(pod, tags).padEnd(6)} ${stateOf(pod)}`);
}

/** Jobs that are done say nothing any more. */
function isShown(pod: PodObject): boolean {
  return pod.status?.phase !== 'Succeeded';
}

/** Tags by digest: downdraft's own pods name an image by digest, so that they run exactly what ran. */
function tagsOf({ pods, downgrade }: Seen): Map<string, string> {
  const tags = new Map<string, string>();
  const learn = (image = '', id = '') => {
    const [digest, tag] = [digestOf(id), tagOf(image)];
    if (digest && tag) tags.set(digest, tag);
  };
  for (const { spec, status } of pods) learn(spec.containers[0]?.image, status?.containerStatuses?.[0]?.imageID);
  const { from } = downgrade?.status?.record ?? {};
  learn(from?.image, from?.imageID);
  return tags;
}

function digestOf(image: string): string | undefined {
  return /@(sha256:[0-9a-f]{64})$/.exec(image)?.[1];
}

function tagOf(image: string): string | undefined {
  return /:([^/:]+)$/.exec(image.split('@')[0]!)?.[1];
}

function versionOf({ spec }: PodObject, tags: Map<string, string>): string {
  const image = spec.containers[0]?.image ?? '';
  const digest = digestOf(image);
  return tagOf(image) ?? (digest ? (tags.get(digest) ?? digest.slice(7, 13)) : '?');
}

/** One or two words, kubectl's where it has them. */
function stateOf({ metadata, spec, status = {} }: PodObject): string {
  if (metadata.deletionTimestamp) return 'Terminating';
  if (spec.schedulingGates?.length) return 'SchedulingGated';
  const broken = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].find((container) =>
    /BackOff|Err/.test(container.state?.waiting?.reason ?? ''),
  );
  if (broken) return broken.state!.waiting!.reason!;
  const initial = status.initContainerStatuses?.find((container) => container.state?.running);
  if (initial) return `Init: ${initial.name}`;
  if (status.phase === 'Running') {
    const ready = status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    return ready ? 'Running, Ready' : 'Running, not ready yet';
  }
  const waiting = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])][0]?.state?.waiting;
  return waiting?.reason ?? status.phase ?? 'Pending';
}
