/** Repeats: the same decided again and again in one look, and the same asked of a pod in look after look. */
import type { Act } from '../release/model/act.ts';
import { nameOf } from '../release/model/kubernetes.ts';

/** Acts that a pod answers by and by; asking again at once would only repeat them. */
const answeredLater: Act['act'][] = [
  'startProbe',
  'endStrays',
  'restartProbe',
  'askTriggers',
  'startRunner',
  'restartRunner',
  'lookAgain',
  'order',
];

/** Release → what was last asked of a pod, and in how many looks in a row. */
export type Unanswered = Map<string, { what: string; times: number }>;

/** No release needs more looks than this in one go, but for what is done to each workload; nor one act so often: that is a fault. */
export const looksAtOnce = 40;
const [sameAtOnce, actsOfEach] = [3, 2];

/** The act; what was decided too often in this look already becomes a wait that says so. `workloads`: how many there are. */
export function unlessRepeated(act: Act, decided: Map<string, number>, looks: number, workloads: number): Act {
  if (act.act === 'rest' || act.act === 'wait') return act;
  // An object changes with each write; what is wanted of it does not.
  const what = JSON.stringify(act, (name, value) => (name === 'object' ? undefined : value));
  const times = (decided.get(what) ?? 0) + 1;
  decided.set(what, times);
  if (times < sameAtOnce && looks <= looksAtOnce + actsOfEach * workloads) return act;
  const of = 'image' in act ? ` ${act.image}` : 'workload' in act ? ` ${nameOf(act.workload)}` : '';
  const message = `the same is decided again and again (${act.act}${of}), so nothing more is done until something changes: what is observed contradicts itself, or this is a fault of downdraft's; its log tells each act. To end it, set the image back that ran before`;
  return { act: 'wait', reason: 'Blocked', message };
}

/** So many looks a pod is asked the same before it is said: each lasts half a second or more. */
export const patience = 20;

/** In how many looks in a row a pod was asked just this; 0 for what no pod answers. */
export function timesAsked(
  { namespace, name }: { namespace: string; name: string },
  act: Act,
  unanswered: Unanswered,
): number {
  const id = `${namespace}/${name}`;
  const what = 'part' in act ? `${act.act} ${act.part}` : act.act;
  const before = unanswered.get(id);
  const times = answeredLater.includes(act.act) ? (before?.what === what ? before.times : 0) + 1 : 0;
  if (times === 0) unanswered.delete(id);
  else unanswered.set(id, { what, times });
  return times;
}
