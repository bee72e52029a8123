/**
 * The runner: where the reverse scripts run, since only the newer image has them. By default a warm copy of an old pod,
 * which has imported Airflow and looked at the database before anything is drained; with OldPod, and where no copy is
 * admitted, the old pod itself, by a command that outlives its stream.
 */
import { copySources, livingSources, templateOf } from '../../release/downgrade/sources.ts';
import { isForRoom } from '../../release/downgrade/trials.ts';
import { holdsRoom, isCopy, runnerPod, runValue } from '../../release/kubernetes/helper-pods.ts';
import { mainContainerOf } from '../../release/kubernetes/main-container.ts';
import { ownPod } from '../../release/kubernetes/own-pods.ts';
import { readPod } from '../../release/kubernetes/pods.ts';
import { dumpPlace } from '../../release/model/backup-names.ts';
import { replacing } from '../../release/model/json.ts';
import { label, type PodObject, runLabel } from '../../release/model/kubernetes.ts';
import type { Release } from '../../release/model/release.ts';
import type { OwnPod, Run } from '../../release/model/run.ts';
import { runnerFolder } from '../../release/model/runner.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Pod } from '../../release/model/workload.ts';
import { copiedPod, differenceInWords, differing } from '../../release/plan/proof.ts';
import type { ActSettings, Ways, Writes } from '../ports.ts';
import { type Making, make } from './pods.ts';

/** Starts the runner. Throws NoOldPod when nothing with the reverse scripts is left, another error when nothing is admitted. */
export async function startRunner(
  release: Release,
  run: Run,
  ways: Ways & Making,
  settings: ActSettings,
): Promise<void> {
  const { writes } = ways;
  const standing = ownPod(release.pods, run, 'runner');
  if (standing) return startIn(standing, release, run, ways, settings);
  const living = livingSources(release, run);
  if (livesInOldPod(release, settings)) {
    const [source] = living;
    if (!source) throw new NoOldPod(run);
    return source.gated ? copy(source, release, run, ways, settings) : startIn(source, release, run, ways, settings);
  }
  const running = living.find((p) => !p.gated);
  const unlike = unlikeOldPods(run, running);
  const refused = unlike === undefined ? await copyOne(release, run, ways, settings) : [];
  if (!refused) return;
  const unadmitted = refused.length > 0 ? `no copy of an old pod is admitted (${refused.join('; ')})` : '';
  const what = unlike ?? unadmitted;
  if (!what) throw new NoOldPod(run);
  if (!running) throw new Error(`${what}${unlike === undefined ? admitOne : noneIsLeft}`);
  await tell(
    run,
    release,
    writes,
    `${what}: the runner lives in pod/${running.name} itself, so the database can't be copied`,
  );
  return startIn(running, release, run, ways, settings);
}

function livesInOldPod({ profile, rules }: Release, { runner }: ActSettings): boolean {
  return profile !== 'labelled' && (rules.runner ?? runner) === 'OldPod';
}

const admitOne = ", and the runner can't live in an old pod here; admit one of these pods";
const noneIsLeft =
  ". No copy is used, and the old pod in which the runner was is gone: what is left is a person's work, with the backup that the Downgrade names";

/** How a copy differed from the old pods, in words; undefined when it did not or was not compared. */
function unlikeOldPods(run: Run, running: Pod | undefined): string | undefined {
  const { proof, drainStartedAt } = run.status;
  // Once the release is drained a new copy is compared with nobody, and what one copy saw the next one sees.
  const counts = proof && (running || drainStartedAt) && differing(proof).length > 0;
  return counts ? differenceInWords(proof) : undefined;
}

/** So many different pods are tried: what refuses four of them will refuse all. */
const mostTries = 4;

/** Makes a copy of the best source that is admitted; else answers why none is, [] when there is none. */
async function copyOne(
  release: Release,
  run: Run,
  ways: Ways & Making,
  settings: ActSettings,
): Promise<string[] | undefined> {
  const { sources, unfit } = copySources(release, run);
  const refused = [...unfit];
  for (const source of sources.slice(0, mostTries)) {
    try {
      await copy(source, release, run, ways, settings);
      if (refused.length > 0)
        await tell(run, release, ways.writes, `the runner is a copy of pod/${source.name}; ${refused.join('; ')}`);
      return undefined;
    } catch (error) {
      const { status, message } = error as Error & { status?: number };
      const passes =
        isForRoom({ status: status ?? 0, message }) && release.pods.some((p) => p.role === 'probe' && holdsRoom(p));
      if (passes || ![400, 403, 422].includes(status ?? 0)) throw error;
      refused.push(`pod/${source.name}: ${message}`);
    }
  }
  return refused;
}

async function copy(
  source: Pod,
  release: Release,
  run: Run,
  ways: Ways & Making,
  settings: ActSettings,
): Promise<void> {
  const wanted = {
    run: run.name,
    namespace: release.namespace,
    release: release.name,
    profile: release.profile,
    command: settings.commands.runner,
    dumps: dumpPlace(release.rules, run),
    template: templateOf(release, source),
    claims: release.claims,
  };
  const pod = runnerPod(await wholePod(ways.reads, release.namespace, source), wanted);
  await make('runner', pod, release, run, ways, { copied: copiedPod(source) });
}

/** What is copied must be there to its last field. Throws when it went meanwhile: the next look takes another one. */
async function wholePod(reads: Ways['reads'], namespace: string, { name, uid }: Pod): Promise<PodObject> {
  const object = await reads.pod(namespace, name);
  if (object?.metadata.uid !== uid) throw new Error(`pod/${name}, which was to be copied, is gone`);
  return object;
}

/** Recorded and labelled first: a controller that dies in between finds its choice again, or makes another. */
async function startIn(
  pod: Pod,
  { namespace }: Release,
  run: Run,
  { writes, record }: Making,
  settings: ActSettings,
): Promise<void> {
  if (pod.role !== 'runner') {
    // As it stands in the pod: what its template asked for, a mirror may have rewritten, and is not compared with.
    const { image } = readPod(pod.object, {});
    const runner = replacing(run.status.pods?.runner, { name: pod.name, uid: pod.uid, image }) as OwnPod;
    await record({ pods: { runner } });
    await writes.labelPod(namespace, pod.name, pod.uid, { [label.role]: 'runner', [runLabel]: runValue(run.name) });
  }
  try {
    await writes.startDetached(namespace, pod.name, mainContainerOf(pod.object), settings.commands.runner);
  } catch (error) {
    const why = wordsOfThrown(error);
    if (!/read-only file system|permission denied/i.test(why)) throw error;
    throw new Error(
      `${why}; a runner in an old pod needs a /tmp that can be written: mount an emptyDir there, or use runner: Copy`,
    );
  }
}

/** A copy is deleted. An old pod that still serves is given back; one that was taken out of service ends. */
export async function dismiss(pod: Pod, namespace: string, writes: Writes): Promise<void> {
  if (pod.role === 'airflow' || pod.terminating) return;
  const serving = pod.object.metadata.labels?.component !== undefined;
  if (isCopy(pod) || !serving) return writes.deletePod(namespace, pod.name, pod.uid);
  const container = mainContainerOf(pod.object);
  await writes.writeFile(namespace, pod.name, container, `${runnerFolder}/stop`, 'stop');
  await writes.labelPod(namespace, pod.name, pod.uid, { [label.role]: null, [runLabel]: null });
}

/** An event of the run: told once, since the runner stands from then on. */
async function tell(run: Run, { namespace }: Release, writes: Ways['writes'], message: string): Promise<void> {
  const object = { apiVersion: 'downdraft.dev/v1alpha1', kind: 'Downgrade', namespace, name: run.name, uid: run.uid };
  await writes.event({ object, type: 'Warning', reason: 'RunnerStarting', message });
}

/** Nothing is left that has the reverse scripts. */
export class NoOldPod extends Error {
  readonly reason = 'NoOldPod';
  constructor({ name, to, status }: Run) {
    const old = status.from?.image ?? `another version than ${to}`;
    // In the middle of the schema step the door lets nothing but the target in.
    const first = status.schemaStartedAt ? `delete the Downgrade ${name}, then ` : '';
    super(
      `no pod of ${old} is left to copy, and only that image has the reverse scripts; ${first}set the image back to it, wait until a pod runs, then set ${to} again`,
    );
  }
}

/** argv for the runner's program in its folder. */
export function inFolder(command: string[]): string[] {
  return ['env', `DOWNDRAFT_DIR=${runnerFolder}`, ...command];
}
