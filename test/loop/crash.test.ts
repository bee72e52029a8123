/**
 * The loop on the real control plane with a real PostgreSQL: a controller that is killed before and after a write of each
 * kind always ends in the same place; so does one whose runner is lost.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { core } from '../../src/cluster/client/paths.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { faultsAtEnd } from './ends.ts';
import { imageOf, newer, older } from './images.ts';
import { type Death, type Diary, eachWrite, kindOf, type Point, startLife } from './mortal.ts';
import { type Place, startPlace } from './place.ts';
import { downgrades, forget, install, makeSeed, pods, releaseName, setImage } from './release.ts';
import { ended, type Outcome, runThrough, settled } from './runs.ts';

/** Runs at a time: each mostly waits, but the API server, PostgreSQL and all controllers share the machine. */
const lanes = 8;

let place: Place;

beforeAll(async () => {
  place = await startPlace('the loop');
  await makeSeed(place);
}, 180_000);

afterAll(async () => await place?.stop(), 60_000);

/**
 * One write of each kind, since the API server does the same for each of a kind; in memory every write is tried, see
 * test/controller/crash.test.ts.
 */
describe('a controller killed before and after one write of each kind always ends in the same place', () => {
  let whole: Point[];
  let abort: Point[];

  beforeAll(async () => {
    const runs = [false, false, true, true].map((off, at) => runThrough(place, `unharmed${at}`, { abort: off }));
    const outcomes = await Promise.all(runs);
    for (const { faults } of outcomes) expect(faults).toEqual([]);
    tell(outcomes);
    const [one, two, offOne, offTwo] = outcomes.map((o) => certain(o.diary)) as [Point[], Point[], Point[], Point[]];
    whole = one.filter((point) => two.includes(point));
    // On the return what it alone does: the rest of it is what every run ends with.
    abort = offOne.filter((point) => offTwo.includes(point) && !whole.includes(point));
  }, 180_000);

  it('G20, G28: of a run to the older version', async () => {
    const points = middleOfEachKind(whole);
    expect(points.map(kindOf).sort()).toEqual([
      'createDowngrade Downgrade',
      'createGate',
      'createPod Pod',
      'deleteGate',
      'deletePod',
      'event',
      'learnImage',
      'patchDowngradeStatus',
      'patchDowngradeStatus record',
      'patchWorkload Deployment',
      'patchWorkload StatefulSet',
      'ungatePod',
      'writeFile',
    ]);
    await dieAtEach('run', points, false);
  }, 600_000);

  it('of the return of one that is aborted in the middle of the schema step', async () => {
    const points = middleOfEachKind(abort);
    expect(points.map(kindOf).sort()).toEqual([
      'event',
      'patchDowngradeStatus',
      'patchDowngradeStatus record',
      'restoreTemplate Deployment',
      'restoreTemplate StatefulSet',
      'writeFile',
    ]);
    await dieAtEach('back', points, true);
  }, 600_000);
});

/** Of what was written (since it was aborted) the first time of each: how often it comes again depends on when it looks. */
function certain({ written, calledOffAt = 0 }: Diary): Point[] {
  const seen = new Set<string>();
  return written.slice(calledOffAt).filter((point) => {
    const what = point.replace(/ #\d+$/, '');
    return !seen.has(what) && seen.add(what);
  });
}

/** There the most has been done, and the most is still to do. */
function middleOfEachKind(points: Point[]): Point[] {
  return Object.values(Object.groupBy(points, kindOf)).map((of) => of![of!.length >> 1]!);
}

/**
 * Killed before a write, then after that same write, which the next controller must make. An event is not
 * told again, so each side has a run of its own.
 */
async function dieAtEach(name: string, points: Point[], abort: boolean): Promise<void> {
  const deaths = points.flatMap((point): Death[][] => {
    const [before, after] = [{ point, when: 'before' } as const, { point, when: 'after' } as const];
    return kindOf(point) === 'event' ? [[before], [after]] : [[before, after]];
  });
  const outcomes = await inLanes(deaths, (of, at) => runThrough(place, `${name}${at}`, { deaths: of, abort }));
  tell(outcomes);
  const wrong = outcomes.flatMap(({ faults }, at) => (faults.length > 0 ? [{ deaths: deaths[at], faults }] : []));
  expect(wrong).toEqual([]);
}

it('a runner that is lost in the middle of the schema step is started anew from a pod that waits', async () => {
  const installed = await install(place, 'lost');
  const { namespace } = installed;
  const life = new AbortController();
  let lost: string | undefined;
  const writes = eachWrite(place.writes(), async () => {
    const begun = place.standIn.revisions.filter((r) => r.namespace === namespace).length;
    const runner = (await pods(place.client, namespace)).find((p) => p.metadata.labels?.[label.role] === 'runner');
    if (begun < 9 || lost || !runner) return;
    lost = runner.metadata.uid!;
    await place.client.request('DELETE', core(namespace, 'pods', runner.metadata.name));
  });
  try {
    await setImage(place, installed, older);
    startLife({
      key: keyOf(namespace),
      reads: place.reads(),
      writes,
      token: 1,
      signal: life.signal,
      onTrouble: () => {},
    });
    expect(await ended(place, namespace, () => [])).toEqual([]);
    expect(lost).toBeDefined();
    expect(await settled(() => faultsAtEnd(place, installed))).toEqual([]);
  } finally {
    life.abort();
    await forget(place, installed);
  }
}, 120_000);

it('an image that cannot be pulled takes nothing down, and setting it back ends the run', async () => {
  const installed = await install(place, 'broken');
  const { namespace, registry } = installed;
  const { client, kubelet } = place;
  const life = new AbortController();
  const image = imageOf(registry, older);
  kubelet.broken.add(image);
  const serving = () => kubelet.ran.filter((c) => c.namespace === namespace && c.endedAt === undefined).length;
  try {
    await setImage(place, installed, older);
    const ports = { reads: place.reads(), writes: place.writes() };
    startLife({ key: keyOf(namespace), ...ports, token: 1, signal: life.signal, onTrouble: () => {} });
    await waitFor('the reason to be told', 30_000, async () => {
      const [run] = await downgrades(client, namespace);
      return run?.status?.reason === 'TargetImageNotStarted' && `${run.status.message}`.includes('ImagePullBackOff');
    });
    expect(serving()).toBe(3);
    await setImage(place, installed, newer);
    expect(await ended(place, namespace, () => [])).toEqual([]);
    expect((await downgrades(client, namespace)).map((run) => run.status?.record?.outcome)).toEqual(['Canceled']);
    expect(serving()).toBe(3);
    expect(kubelet.ran.filter((c) => c.namespace === namespace)).toHaveLength(3);
  } finally {
    life.abort();
    kubelet.broken.delete(image);
    await forget(place, installed);
  }
}, 120_000);

it('nothing went wrong in the kubelet', () => {
  expect(place.kubelet.faults).toEqual([]);
});

const keyOf = (namespace: string) => ({ namespace, name: releaseName });

async function inLanes<T, R>(list: T[], act: (item: T, at: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = [...list.entries()];
  const lane = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) results[next[0]] = await act(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

function tell(outcomes: Outcome[]): void {
  const seconds = outcomes.map((o) => o.seconds).sort((a, b) => a - b);
  const troubles = new Map<string, number>();
  for (const text of outcomes.flatMap((o) => o.troubles)) troubles.set(text, (troubles.get(text) ?? 0) + 1);
  console.info(
    [
      `${outcomes.reduce((sum, o) => sum + o.diary.deaths, 0)} deaths in ${outcomes.length} runs`,
      `seconds per run, ${lanes} at a time: median ${seconds[seconds.length >> 1]}, longest ${seconds.at(-1)}`,
      ...[...troubles].map(([text, count]) => `tried again ${count} times after: ${text}`),
    ].join('\n'),
  );
}
