import { describe, expect, it } from 'vitest';
import { cachedImages } from '../../src/registry/cache.ts';
import { credentialsFor } from '../../src/registry/credentials.ts';
import type { ImageRead, ReadOptions } from '../../src/registry/read.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const found: ImageRead = { version: '3.1.8', from: 'label', digest };
const asNobody: ReadOptions = { credentials: [], timeoutMs: 1000 };

function optionsAs(login: string): ReadOptions {
  const text = JSON.stringify({ auths: { 'reg.example': { auth: btoa(login) } } });
  const secret = { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': text } };
  return { ...asNobody, credentials: credentialsFor('reg.example/x', [secret]).credentials };
}

/** A cache over a registry of which the test says what it answers and how late it is. */
function makeCache(entries = 10) {
  const world = {
    now: 0,
    asked: [] as string[],
    answer: (): ImageRead | Promise<ImageRead> => found,
  };
  const read = async (image: string, { signal }: ReadOptions): Promise<ImageRead> => {
    world.asked.push(image);
    const answer = await world.answer();
    return signal?.aborted ? { unknown: 'the reading itself was given up' } : answer;
  };
  const cached = cachedImages(read, { entries, ttlMs: 1000, failureTtlMs: 100, now: () => world.now });
  return { world, cached };
}

describe('what was read is kept', () => {
  it.each<[string, string, ImageRead, number, number]>([
    ['a tag, within its time', 'reg.example/x:1', found, 999, 1],
    ['a tag, after it', 'reg.example/x:1', found, 1000, 2],
    ['a digest, always', `reg.example/x:1@${digest}`, found, 1e15, 1],
    ['a failure, within its time', 'reg.example/x:1', { unknown: 'why' }, 99, 1],
    ['a failure, after it', 'reg.example/x:1', { unknown: 'why' }, 100, 2],
    ["a digest's failure, after that", `reg.example/x@${digest}`, { unknown: 'why' }, 100, 2],
  ])('%s', async (_, image, answer, later, asked) => {
    const { world, cached } = makeCache();
    world.answer = () => answer;
    expect(await cached(image, asNobody)).toEqual(answer);
    world.now = later;
    expect(await cached(image, asNobody)).toEqual(answer);
    expect(world.asked).toHaveLength(asked);
  });

  it('apart for other credentials, for another platform, for another image', async () => {
    const { world, cached } = makeCache();
    const asked: [string, ReadOptions][] = [
      ['reg.example/x:1', asNobody],
      ['reg.example/x:1', optionsAs('u:p')],
      ['reg.example/x:1', optionsAs('u:q')],
      ['reg.example/x:1', { ...asNobody, platform: { os: 'linux', architecture: 'arm64' } }],
      ['reg.example/x:2', asNobody],
    ];
    for (const [image, options] of [...asked, ...asked, ['reg.example/x:1', optionsAs('u:p')] as const])
      await cached(image, options);
    expect(world.asked).toHaveLength(asked.length);
  });

  it('the longest unused goes when there are too many', async () => {
    const { world, cached } = makeCache(2);
    for (const image of ['a', 'b', 'a', 'c', 'a', 'b']) await cached(image, asNobody);
    expect(world.asked).toEqual(['a', 'b', 'c', 'b']);
  });

  it('a fault in our own program surfaces, and is not kept', async () => {
    const { world, cached } = makeCache();
    world.answer = () => Promise.reject(new TypeError('a bug'));
    await expect(cached('a', asNobody)).rejects.toThrow('a bug');
    world.answer = () => found;
    expect(await cached('a', asNobody)).toEqual(found);
  });
});

describe('what is being read', () => {
  it('is read once for all who ask', async () => {
    const { world, cached } = makeCache();
    const { promise, resolve } = Promise.withResolvers<ImageRead>();
    world.answer = () => promise;
    const waiting = [1, 2, 3].map(() => cached('a', asNobody));
    resolve(found);
    expect(await Promise.all(waiting)).toEqual([found, found, found]);
    expect(world.asked).toEqual(['a']);
  });

  it('goes on when one who waits for it gives up or has no more time; the others get it, and it is kept', async () => {
    const { world, cached } = makeCache();
    const { promise, resolve } = Promise.withResolvers<ImageRead>();
    world.answer = () => promise;
    const patient = cached('a', asNobody);
    const leaving = new AbortController();
    const left = cached('a', { ...asNobody, signal: leaving.signal });
    leaving.abort();
    expect(await left).toEqual({ unknown: 'the reading was given up' });
    expect(await cached('a', { ...asNobody, signal: AbortSignal.abort() })).toEqual({
      unknown: 'the reading was given up',
    });
    expect(await cached('a', { ...asNobody, timeoutMs: 10 })).toEqual({ unknown: 'no answer within 10 ms' });
    resolve(found);
    expect(await patient).toEqual(found);
    expect(await cached('a', asNobody)).toEqual(found);
    expect(world.asked).toEqual(['a']);
  });

  it('goes on also when the one who began it gives up', async () => {
    const { world, cached } = makeCache();
    const { promise, resolve } = Promise.withResolvers<ImageRead>();
    world.answer = () => promise;
    const leaving = new AbortController();
    const first = cached('a', { ...asNobody, signal: leaving.signal });
    const second = cached('a', asNobody);
    leaving.abort();
    expect(await first).toEqual({ unknown: 'the reading was given up' });
    resolve(found);
    expect(await second).toEqual(found);
    expect(await cached('a', asNobody)).toEqual(found);
    expect(world.asked).toEqual(['a']);
  });
});
