/** Lists as they are read: item by item, whatever the pieces in which their text comes. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type ListHead, readItems } from '../../src/cluster/client/items.ts';
import { each, list } from '../../src/cluster/client/lists.ts';
import { sharing } from '../../src/cluster/client/sharing.ts';
import { startFront } from './front.ts';

const items = [
  { metadata: { name: 'a', labels: { 'a"b': '}],"items":[{' } }, items: [{ deep: [1, [2]] }] },
  { metadata: { name: 'ü€🙂', note: '\\' } },
  {},
];
const around = { kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '7', continue: 'next' } };
const signal = new AbortController().signal;

async function read(text: string, pieces: Buffer[] = [Buffer.from(text)]) {
  const taken: unknown[] = [];
  let head: ListHead | undefined;
  const told = await readItems(
    Readable.from(pieces, { objectMode: false }),
    (item, before) => {
      taken.push(item);
      head = before;
    },
    signal,
  );
  return { taken, head, told };
}

describe('the items of a list', () => {
  const texts: [string, string, unknown[]][] = [
    ['as built-in kinds are listed', JSON.stringify({ ...around, items }), items],
    ['as custom resources are listed, the items first', JSON.stringify({ items, ...around }), items],
    ['with white space', JSON.stringify({ ...around, items }, undefined, 2), items],
    ['none', JSON.stringify({ ...around, items: [] }), []],
    ['null', JSON.stringify({ ...around, items: null }), []],
    ['beside another field of that name', JSON.stringify({ ...around, x: { items: [{ y: 1 }] }, items }), items],
  ];
  it.each(texts)('are the same however their text is cut: %s', async (_, text, wanted) => {
    const bytes = Buffer.from(text);
    for (let at = 0; at <= bytes.length; at++) {
      const { taken, told } = await read(
        text,
        [bytes.subarray(0, at), bytes.subarray(at)].filter((b) => b.length > 0),
      );
      expect(taken).toEqual(wanted);
      expect(told.metadata).toEqual(around.metadata);
    }
  });

  it('are told with the kind that stands before them', async () => {
    expect((await read(JSON.stringify({ ...around, items }))).head).toMatchObject({
      kind: 'PodList',
      apiVersion: 'v1',
    });
  });

  it.each([
    ['ends in an item', '{"items":[{"a":1},{"b"'],
    ['ends behind an item', '{"items":[{"a":1}'],
    ['is no JSON', '<html>'],
    ['is empty', ''],
  ])('a text that %s is an error, never a shorter list', async (_, text) => {
    await expect(read(text)).rejects.toThrow(SyntaxError);
  });
});

describe('a list', () => {
  const serving = async (answer: (query: URLSearchParams, response: ServerResponse) => void) =>
    await startFront(({ url }, response) => answer(new URL(url!, 'http://x').searchParams, response));
  const page = (names: string[], next?: string) =>
    JSON.stringify({
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: { resourceVersion: '9', continue: next },
      items: names.map((name) => ({ name })),
    });

  it('is cut page by page: what is not kept is gone before the next page is asked for', async () => {
    await using front = await serving((query, response) => {
      const next = { '': 'two', two: 'three', three: undefined }[query.get('continue') ?? ''];
      response.end(page([query.get('continue') ?? 'one', 'drop'], next));
    });
    const kept = await list(front.client, '/api/v1/pods', ({ name, kind }: { name: string; kind: string }) =>
      name === 'drop' ? undefined : `${kind} ${name}`,
    );
    expect(kept).toEqual(['Pod one', 'Pod two', 'Pod three']);
  });

  it('whose version went between two pages is begun anew, and has nothing twice', async () => {
    let gone = true;
    await using front = await serving((query, response) => {
      if (query.get('continue') && gone) {
        gone = false;
        response.statusCode = 410;
        return void response.end(JSON.stringify({ kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }));
      }
      response.end(query.get('continue') ? page(['b']) : page(['a'], 'two'));
    });
    expect(await list(front.client, '/api/v1/pods', ({ name }: { name: string }) => name)).toEqual(['a', 'b']);
    const told: string[] = [];
    gone = true;
    expect(await each(front.client, '/api/v1/pods', ({ name }: { name: string }) => void told.push(name))).toBe('9');
    expect(told).toEqual(['a', 'a', 'b']);
  });
});

describe('readings that are shared', () => {
  it('are few at a time, and none that had begun is joined', async () => {
    const begun: [string, PromiseWithResolvers<string>][] = [];
    const ask = sharing((key: string) => {
      const reading = Promise.withResolvers<string>();
      begun.push([key, reading]);
      return reading.promise;
    }, 2);
    const asked = ['a', 'a', 'a', 'b', 'c'].map((key) => ask(key));
    expect(begun.map(([key]) => key)).toEqual(['a', 'b']);
    begun[0]![1].resolve('first');
    await asked[0];
    await expect.poll(() => begun.map(([key]) => key)).toEqual(['a', 'b', 'a']);
    begun[2]![1].reject(new Error('away'));
    expect(await Promise.allSettled(asked.slice(1, 3))).toMatchObject([
      { reason: { message: 'away' } },
      { reason: { message: 'away' } },
    ]);
    await expect.poll(() => begun.map(([key]) => key)).toEqual(['a', 'b', 'a', 'c']);
  });
});
