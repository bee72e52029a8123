/** A replica that does not know the policies leads nothing. */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Client, RequestOptions } from '../../src/cluster/client/client.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { elect } from '../../src/cluster/lease.ts';
import { waitFor } from '../cluster/run/wait.ts';

/** An API server that keeps one Lease. */
function makeLease() {
  const asked: string[] = [];
  let lease: unknown;
  const request = async (method: string, _: string, { body }: RequestOptions = {}) => {
    asked.push(method);
    if (method === 'GET' && !lease) throw new ApiError(404, 'NotFound', 'none');
    if (body) lease = body;
    return lease;
  };
  return { asked, client: { request } as unknown as Client };
}

it('does not even ask for a free lease while there is a reason, says each reason once, and stands when there is none', async () => {
  const { asked, client } = makeLease();
  const ending = new AbortController();
  const said: string[] = [];
  let led = false;
  let unfit: string | undefined = 'not told yet: policies, namespaces';
  const standing = elect(client, {
    ...{ namespace: 'downdraft', name: 'downdraft', identity: 'a', signal: ending.signal },
    unfit: () => unfit,
    onUnfit: (why) => said.push(why),
    onStarted: () => {
      led = true;
    },
    onStopped: () => {},
  });
  await wait(250);
  unfit = 'not told yet: policies';
  await waitFor('the other reason', 5_000, () => said.length > 1, 5);
  expect(said).toEqual(['not told yet: policies, namespaces', 'not told yet: policies']);
  expect(asked).toEqual([]);
  unfit = undefined;
  await waitFor('it to lead', 5_000, () => led, 5);
  ending.abort();
  await standing;
});
