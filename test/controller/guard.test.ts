/** A guard that is gone says so: in its log, in an event, in its metrics; and it stays ready for the day it is back. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { admissionMetrics } from '../../src/admission/metrics.ts';
import type { Client, RequestOptions } from '../../src/cluster/client/client.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { guardOf } from '../../src/wiring/guard.ts';
import { waitFor } from '../cluster/run/wait.ts';

type Stored = 'there' | 'gone' | 'empty' | 'unreachable';

function makeGuard() {
  const api = { mutating: 'there' as Stored, events: [] as { note: string; type: string; reason: string }[] };
  const request = async (method: string, path: string, { body }: RequestOptions = {}) => {
    if (method === 'POST') return void api.events.push(body as (typeof api.events)[number]);
    const stored = path.includes('mutating') ? api.mutating : 'there';
    if (stored === 'unreachable') throw new Error('connect ECONNREFUSED');
    if (stored === 'gone') throw new ApiError(404, 'NotFound', `GET ${path}: 404 not found`);
    return { webhooks: stored === 'empty' ? [] : [{ name: 'a', clientConfig: { caBundle: 'ca' } }] };
  };
  const said: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });
  const guard = guardOf({ request } as unknown as Client, { namespace: 'downdraft', identity: 'a' }, log);
  /** One look of its, from its beginning. */
  const look = async () => {
    const ending = new AbortController();
    const before = said.length;
    const kept = guard.keep(() => 'ca', ending.signal);
    await waitFor('the look', 5_000, () => guard.published() && (said.length > before || api.mutating === 'there'), 2);
    ending.abort();
    await kept;
  };
  const metric = async () => {
    const text = await admissionMetrics(['/mutate'], () => guard.gone() === undefined).text();
    return /^downdraft_guarded (\d)$/m.exec(text)?.[1];
  };
  return { api, guard, said, look, metric };
}

it.each<[Stored, RegExp]>([
  ['gone', /404 not found/],
  ['empty', /MutatingWebhookConfiguration downdraft has no webhooks/],
])(
  'a configuration that is %s: warned of at each look, one event, the metric at 0, ready all the same',
  async (stored, why) => {
    const { api, guard, said, look, metric } = makeGuard();
    await look();
    expect(await metric()).toBe('1');
    api.mutating = stored;
    await look();
    await look();
    expect(guard.gone()).toMatch(why);
    expect(
      said.filter((line) => line.includes('"level":40') && line.includes('no change of Airflow is judged')),
    ).toHaveLength(2);
    expect(api.events).toEqual([expect.objectContaining({ type: 'Warning', reason: 'GuardGone', note: guard.gone() })]);
    expect([await metric(), guard.published()]).toEqual(['0', true]);
    api.mutating = 'there';
    await look();
    expect([await metric(), guard.gone()]).toEqual(['1', undefined]);
    expect(said.at(-1)).toContain('are back');
  },
);

it('an API server that does not answer is not a guard that is gone', async () => {
  const { api, guard, look, metric } = makeGuard();
  await look();
  api.mutating = 'unreachable';
  await look();
  expect([guard.gone(), await metric(), api.events]).toEqual([undefined, '1', []]);
});
