/**
 * Observe: everything a decision about one release needs, read live into one frozen snapshot. Nothing is decided here
 * and nothing is written.
 */
import { versionInName } from '../../release/airflow/images.ts';
import { jobsToRead } from '../../release/downgrade/misfits.ts';
import { expired, surplus } from '../../release/downgrade/retention.ts';
import { isRewritten, withAskedImages } from '../../release/kubernetes/asked-image.ts';
import { claimsOf } from '../../release/kubernetes/copied-pod.ts';
import { activeRun, pastRuns, toldBefore } from '../../release/kubernetes/downgrade.ts';
import { withStrays } from '../../release/kubernetes/own-pods.ts';
import { readPod, releaseOfPod } from '../../release/kubernetes/pods.ts';
import { readWorkload } from '../../release/kubernetes/workloads.ts';
import { label } from '../../release/model/kubernetes.ts';
import { defaultPatience, type Patience, type Release } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import type { Pod, ProfileName, Workload } from '../../release/model/workload.ts';
import { countingFor } from '../../release/policy/frozen.ts';
import type { Reads, StoredRollout } from '../ports.ts';
import { observeBackups } from './backups.ts';
import { type Looks, observeDatabase } from './database.ts';
import { observeProbe, observeRunner, observeTriggers } from './helper-pods.ts';
import { knowImages, withTrueHolds } from './images.ts';
import { observeLastLogs } from './logs.ts';
import { observePolicy } from './policy.ts';
import { observeProof, type Proofs } from './proof.ts';
import { observeNewPods, type Tries } from './trials.ts';

export interface ObserveSettings extends Looks, Tries {
  /** Images that workloads are known to have run: their uid and the image. */
  ran?: Set<string>;
  proofs?: Proofs;
  repositories: readonly string[];
  /** Missing: as the settings say where nothing is set. */
  patience?: Patience;
}

/** Reads one release. Throws when the API server can't be asked; what the database can't tell is part of the answer. */
export async function observe(
  reads: Reads,
  { namespace, name }: { namespace: string; name: string },
  settings: ObserveSettings,
): Promise<Release> {
  const [objects, podObjects, owners, downgrades, gateExists, learned, said] = await Promise.all([
    reads.workloads(namespace),
    reads.pods(namespace),
    reads.replicaSetOwners(namespace),
    reads.downgrades(namespace),
    reads.gateExists(namespace, name),
    reads.learnedImages({ namespace, release: name }),
    observePolicy(reads, namespace),
  ]);
  const stored = objects.map(readWorkload).filter((w): w is Workload => w?.release === name);
  const workloads = await withTrueHolds(reads, namespace, stored, settings);
  const run = activeRun(downgrades, name);
  const counting = countingFor(said, run, namespace);
  const own = podObjects.map((p) => readPod(p, owners)).filter((p) => belongs(p, name, workloads));
  const pods = withStrays(await asAsked(reads, namespace, own, workloads, run), run);
  const profile = workloads[0]?.profile ?? profileOfPods(pods);
  const subject = { namespace, name, workloads, pods, run };
  const [newPods, probe, triggers, runner] = await Promise.all([
    observeNewPods(reads, { ...subject, gateExists }, settings),
    observeProbe(reads, run, pods, settings.now(), settings.repositories),
    observeTriggers(reads, run, pods, settings.now()),
    observeRunner(reads, run, pods, settings.now()),
  ]);
  // After the runner: what it says is done must be seen to be done.
  const whereabouts = await observeDatabase(reads, { ...subject, runner }, settings);
  const known = await knowImages(
    reads,
    { workloads, pods, run, learned, told: toldBefore(downgrades, name) },
    settings,
  );
  const release: Release = {
    namespace,
    name,
    profile,
    ...counting,
    workloads,
    pods,
    ...whereabouts,
    ...known,
    run,
    past: pastRuns(downgrades, name),
    ...newPods,
    probe,
    triggers,
    runner,
    ...(await alsoRead(reads, { ...subject, images: known.images, ...whereabouts, runner }, settings)),
    ...(await observeBackups(reads, namespace, counting.rules, run)),
    expired: expired(downgrades, name, settings.now()),
    surplus: surplus(downgrades, name, settings.now()),
    patience: settings.patience ?? defaultPatience,
    now: settings.now(),
  };
  return Object.freeze(release);
}

/** What is only read while a step of the run needs it. */
async function alsoRead(
  reads: Reads,
  seen: Pick<Release, 'namespace' | 'name' | 'images' | 'database' | 'pods' | 'run' | 'workloads' | 'runner'>,
  settings: ObserveSettings,
): Promise<Pick<Release, 'templates' | 'rollouts' | 'jobs' | 'claims' | 'lastLogs' | 'proof'>> {
  const { namespace, pods, run, workloads } = seen;
  return {
    templates: await templatesFor(reads, namespace, run, workloads),
    rollouts: await rolloutsFor(reads, namespace, run, workloads, settings),
    jobs: await jobsFor(reads, seen),
    claims: await claimsFor(reads, seen),
    proof: await observeProof(reads, seen, settings),
    lastLogs: await observeLastLogs(reads, { namespace, run, workloads, pods }),
  };
}

/** Read only when a person or the policy wants what ran before, while the workloads ask for something else. */
async function templatesFor(
  reads: Reads,
  namespace: string,
  run: Run | undefined,
  workloads: Workload[],
): Promise<Release['templates']> {
  const { returnedAt, returnBy } = run?.status ?? {};
  if (!returnedAt || returnBy === 'Wish') return 'unread';
  const known = [run?.status.from?.image, ...workloads.map(({ hold }) => hold?.from)].filter(
    (image) => image !== undefined,
  );
  const held = workloads.filter((w) => w.hold).map((w) => w.object);
  return reads.templatesBefore(namespace, held, known.filter(Boolean));
}

/** An ownerReference is its writer's word: what it names is read before anything is done to it. */
async function jobsFor(reads: Reads, release: Parameters<typeof jobsToRead>[0]): Promise<Release['jobs']> {
  const read = jobsToRead(release).map(async (name) => [name, await reads.job(release.namespace, name)] as const);
  return Object.fromEntries((await Promise.all(read)).flatMap(([name, job]) => (job ? [[name, job]] : [])));
}

/** Of the pods that a runner may be copied from: a volume that only one node or pod can have decides which, and where. */
async function claimsFor(
  reads: Reads,
  { namespace, run, runner, pods }: Pick<Release, 'namespace' | 'run' | 'runner' | 'pods'>,
): Promise<Release['claims']> {
  if (!run || runner.state !== 'absent') return {};
  const old = pods.filter((p) => p.role === 'airflow' && !p.ended && !p.terminating);
  const names = new Set(old.flatMap(({ object }) => claimsOf(object.spec)));
  return names.size > 0 ? reads.claimModes(namespace, [...names].slice(0, mostClaims)) : {};
}

const mostClaims = 100;

/** Read until the record says since when a newer version has run. */
async function rolloutsFor(
  reads: Reads,
  namespace: string,
  run: Run | undefined,
  workloads: Workload[],
  { repositories }: ObserveSettings,
): Promise<Release['rollouts']> {
  if (!run?.status.target || run.status.newerSince) return 'unread';
  return (await rolloutsOf(reads, namespace, workloads)).map((one) => ({
    ...one,
    images: one.images.map((image) => {
      const version = versionInName(image, repositories);
      return version === undefined ? { image } : { image, version };
    }),
  }));
}

/** By the images of the templates that they were made from, where others wrote names of their own into them. */
async function asAsked(reads: Reads, namespace: string, own: Pod[], workloads: Workload[], run: Run | undefined) {
  return isRewritten(own, workloads, run) ? withAskedImages(own, await rolloutsOf(reads, namespace, workloads)) : own;
}

/** Of the workloads themselves: in an ownerReference anybody may write a name. */
async function rolloutsOf(reads: Reads, namespace: string, workloads: readonly Workload[]): Promise<StoredRollout[]> {
  const uids = new Set(workloads.map(({ object }) => object.metadata.uid));
  return (await reads.rollouts(namespace)).filter(({ owner }) => uids.has(owner));
}

/** By its labels, or by its owner: a pod from before its workload was labelled has the database open all the same. */
function belongs({ object, owner, role }: Pod, name: string, workloads: Workload[]): boolean {
  if (releaseOfPod(object) === name) return true;
  return role === 'airflow' && workloads.some((w) => w.kind === owner?.kind && w.name === owner.name);
}

function profileOfPods(pods: Pod[]): ProfileName {
  const labels = pods.find((p) => p.role !== 'airflow')?.object.metadata.labels;
  if (labels?.[label.release]) return 'labelled';
  return labels?.app === 'airflow' ? 'community' : 'official';
}
