/**
 * Keeping what was learned for later changes of the release. It is a convenience: what a run needs is in its own record, so
 * where the store can't be written that is told, and everything goes on.
 */
import type { ImageKnowledge, Learned } from '../../release/model/image.ts';
import type { Release } from '../../release/model/release.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import type { Writes } from '../ports.ts';
import { warnOn } from '../report/failures.ts';

interface Settings {
  log(fields: Record<string, unknown>, message: string): void;
  /** What was said or done already, so that it is said and done once. */
  told: Map<string, string>;
}

/** Keeps what an image said. */
export async function keep(
  release: Release,
  knowledge: ImageKnowledge,
  writes: Writes,
  settings: Settings,
): Promise<void> {
  const { namespace, name, workloads, now } = release;
  const learned = { namespace, release: name, usedAt: now.toISOString(), knowledge };
  try {
    await writes.learnImage(learned);
  } catch (error) {
    const why = wordsOfThrown(error);
    settings.log({ namespace, name, image: knowledge.image, err: error }, 'could not keep what an image said');
    const message = `what ${knowledge.image} said could not be kept (${why}): this run goes on, a later change asks it again`;
    await warnOn(workloads, 'KnowledgeNotStored', message, writes);
  }
}

/** An entry counts as used for so long without being written anew. */
const freshMs = 24 * 3_600_000;

/** Forgets what was learned of tags that run another image by now, once, and says so; marks what is of use still. */
export async function keepStore(release: Release, writes: Writes, settings: Settings): Promise<void> {
  const { namespace, name, moved, used, now } = release;
  for (const { image, imageID = '' } of moved)
    await once(`moved ${image}`, imageID, () => forget(release, image, writes, settings));
  const old = used.filter(({ usedAt }) => now.getTime() - Date.parse(usedAt) > freshMs);
  for (const one of old) await once(`used ${one.knowledge.image}`, one.usedAt, () => renew(one, now, writes, settings));

  async function once(what: string, state: string, act: () => Promise<void>): Promise<void> {
    const key = `${namespace}/${name} ${what}`;
    if (settings.told.get(key) === state) return;
    settings.told.set(key, state);
    await act();
  }
}

async function forget(release: Release, image: string, writes: Writes, settings: Settings): Promise<void> {
  const { namespace, name, workloads } = release;
  try {
    await writes.forgetImage({ namespace, release: name }, image);
  } catch (error) {
    // Nobody believes it all the same: the digests differ.
    settings.log({ namespace, name, image, err: error }, 'could not forget what an image said');
  }
  const message = `${image} was pushed again since it was asked: what was learned of it is forgotten, and the next change asks again`;
  const those = workloads.filter((w) => w.images.includes(image));
  await warnOn(those, 'TagMoved', message, writes);
}

async function renew(learned: Learned, now: Date, writes: Writes, settings: Settings): Promise<void> {
  try {
    await writes.learnImage({ ...learned, usedAt: now.toISOString() });
  } catch (error) {
    settings.log({ image: learned.knowledge.image, err: error }, 'could not mark what an image said as used');
  }
}
