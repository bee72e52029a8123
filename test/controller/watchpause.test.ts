/** How long a watch stays away from an API server that refuses it. */
import { expect, it } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { watch } from '../../src/cluster/client/watch.ts';

it.each<[string, number | undefined, (ms: number) => boolean]>([
  ['as long as the server asks for', 60, (ms) => ms === 60_000],
  ['five minutes at most, whatever is asked', 86_400, (ms) => ms === 300_000],
  ['by its own pace, where the server asks for nothing', undefined, (ms) => ms <= 10_000],
  ['and never shorter than that for being asked to', 0, (ms) => ms <= 10_000],
])('%s', async (_, seconds, fits) => {
  const ending = new AbortController();
  const pauses: number[] = [];
  const client = {
    read: async () => {
      throw new ApiError(429, 'TooManyRequests', 'too many', seconds);
    },
  } as unknown as Client;
  await watch(client, '/api/v1/namespaces', {
    signal: ending.signal,
    onChange: () => {},
    onState: (state) => {
      if (state.state === 'retrying') pauses.push(state.afterMs);
      ending.abort();
    },
  });
  expect(pauses.map(fits)).toEqual([true]);
});
