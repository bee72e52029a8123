/** A tag can be pushed anew: the digests that kubelet reports for running pods tell whether it still is what was asked. */
import { parseImage } from './images.ts';
import { mainContainerOf } from './maincontainer.ts';
import { databaseContainers } from './profiles.ts';
import type { ImageKnowledge, Pod } from './release.ts';

/** sha256:… of an image ID or reference; undefined where there is none (a locally built image's ID is no manifest digest). */
export function digestOf(imageID: string | undefined): string | undefined {
  return /@(sha256:[0-9a-f]{64})$/.exec(imageID ?? '')?.[1];
}

/** Image reference → digest, as the pods' own containers report it. The newest pod wins. */
export function runningDigests(pods: readonly Pod[]): Map<string, string> {
  const digests = new Map<string, string>();
  const made = (p: Pod) => p.object.metadata.creationTimestamp ?? '';
  for (const { object, role, ended, image: asked } of [...pods].sort((a, b) => made(a).localeCompare(made(b)))) {
    if (role !== 'airflow' || ended) continue;
    const container = mainContainerOf(object);
    const statuses = [...(object.status?.initContainerStatuses ?? []), ...(object.status?.containerStatuses ?? [])];
    for (const { name, image = '' } of databaseContainers(object.spec, container)) {
      const digest = digestOf(statuses.find((s) => s.name === name)?.imageID);
      // Under the name that was asked for, which a mirror may have changed in the pod.
      if (digest) digests.set(name === container ? asked : image, digest);
    }
  }
  return digests;
}

/**
 * What was learned of the image that a name means: the one of its own digest, else of the digest that the name is known to
 * have now. A name alone proves nothing, since it can be pushed anew.
 */
export function learnedOf(
  image: string,
  learned: readonly ImageKnowledge[],
  digest: string | undefined,
): ImageKnowledge | undefined {
  const wanted = parseImage(image).digest ?? digest;
  const same = wanted === undefined ? undefined : learned.find((other) => digestOf(other.imageID) === wanted);
  return same && { ...same, image };
}

/** Whether anything was learned by this name, so that it is worth asking which image the name has now. */
export function isLearned(image: string, learned: readonly ImageKnowledge[]): boolean {
  return learned.some((one) => one.image === image);
}

/** True when what was asked is certainly another image than the one that runs under its name. */
export function isMoved(told: ImageKnowledge | undefined, digest: string | undefined): boolean {
  const asked = digestOf(told?.imageID);
  return asked !== undefined && digest !== undefined && asked !== digest;
}
