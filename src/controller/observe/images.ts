/**
 * What is known of a release's images, and of what ran before its holds. Each name is believed to be the image that was
 * asked only where its digest says so: that of the pods that run it, or that of its registry.
 */
import { knowImage, parseImage, versionInName } from '../../release/airflow/images.ts';
import type { ToldBefore } from '../../release/kubernetes/downgrade.ts';
import { wouldMigrate } from '../../release/kubernetes/migrations.ts';
import { isMoved, learnedOf, runningDigests } from '../../release/kubernetes/pods.ts';
import type { ImageKnowledge, ImageUnknown, Learned } from '../../release/model/image.ts';
import { nameOf } from '../../release/model/kubernetes.ts';
import type { Release } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import type { Pod, Workload } from '../../release/model/workload.ts';
import type { Reads } from '../ports.ts';

export interface Seen {
  workloads: Workload[];
  pods: Pod[];
  run: Run | undefined;
  learned: Learned[];
  /** What the images of runs that are over said, and when these runs began. */
  told?: readonly ToldBefore[];
}

interface Known extends Seen {
  /** Image reference → digest, of the pods that run. */
  digests: Map<string, string>;
}

/** By image reference: of workloads, of pods and of the run. `used` is what was learned before and tells something now. */
export async function knowImages(
  reads: Reads,
  observed: Seen,
  { repositories }: { repositories: readonly string[] },
): Promise<Pick<Release, 'images' | 'moved' | 'used'>> {
  const { workloads, pods, run, learned } = observed;
  const seen = { ...observed, digests: runningDigests(pods) };
  const held = workloads.flatMap((w) => w.hold?.from || []);
  const names = [...workloads.flatMap((w) => w.images), ...held, ...pods.map((p) => p.image), ...(run ? [run.to] : [])];
  const used = new Set<Learned>();
  const known = [...new Set(names)].map(async (image) => {
    const told = askedNow(image, seen) ?? (await toldBefore(image, reads, seen));
    if (told) for (const one of learned) if (one.knowledge.imageID === told.imageID) used.add(one);
    return [image, await know(image, told, reads, seen, repositories)] as const;
  });
  const images = Object.fromEntries(await Promise.all(known));
  const moved = learned.map(({ knowledge }) => knowledge).filter((one) => isMoved(one, seen.digests.get(one.image)));
  return { images, moved, used: [...used] };
}

/** What the probe of this run said, unless pods run another image by that name. */
function askedNow(image: string, { run, digests }: Known): ImageKnowledge | undefined {
  const target = image === run?.to ? run.status.target : undefined;
  return target && !isMoved(target, digests.get(image)) ? { ...target, image, fresh: true } : undefined;
}

async function toldBefore(image: string, reads: Reads, seen: Known): Promise<ImageKnowledge | undefined> {
  const learned = seen.learned.map(({ knowledge }) => knowledge);
  const digest = await digestNow(image, reads, seen);
  const asked = askedInHold(image, seen);
  if (asked && ![digest, seen.digests.get(image)].some((now) => isMoved(asked, now))) return asked;
  return learnedOf(image, learned, digest);
}

/**
 * What the probe of an earlier run said under the hold that still stands. A run asks one image: of two that a release wants
 * the other must not be forgotten, or no run would ever fit both.
 */
function askedInHold(image: string, { workloads, told = [] }: Known): ImageKnowledge | undefined {
  const since = workloads.flatMap((w) => (w.hold && w.images.includes(image) ? [w.hold.since] : [])).sort();
  const target = told.findLast((one) => one.target.image === image && one.at >= (since.at(-1) ?? '~'))?.target;
  return target && { ...target, image, fresh: true };
}

/** What is wanted will be pulled: its registry says which image that is. What runs is what its pods say. */
async function digestNow(
  image: string,
  reads: Reads,
  { workloads, learned, digests }: Known,
): Promise<string | undefined> {
  const wanting = workloads.find((w) => w.hold && w.images.includes(image));
  const running = digests.get(image);
  if (running && !wanting) return running;
  const [workload] = [wanting, workloads.find((w) => w.images.includes(image)), ...workloads].filter(
    (w) => w !== undefined,
  );
  if (!workload || parseImage(image).digest || !learned.some(({ knowledge }) => knowledge.image === image))
    return undefined;
  const answer = await reads.digest(image, workload.object);
  return answer && 'digest' in answer ? answer.digest : undefined;
}

async function know(
  image: string,
  learned: ImageKnowledge | undefined,
  reads: Reads,
  { workloads, pods, digests }: Known,
  repositories: readonly string[],
): Promise<ImageKnowledge | ImageUnknown> {
  const workload = workloads.find((w) => w.images.includes(image));
  // A migration that waits for its image to be known would wait for ever if nobody asked.
  const awaited = pods.some((p) => p.gated && p.image === image && wouldMigrate(p));
  const asking = workload ?? (awaited ? workloads[0] : undefined);
  const ask = !learned && asking && versionInName(image, repositories) === undefined;
  const registry = ask ? await reads.registry(atDigest(image, digests.get(image)), asking.object) : undefined;
  return knowImage(image, { learned, registry, repositories, declared: workload?.declaredVersion });
}

/** The very image that runs under a name, where its pods tell. */
function atDigest(image: string, digest: string | undefined): string {
  if (!digest || image.includes('@')) return image;
  const { registry, repository } = parseImage(image);
  return `${registry ? `${registry}/` : ''}${repository}@${digest}`;
}

/** More than the held workloads of a large cluster; then they are looked up again. */
const mostRemembered = 10_000;

/**
 * What a hold says of the image before it counts only where Kubernetes' own history has that image for the workload: the
 * annotation can be written by whoever may write the workload.
 */
export async function withTrueHolds(
  reads: Reads,
  namespace: string,
  workloads: Workload[],
  { ran = new Set() }: { ran?: Set<string> },
): Promise<Workload[]> {
  const key = ({ object, hold }: Workload) => `${object.metadata.uid} ${hold?.from}`;
  const claiming = workloads.filter((w) => w.hold?.from && !ran.has(key(w)));
  if (claiming.length === 0) return workloads;
  const history = await reads.ranBefore(
    namespace,
    claiming.map(({ object }) => object),
  );
  if (ran.size > mostRemembered) ran.clear();
  const untrue = claiming.filter((w) => !history[nameOf(w)]?.includes(w.hold!.from));
  for (const w of claiming) if (!untrue.includes(w) && w.object.metadata.uid) ran.add(key(w));
  return workloads.map((w) => (untrue.includes(w) ? { ...w, hold: { ...w.hold!, from: '' } } : w));
}
