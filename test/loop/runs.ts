/** One downgrade from hold to end, with a controller that may die on the way and another that starts from nothing. */
import { downgradesOf, mergePatch } from '../../src/cluster/client/paths.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { atNewer, atOlder, faultsAtEnd } from './ends.ts';
import { older } from './images.ts';
import { type Death, type Diary, eachWrite, mortal, startLife } from './mortal.ts';
import type { Place } from './place.ts';
import { downgrades, forget, install, releaseName, setImage } from './release.ts';

export interface Outcome {
  diary: Diary;
  faults: string[];
  /** Errors after which the controller tried again. */
  troubles: string[];
  seconds: number;
}

/** How long one run may take before it counts as stuck. */
const patienceMs = 240_000;

/** What is aborted in the middle of the schema step ends on the newer version. */
interface Course {
  /** In this order, each of the controller that lives then; one whose point never comes is a fault. */
  deaths?: readonly Death[];
  abort?: boolean;
}

/** Installs a release, sets the older image, and lets controllers bring it to its end. */
export async function runThrough(place: Place, namespace: string, course: Course = {}): Promise<Outcome> {
  const { deaths = [], abort = false } = course;
  const began = performance.now();
  const installed = await install(place, namespace);
  const diary: Diary = { written: [], deaths: 0 };
  const world = abort ? eachWrite(place.writes(), callOff(place, namespace, diary)) : place.writes();
  const troubles: string[] = [];
  const lives: AbortController[] = [];
  const live = () => {
    const life = new AbortController();
    lives.push(life);
    const die = () => {
      life.abort();
      live();
    };
    startLife({
      key: { namespace, name: releaseName },
      reads: place.reads(),
      writes: mortal(world, diary, deaths, die),
      token: lives.length,
      signal: life.signal,
      onTrouble: (error) => troubles.push(error instanceof Error ? error.message : String(error)),
    });
  };
  try {
    await setImage(place, installed, older);
    live();
    const faults = await ended(place, namespace, () => diary.written);
    const faultsNow = async () => [
      ...deaths.slice(diary.deaths).map(({ point, when }) => `never came: ${when} ${point}`),
      ...(await faultsAtEnd(place, installed, abort ? atNewer : atOlder)),
    ];
    return {
      diary,
      faults: [...faults, ...(await settled(faultsNow))],
      troubles,
      seconds: Math.round((performance.now() - began) / 100) / 10,
    };
  } finally {
    for (const life of lives) life.abort();
    await forget(place, installed);
  }
}

/** Sets spec.abort once, when some revisions are undone; writes from then on are marked in the diary. */
function callOff({ client, standIn }: Place, namespace: string, diary: Diary): () => Promise<void> {
  return async () => {
    const begun = standIn.revisions.filter((r) => r.namespace === namespace).length;
    if (begun < 9 || diary.calledOffAt !== undefined) return;
    diary.calledOffAt = diary.written.length;
    const [run] = await downgrades(client, namespace);
    const path = downgradesOf(namespace, run!.metadata.name);
    await client.request('PATCH', path, { body: { spec: { abort: true } }, contentType: mergePatch });
  };
}

/** Waits for the end of all records; what stands there instead is the fault. `written` tells what was done last. */
export async function ended({ client }: Place, namespace: string, written: () => string[]): Promise<string[]> {
  try {
    await waitFor('the end of the Downgrade', patienceMs, async () => {
      const runs = await downgrades(client, namespace);
      return runs.length > 0 && runs.every((run) => run.status?.record?.completedAt);
    });
    return [];
  } catch (error) {
    const runs = await downgrades(client, namespace);
    const last = runs.map(({ status }) => `${status?.phase}: ${status?.reason} ${status?.message}`);
    return [`${(error as Error).message}; ${last.join(' | ') || 'no Downgrade'}; last: ${written().slice(-3)}`];
  }
}

/** The record may end before the last helper pod is gone: asked again until nothing is wrong, or for long enough. */
export async function settled(ask: () => Promise<string[]>): Promise<string[]> {
  let faults: string[] = [];
  await waitFor('no faults', 15_000, async () => {
    faults = await ask();
    return faults.length === 0;
  }).catch(() => undefined);
  return faults;
}
