/**
 * Trials: dry-run CREATEs of pods as the release's own workloads make them. Before anything is written they tell whether
 * the API server takes such pods at all; behind the gate, whether each of them comes back gated.
 */
import { selectorOf } from '../airflow/charts.ts';
import { nameOf } from '../model/kubernetes.ts';
import { shorten } from '../model/reasons.ts';
import type { GateState, Release, Trial } from '../model/release.ts';
import { profileNames } from '../model/workload.ts';

/** Whether the API server refused a pod for want of room in a quota alone: as soon as another pod ends there is some. */
export function isForRoom({ status, message }: { status?: number; message: string }): boolean {
  return status === 403 && message.includes('exceeded quota');
}

/** What stands in the way of a gate, in words; undefined when every pod of the release would be taken and caught. */
export function unadmitted(release: Release): { reason: 'Blocked' | 'GateNotProven'; message: string } | undefined {
  const { missingRights, trials } = release.admission;
  const loose = looseIn(release);
  if (loose.length > 0)
    return {
      reason: 'GateNotProven',
      message: shorten(
        `${loose.join(', ')}: without the labels by which new pods would be gated (${labelsInWords(release)}); nothing was touched. Set them in the pod template together with the image that ran before, wait until its pods are made anew, then ask for the older version again`,
        longest,
      ),
    };
  if (missingRights.length > 0)
    return {
      reason: 'Blocked',
      message: `downdraft may not: ${missingRights.join(', ')}; apply manifests/rbac.yaml again; nothing was touched`,
    };
  const refused = trials.filter((t) => t.refused !== undefined && !t.noRoom);
  if (refused.length === 0) return undefined;
  const who = refused.map(({ workload }) => workload).join(', ');
  return {
    reason: 'Blocked',
    message: shorten(
      `a new pod of ${who} would be refused, so whether the drain's gate catches it can't be proved; nothing was touched: ${refused[0]!.refused}`,
      longest,
    ),
  };
}

/** An event's message has 1,024 characters. */
const longest = 1000;

/**
 * Whose new pods no selector of the gate would catch. Pods carry the labels of the template alone, and what runs is made
 * anew from the template of before the hold.
 */
function looseIn({ name, workloads, pods }: Release): string[] {
  const isCaught = (labels: Readonly<Record<string, string>> = {}) =>
    profileNames.some((profile) =>
      Object.entries(selectorOf(profile, name)).every(([key, value]) => labels[key] === value),
    );
  const running = pods.filter((p) => p.role === 'airflow' && !p.ended && !p.terminating && !p.gated);
  return [
    ...workloads.filter((w) => !isCaught(w.object.spec.template.metadata?.labels)).map(nameOf),
    ...running.filter((p) => !isCaught(p.object.metadata.labels)).map((p) => `pod/${p.name}`),
  ];
}

function labelsInWords({ profile, name }: Release): string {
  return Object.entries(selectorOf(profile, name))
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ');
}

/**
 * Whether the gate is in force. `strict`: the pod of each workload must be seen to be caught, as before the drain; later
 * one for each selector will do, since a workload whose pods nobody takes brings none.
 */
export function gateStateOf(trials: readonly Trial[], strict: boolean): GateState {
  const free = trials.find((t) => !t.gated && t.refused === undefined);
  if (free) return { written: `waiting for the gate to be in force for pods of ${free.workload}` };
  const proved = new Set(trials.filter((t) => t.gated).map((t) => t.profile));
  const open = trials.find((t) => !t.gated && (strict || !proved.has(t.profile)));
  if (open)
    return {
      written: `can't prove that the gate is in force for pods of ${open.workload}: ${open.refused}`,
      refused: true,
    };
  return trials.length > 0 ? 'inForce' : { written: 'no pod of the release is left to try the gate with' };
}
