/** Whose word counts in a review: that of images asked for this release, of their digest of now, and of Kubernetes' history. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readReview } from '../../src/admission/review.ts';
import { mutate } from '../../src/admission/webhooks/workloads.ts';
import type { Client } from '../../src/cluster/client/client.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { learnedImages } from '../../src/cluster/learned-images.ts';
import { keyOf, written } from '../../src/release/airflow/learned-images.ts';
import type { Learned } from '../../src/release/model/image.ts';
import { annotation } from '../../src/release/model/kubernetes.ts';
import { makePorts, type World } from '../make/ports.ts';
import { makeDatabase, makeImage } from '../make/release.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';

const own = 'registry.corp/airflow:stable';
const [older, newer] = ['apache/airflow:3.1.8', 'apache/airflow:3.2.1'];

/** The verdict on an update to this image. */
async function ask(image: string, world: World, { stored = makeDeployment(), annotations = {} } = {}) {
  const object = makeDeployment({ image });
  object.metadata.annotations = { ...stored.metadata.annotations, ...annotations };
  const ports = makePorts({ stored, ...world });
  const { audit } = await mutate(readReview(makeReview({ object, oldObject: stored })), ports);
  return { said: `${audit.verdict} ${audit.reason}`, asked: ports.asked };
}

const a = `sha256:${'a'.repeat(64)}`;
const b = `sha256:${'b'.repeat(64)}`;
const asked = makeImage('3.2.1', { image: own, imageID: `registry.corp/airflow@${a}` });

describe('what was learned of a tag', () => {
  it.each<[string, World['digest'], string]>([
    ['counts while its registry says that it is the same image', { [own]: { digest: a } }, 'allow Fits'],
    ['does not once it was pushed again', { [own]: { digest: b } }, 'hold ImageUnknown'],
    ['does not where its registry can’t be asked', { [own]: { unknown: 'no answer' } }, 'hold ImageUnknown'],
    ['does not where its registry may not be asked', {}, 'hold ImageUnknown'],
  ])('%s', async (_, digest, said) => {
    expect((await ask(own, { learned: { [own]: asked }, digest: digest! })).said).toBe(said);
  });

  it('is asked about once for each review, and not at all for a name that nobody learned or that has a digest', async () => {
    const digests = async (image: string) =>
      (await ask(image, { learned: { [own]: asked } })).asked.filter((port) => port === 'digest').length;
    expect([await digests(own), await digests('registry.corp/airflow:other')]).toEqual([1, 0]);
    expect(await digests(`registry.corp/airflow@${a}`)).toBe(0);
  });

  it('where the registry hangs is given up in time for the rest', async () => {
    expect((await ask(own, { learned: { [own]: asked }, hanging: ['digest'], budgetMs: 1500 })).said).toBe(
      'hold ImageUnknown',
    );
  });
});

describe('what is learned elsewhere', () => {
  const version = fc.constantFrom('3.2.1', '3.1.8', '2.11.0' as const);
  const lie = fc.record({
    namespace: fc.constantFrom('tenant', 'air', 'AIR', 'air/af'),
    release: fc.constantFrom('t', 'ag', 'af ', 'airaf'),
    image: fc.constantFrom(older, newer, own),
    version,
    coreHead: fc.constantFrom('1d6611b6ab7c', '509b94a1042d', 'x'),
    managers: fc.constantFrom([], undefined),
  });

  it('changes no verdict here, whatever it says', async () => {
    const mine: Learned[] = [makeImage('3.2.1'), makeImage('3.1.8')].map((knowledge) => ({
      namespace: 'air',
      release: 'af',
      usedAt: '2026-11-21T12:00:00Z',
      knowledge,
    }));
    const judged = async (image: string, entries: Learned[], at: '3.2.1' | '3.1.8') => {
      const data = Object.fromEntries(entries.map((one) => [keyOf(one, one.knowledge.image), written(one)]));
      const client = { request: async () => ({ data }) } as unknown as Client;
      const ports = {
        ...makePorts({ stored: makeDeployment(), database: makeDatabase({ version: at }) }),
        learnedImages: async (of: { namespace: string; release: string }) =>
          (await learnedImages(client, 'downdraft', of)).map(({ knowledge }) => knowledge),
      };
      const review = makeReview({ object: makeDeployment({ image }), oldObject: makeDeployment() });
      return (await mutate(readReview(review), ports)).audit;
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(lie, { maxLength: 6 }),
        fc.constantFrom(older, own),
        fc.constantFrom('3.2.1' as const, '3.1.8' as const),
        async (lies, image, at) => {
          const others = lies.map(({ namespace, release, image: of, ...said }) => ({
            namespace,
            release,
            usedAt: '',
            knowledge: { ...makeImage('3.1.8', { image: of }), ...said } as Learned['knowledge'],
          }));
          expect(await judged(image, [...others, ...mine], at)).toEqual(await judged(image, mine, at));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('nor what is kept in a form that no version of ours writes', async () => {
    const client = { request: async () => ({ data: { x: JSON.stringify(makeImage('3.2.1')) } }) } as unknown as Client;
    expect(await learnedImages(client, 'downdraft', { namespace: 'air', release: 'af' })).toEqual([]);
    const none = {
      request: async () => {
        throw new ApiError(404, 'NotFound', 'no');
      },
    } as unknown as Client;
    expect(await learnedImages(none, 'downdraft', { namespace: 'air', release: 'af' })).toEqual([]);
  });
});

describe('an annotation', () => {
  const said = async (version: string, at: '3.2.1' | '3.1.8', tables?: Record<string, string[]>) => {
    const database = makeDatabase({ version: at, ...(tables ? { tables } : {}) });
    const image = 'registry.corp/airflow:build-90';
    return (await ask(image, { database, learned: {} }, { annotations: { [annotation.version]: version } })).said;
  };
  const bare = { alembic_version: ['1d6611b6ab7c'] };

  it.each<[string, string, '3.2.1' | '3.1.8', Record<string, string[]> | undefined, string]>([
    ['that says that it fits lets nothing through', '3.2.1', '3.2.1', bare, 'hold ImageUnknown'],
    ['that says that it is an upgrade does not either', '3.2.1', '3.1.8', undefined, 'hold ImageUnknown'],
    ['that says that it is older holds', '3.1.8', '3.2.1', bare, 'hold DatabaseAhead'],
    ['that says that it is far too old refuses', '2.6.3', '3.2.1', bare, 'deny TargetTooOld'],
  ])('%s', async (_, version, at, tables, answer) => expect(await said(version, at, tables)).toBe(answer));
});

describe('a hold’s word of what ran before', () => {
  const was = 'registry.corp/airflow:was';
  const stored = makeDeployment({ image: older, held: { from: was } });
  it.each<[string, World, string]>([
    ['counts where Kubernetes’ history has that image', { history: [newer, was] }, 'allow PreviousImage'],
    ['does not where it has others', { history: [newer] }, 'hold ImageUnknown'],
    [
      'nor where the database can’t be read',
      { history: [], database: { state: 'unreadable', why: 'no' } },
      'hold DatabaseUnreadable',
    ],
    ['nor where the history can’t be', { failing: ['ranBefore'] }, 'hold DatabaseUnreadable'],
    ['nor under a policy that forbids downgrades', { history: [], mode: 'Deny' }, 'hold ImageUnknown'],
  ])('%s', async (_, world, answer) => {
    expect((await ask(was, { learned: {}, ...world }, { stored })).said).toBe(answer);
  });

  it('is not looked up where the image fits by itself', async () => {
    const fits = makeDeployment({ image: older, held: { from: newer } });
    const { said, asked: ports } = await ask(newer, {}, { stored: fits });
    expect([said, ports.includes('ranBefore')]).toEqual(['allow Fits', false]);
  });
});
