/** Which old pods a runner can be copied from, or live in: those that have the reverse scripts, best first. Pure. */
import { claimsOf } from '../kubernetes/copied-pod.ts';
import { mainStatusOf } from '../kubernetes/main-container.ts';
import { digestOf } from '../kubernetes/pods.ts';
import type { PodTemplate } from '../model/kubernetes.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import type { Pod } from '../model/workload.ts';

/** The API first: its pods know all providers. */
const service = ['api-server', 'webserver', 'web', 'scheduler', 'dag-processor', 'triggerer'];

/** Old pods that can be copied, and in a word why others can't. One of each owner: its pods are alike. */
export function copySources(release: Release, run: Run): { sources: Pod[]; unfit: string[] } {
  const old = ranked(release, oldPods(release, run));
  const alone = (p: Pod) => claimsOf(p.object.spec).find((name) => release.claims[name]?.includes('ReadWriteOncePod'));
  const unfit = old.flatMap((p) => {
    const claim = alone(p);
    return claim ? [`pod/${p.name}: its volume claim ${claim} is ReadWriteOncePod, no second pod can have it`] : [];
  });
  const seen = new Set<string>();
  const sources = old.filter((p) => {
    const owner = p.owner ? `${p.owner.kind}/${p.owner.name}` : p.name;
    return !alone(p) && !seen.has(owner) && seen.add(owner);
  });
  return { sources, unfit };
}

/**
 * Old pods in which a runner can live: it is started by exec, so they run; one behind the gate could only be copied. Which
 * labels an unknown chart's Service selects by can't be told, so none of its pods is taken out of service.
 */
export function livingSources(release: Release, run: Run): Pod[] {
  if (release.profile === 'labelled') return [];
  return ranked(release, oldPods(release, run)).filter((p) => isReady(p) || p.gated);
}

function oldPods(release: Release, run: Run): Pod[] {
  const { workloads, images } = release;
  // A first runner tells its image by digest; pods that wait behind the gate have the name that was held.
  const before = [run.status.from?.image, ...workloads.map((w) => w.hold?.from)].filter((image) => image);
  const known = [run.status.from?.imageID, ...before.map((image) => knownID(images[image!]))].map(digestOf);
  const digests = known.filter((digest) => digest !== undefined);
  const ran = (p: Pod) => {
    const digest = digestOf(mainStatusOf(p.object)?.imageID);
    return before.includes(p.image) || (digest !== undefined && digests.includes(digest));
  };
  const serves = (p: Pod) => service.includes(p.component) || release.profile === 'labelled';
  return release.pods.filter(
    (p) =>
      p.role === 'airflow' &&
      !p.ended &&
      !p.terminating &&
      serves(p) &&
      (before.length > 0 ? ran(p) : p.image !== run.to),
  );
}

function knownID(image: Release['images'][string] | undefined): string | undefined {
  return image && 'imageID' in image ? image.imageID : undefined;
}

/** Ready before running before gated; where no volume is bound to a node before others; then by component. */
function ranked({ claims }: Release, pods: Pod[]): Pod[] {
  const isFree = (name: string) => claims[name]?.some((mode) => mode.endsWith('Many')) ?? false;
  const rank = (p: Pod) => {
    const component = service.indexOf(p.component);
    const state = isReady(p) ? 0 : p.gated ? 2 : 1;
    const bound = claimsOf(p.object.spec).every(isFree) ? 0 : 1;
    return state * 100 + bound * 10 + (component < 0 ? service.length : component);
  };
  return pods.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

function isReady(pod: Pod): boolean {
  return pod.object.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
}

/** The template of the workload that owns a pod: what stands in the pod and not there was added at its CREATE. */
export function templateOf({ workloads }: Release, { owner }: Pod): PodTemplate | undefined {
  return workloads.find((w) => w.kind === owner?.kind && w.name === owner.name)?.object.spec.template;
}
