/**
 * What is known of an image that a review names. A name is believed to be the image that was asked only while its registry
 * says so: where that is another one, or can't be told, it is as if nothing had been learned.
 */
import { digestIn, knowImage, versionInName } from '../../release/airflow/images.ts';
import { isLearned, learnedOf } from '../../release/kubernetes/pods.ts';
import type { ImageKnowledge, ImageUnknown } from '../../release/model/image.ts';
import type { WorkloadObject } from '../../release/model/kubernetes.ts';
import type { Run } from '../../release/model/run.ts';
import type { Ports } from '../ports.ts';
import { said } from '../said.ts';
import { firstLine, type Look } from './looking.ts';

export interface Known {
  subject: { declaredVersion: string | undefined };
  stored: WorkloadObject | undefined;
  run: Run | undefined;
  learned: readonly ImageKnowledge[];
}

/** The registry is asked for a version last: only about an image that was neither asked before nor tells by its name. */
export async function knowledgeOf(
  image: string,
  { subject: { declaredVersion }, stored, run, learned }: Known,
  ports: Ports,
  look: Look,
): Promise<ImageKnowledge | ImageUnknown> {
  const { repositories } = ports.settings;
  const told = askedNow(image, run) ?? learnedOf(image, learned, await digestNow(image, stored, learned, ports, look));
  const ask = !told && stored && versionInName(image, repositories) === undefined;
  const registry = ask
    ? await look("the image's registry", (signal) => ports.registry(image, stored, signal)).catch((error) => ({
        unknown: firstLine(error),
      }))
    : undefined;
  const answer =
    registry && 'unknown' in registry
      ? { unknown: said(ports, registry.unknown, 'its registry does not tell it either') }
      : registry;
  return knowImage(image, { learned: told, registry: answer, repositories, declared: declaredVersion });
}

/** While a run lets its release start, what its own probe said is as true as what it does. */
function askedNow(image: string, run: Run | undefined): ImageKnowledge | undefined {
  const { target, resumeStartedAt } = run?.status ?? {};
  return target && resumeStartedAt && image === run?.to ? { ...target, image, fresh: true } : undefined;
}

/** A registry that does not answer must not use up the time for the rest: then it is as if nothing had been learned. */
const digestMs = 1000;

/** Which image a name has now; asked only where something was learned by that name. */
async function digestNow(
  image: string,
  stored: WorkloadObject | undefined,
  learned: readonly ImageKnowledge[],
  ports: Ports,
  look: Look,
): Promise<string | undefined> {
  if (!stored || digestIn(image) || !isLearned(image, learned)) return undefined;
  const asking = (signal: AbortSignal) => ports.digest(image, stored, signal);
  const answer = await look("the image's digest", asking, digestMs).catch(() => undefined);
  return answer && 'digest' in answer ? answer.digest : undefined;
}
