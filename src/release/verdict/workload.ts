/** Verdicts on what a release holds: its workloads and its pods. */
import { wouldMigrate } from '../kubernetes/migrations.ts';
import type { Release } from '../model/release.ts';
import type { Pod, Workload } from '../model/workload.ts';
import { uncertain } from './decide.ts';
import { judge } from './judge.ts';
import type { Verdict } from './question.ts';

/** The workload whose image stands for the release: the API first, since its pod knows all providers, then the scheduler. */
export function foremost(workloads: readonly Workload[]): Workload {
  const order = ['api-server', 'webserver', 'scheduler'];
  const rank = (w: Workload) => (order.includes(w.component) ? order.indexOf(w.component) : order.length);
  return [...workloads].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))[0]!;
}

/** The verdict on a workload's desired images. Where the policy only observes, nothing is held and all may go. */
export function verdictOn(release: Release, workload: Workload): Verdict {
  if (onlyObserves(release)) return { verdict: 'allow', reason: 'Observed' };
  const [image, ...others] = workload.images.map(
    (name) => release.images[name] ?? { image: name, source: 'unknown' as const, why: 'not looked at' },
  );
  const { hold } = workload;
  const connectionChanged = hold?.connection !== undefined && hold.connection !== workload.connection;
  // What is not held was let through: its image counts as the one that runs.
  const from = hold ? hold.from : workload.image;
  const { database, run } = release;
  return judge({ workload, image: image!, others, database, run, from, connectionChanged });
}

/** A run whose schema step has begun is brought to its end, whatever the policy says since. */
function onlyObserves({ mode, run }: Release): boolean {
  return mode === 'Observe' && !run?.status.schemaStartedAt;
}

/** Only what is known is held from here: what is not known was let through, and is not stopped while it runs. */
export function certainlyTooOld(release: Release, workload: Workload): boolean {
  const { verdict, reason } = verdictOn(release, workload);
  return verdict === 'hold' && (reason === 'DatabaseAhead' || reason === 'ProviderAhead');
}

/** True when the workload may run on the database as it is. */
export function fits(release: Release, workload: Workload): boolean {
  return verdictOn(release, workload).verdict === 'allow';
}

/**
 * A pod may start when the database is where its image needs it. One that would take the database forward may only be
 * of an image that the release wants: an old pod of the newer version must never do that after a downgrade.
 */
export function podFits(release: Release, pod: Pod): boolean {
  if (onlyObserves(release)) return true;
  const verdict = verdictOnPod(release, pod);
  const idle = !release.run && release.workloads.every((w) => !w.hold);
  // Nobody is left who would find out: it was gated by mistake, and waits for what is not known.
  if (idle && verdict.verdict === 'hold' && uncertain.includes(verdict.reason)) return !wouldMigrate(pod);
  if (verdict.verdict !== 'allow') return false;
  return ['Fits', 'PreviousImage'].includes(verdict.reason) || release.workloads.some((w) => w.image === pod.image);
}

/** The verdict on a pod that waits behind the gate, by its own image. */
export function verdictOnPod(release: Release, pod: Pod): Verdict {
  const image = release.images[pod.image] ?? { image: pod.image, source: 'unknown' as const, why: 'not looked at' };
  const workload = { kind: 'Pod', namespace: release.namespace, name: pod.name, release: release.name };
  // What a workload asks for that is held no longer was let through, also where nobody is left who could be asked.
  const letGo = release.workloads.some((w) => !w.hold && w.image === pod.image);
  const from = letGo || ranBefore(release, pod) ? pod.image : undefined;
  return judge({ workload, image, database: release.database, run: release.run, from });
}

/** An old pod that comes back before anything was changed, or after all was returned, is what ran here already. */
function ranBefore({ workloads, run }: Release, { image, owner }: Pod): boolean {
  const { schemaStartedAt, returnedAt } = run?.status ?? {};
  if (schemaStartedAt && !returnedAt) return false;
  return workloads.some((w) => w.kind === owner?.kind && w.name === owner.name && w.hold?.from === image);
}
