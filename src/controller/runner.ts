/**
 * The runner: where the reverse scripts run, since only the newer image has them. By default a warm copy of an old pod,
 * which has imported Airflow and looked at the database before anything is drained; with OldPod the old pod itself, by a
 * command that outlives its stream.
 */
import type { PodObject } from '../release/objects.ts';
import { dumpPlace } from '../release/places.ts';
import { runLabel, runnerFolder, runnerPod } from '../release/pods.ts';
import { label } from '../release/profiles.ts';
import type { Pod, Release, Run } from '../release/release.ts';
import type { ActSettings, Ways } from './acts.ts';

/** Starts the runner. Throws NoOldPod when nothing with the reverse scripts is left to copy. */
export async function startRunner(
  release: Release,
  run: Run,
  { reads, writes }: Ways,
  settings: ActSettings,
): Promise<void> {
  const { namespace } = release;
  const own = (p: Pod) => p.object.metadata.labels?.[runLabel] === run.name;
  const standing = release.pods.find((p) => p.role === 'runner' && !p.terminating && own(p));
  // Which labels an unknown chart's Service selects by can't be told, so none of its pods is taken out of service.
  const mode = release.profile === 'labelled' ? 'Copy' : (release.rules.runner ?? settings.runner);
  const source = standing ?? sourceOf(release, run, mode);
  if (!source) throw new NoOldPod(run);
  if (!standing && (mode === 'Copy' || source.gated)) {
    const wanted = {
      run: run.name,
      namespace,
      release: release.name,
      profile: release.profile,
      command: settings.commands.runner,
      dumps: dumpPlace(release.rules, run),
    };
    return writes.createPod(runnerPod(await wholePod(reads, namespace, source), wanted));
  }
  // Labelled first: a controller that dies in between finds its choice again.
  if (!standing)
    await writes.labelPod(namespace, source.name, source.uid, { [label.role]: 'runner', [runLabel]: run.name });
  await writes.startDetached(namespace, source.name, mainContainer(source), settings.commands.runner);
}

/** An old pod: one of the image that ran before, the API first, Ready before running before gated. */
function sourceOf(release: Release, run: Run, mode: ActSettings['runner']): Pod | undefined {
  // A first runner tells its image by digest; pods that wait behind the gate have the name that was held.
  const before = [run.status.from?.image, ...release.workloads.map((w) => w.hold?.from)].filter(Boolean);
  const old = release.pods.filter(
    (p) =>
      p.role === 'airflow' &&
      !p.ended &&
      !p.terminating &&
      (before.length > 0 ? before.includes(p.image) : p.image !== run.to),
  );
  const service = ['api-server', 'webserver', 'web', 'scheduler', 'dag-processor', 'triggerer'];
  const rank = (p: Pod) => {
    const component = service.indexOf(p.component);
    const state = isReady(p) ? 0 : p.gated ? 2 : 1;
    return state * 10 + (component < 0 ? service.length : component);
  };
  const serves = (p: Pod) => service.includes(p.component) || release.profile === 'labelled';
  const candidates = old.filter((p) => serves(p) && (mode === 'Copy' || isReady(p) || p.gated));
  return candidates.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))[0];
}

/** What is copied must be there to its last field. Throws when it went meanwhile: the next look takes another one. */
async function wholePod(reads: Ways['reads'], namespace: string, { name, uid }: Pod): Promise<PodObject> {
  const object = await reads.pod(namespace, name);
  if (object?.metadata.uid !== uid) throw new Error(`pod/${name}, which was to be copied, is gone`);
  return object;
}

function isReady(pod: Pod): boolean {
  return pod.object.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
}

function mainContainer(pod: Pod): string {
  return pod.object.spec.containers[0]!.name;
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
