/** S2-14: on the real API server and a real PostgreSQL, a copy goes when its term is over, though nobody changes anything. */
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { downgradesOf, mergePatch } from '../../src/cluster/client/paths.ts';
import { type DowngradeObject, newDowngrade } from '../../src/release/kubernetes/downgrade.ts';
import type { RunStatus } from '../../src/release/model/run.ts';
import { runController } from '../../src/wiring/controller.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { type Place, startPlace } from './place.ts';
import { downgrades, forget, type Installed, install, makeSeed, releaseName } from './release.ts';

let place: Place;
let installed: Installed;

beforeAll(async () => {
  place = await startPlace('the loop: retention');
  await makeSeed(place);
  installed = await install(place, 'retention');
}, 240_000);

afterAll(async () => {
  await forget(place, installed);
  await place?.stop();
}, 60_000);

/** A run that is over, with a copy whose term ends in `seconds`; answers when. */
async function leave(name: string, seconds: number): Promise<string> {
  const { client, postgres } = place;
  const { namespace } = installed;
  const made = newDowngrade({ namespace, release: releaseName, to: 'x', heldSince: name });
  const path = downgradesOf(namespace);
  const stored = await client.request<DowngradeObject>('POST', path, {
    body: { ...made, metadata: { ...made.metadata, name } },
  });
  await postgres.createDatabase(name);
  const [row] = await postgres.query('postgres', 'select oid::text from pg_database where datname = $1', [name]);
  const mark = JSON.stringify({ downdraft: stored.metadata.uid, oid: row?.oid });
  await postgres.query('postgres', `comment on database "${name}" is '${mark}'`);
  const now = new Date().toISOString();
  const keepUntil = new Date(Date.now() + seconds * 1000).toISOString();
  const backup = { way: 'ServerCopy', name, startedAt: now, verifiedAt: now, keepUntil } as const;
  const record: RunStatus = { completedAt: now, outcome: 'Downgraded', backup };
  await client.request('PATCH', `${path}/${name}/status`, { body: { status: { record } }, contentType: mergePatch });
  return keepUntil;
}

const exists = async (name: string) =>
  (await place.postgres.query('postgres', 'select from pg_database where datname = $1', [name])).length === 1;
const statusOf = async (name: string) =>
  (await downgrades(place.client, installed.namespace)).find((d) => d.metadata.name === name)?.status;

it('not before, and then with the record and the shown part right; what is used is kept, and told', async () => {
  const due = await leave('short', 6);
  await leave('long', 3600);
  const stopping = new AbortController();
  const { signal } = stopping;
  runController(
    place.views,
    place.config,
    { token: 1, leads: () => true, signal },
    () => place.reach,
    pino({ level: 'silent' }),
  );
  try {
    await waitFor('the copy to be dropped', 30_000, async () => !(await exists('short')), 20);
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(due));
    expect(await exists('long')).toBe(true);
    await waitFor('the record', 5000, async () => (await statusOf('short'))?.record?.backup?.droppedAt);
    const status = await statusOf('short');
    expect(status).toMatchObject({ backup: { droppedAt: status?.record?.backup?.droppedAt } });

    const client = new pg.Client({ connectionString: place.postgres.url('long'), application_name: 'ada' });
    await client.connect();
    const record = { backup: { keepUntil: new Date().toISOString() } };
    const path = `${downgradesOf(installed.namespace)}/long/status`;
    await place.client.request('PATCH', path, { body: { status: { record } }, contentType: mergePatch });
    await waitFor('the word', 15_000, async () => (await statusOf('long'))?.record?.backup?.failure);
    await client.end();
    expect(await statusOf('long')).toMatchObject({
      backup: {
        failure: expect.stringMatching(/^database long could not be dropped: still on long: pid \d+, postgres, ada/),
      },
    });
    expect(await exists('long')).toBe(true);
  } finally {
    stopping.abort();
  }
}, 90_000);
