/**
 * S2-8: backups that others make, on the real API server; the makers are played. No snapshot driver and no CloudNativePG
 * runs here: what they do after the status that they document is not known to these tests.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import { core } from '../../src/cluster/client/paths.ts';
import { createBackup, obstaclesOf } from '../../src/cluster/external-backups.ts';
import type { Writes } from '../../src/controller/ports.ts';
import type { Rules, SnapshotWay } from '../../src/release/model/policy.ts';
import type { BackupObject } from '../../src/release/model/release.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { makePolicy } from '../make/policy.ts';
import { askedFor, installApis, make } from './backupapis.ts';
import { faultsAtEnd } from './ends.ts';
import { older } from './images.ts';
import { startLife } from './mortal.ts';
import { type Place, startPlace } from './place.ts';
import { downgrades, forget, install, makeSeed, releaseName, setImage } from './release.ts';
import { ended, settled } from './runs.ts';

let place: Place;

beforeAll(async () => {
  place = await startPlace('the loop: backups by others');
  await makeSeed(place);
}, 240_000);

afterAll(async () => await place?.stop(), 60_000);

const data = { name: 'data-db-0', namespace: 'default' };
const pg = { name: 'pg', namespace: 'default' };
const told = (way: SnapshotWay, source = data, client = place.client) => obstaclesOf(client)(way, source);

/** The API server's own judgement of what another account may do. */
const asNobody = (): Client => ({
  ...place.client,
  request: async <T>(...[method, path, options]: Parameters<Client['request']>) => {
    if (!path.endsWith('/selfsubjectaccessreviews')) return await place.client.request<T>(method, path, options);
    const body = options!.body as { spec: object };
    const spec = { ...body.spec, user: 'system:serviceaccount:air:nobody' };
    const review = { ...body, kind: 'SubjectAccessReview', spec };
    return await place.client.request<T>(method, path.replace('selfs', 's'), { ...options, body: review });
  },
});

it('what stands in the way is known beforehand: no API, nothing of that name, no right', async () => {
  const { client } = place;
  expect(await told('VolumeSnapshot')).toEqual(['the cluster has no VolumeSnapshot API (snapshot.storage.k8s.io/v1)']);
  expect(await told('CNPGBackup', pg)).toEqual(['the cluster has no Backup API (postgresql.cnpg.io/v1)']);
  await installApis(client);
  await waitFor('discovery to tell of both', 30_000, async () =>
    (await Promise.all([told('VolumeSnapshot'), told('CNPGBackup', pg)])).every(([why]) => why?.startsWith('there is')),
  );
  expect(await told('VolumeSnapshot')).toEqual(['there is no persistentvolumeclaim data-db-0 in namespace default']);
  expect(await told('CNPGBackup', pg)).toEqual(['there is no cluster pg in namespace default']);
  const resources = { requests: { storage: '1Gi' } };
  const claim = { accessModes: ['ReadWriteOnce'], resources };
  await client.request('POST', core('default', 'persistentvolumeclaims'), {
    body: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: data, spec: claim },
  });
  await client.request('POST', '/apis/postgresql.cnpg.io/v1/namespaces/default/clusters', {
    body: { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', metadata: pg },
  });
  expect([await told('VolumeSnapshot'), await told('CNPGBackup', pg)]).toEqual([[], []]);
  expect(await told('VolumeSnapshot', data, asNobody())).toEqual([
    'downdraft may not get and create volumesnapshots.snapshot.storage.k8s.io in namespace default; apply manifests/rbac.yaml',
  ]);
}, 60_000);

it('what the API server refuses is told with its word; what is there already is fine', async () => {
  const metadata = { name: 'x', namespace: 'default' };
  const object = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Backup', metadata };
  const refused = createBackup(place.client, { ...object, spec: { cluster: {} } });
  await expect(refused).rejects.toThrow(/^the API server refused it: .*spec\.cluster\.name: Required value/);
  for (let twice = 0; twice < 2; twice++)
    await createBackup(place.client, { ...object, spec: { cluster: { name: 'pg' } } });
  expect(await askedFor(place.client, 'CNPGBackup', 'default')).toHaveLength(1);
}, 30_000);

/** A downgrade with these ways; `play` is given what is asked for, once. */
async function downgrade(
  namespace: string,
  backup: Partial<Rules['backup']>,
  way: SnapshotWay,
  play: (asked: BackupObject) => Promise<unknown>,
) {
  const { client, views } = place;
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
  const policy = makePolicy({ name: namespace, selector: namespaceSelector, rules: { backup } });
  await client.request('POST', '/apis/downdraft.dev/v1alpha1/downgradepolicies', {
    body: { ...policy, apiVersion: 'downdraft.dev/v1alpha1', kind: 'DowngradePolicy', metadata: { name: namespace } },
  });
  await waitFor('the policy to be seen', 15_000, async () =>
    views.mirror.policies().some(({ metadata }) => metadata.name === namespace),
  );
  const installed = await install(place, namespace);
  const lives: AbortController[] = [];
  const live = (writes: Writes) => {
    const life = new AbortController();
    const key = { namespace, name: releaseName };
    lives.push(life);
    startLife({ key, reads: place.reads(), writes, token: lives.length, signal: life.signal, onTrouble: () => {} });
  };
  const writes = place.writes();
  // Killed right after what is asked for is there, and before it is known that it is.
  const createAndDie: Writes['createBackup'] = async (object) => {
    await writes.createBackup(object);
    lives[0]?.abort();
    if (lives.length === 1) live(writes);
    return new Promise(() => {});
  };
  try {
    await setImage(place, installed, older);
    live({ ...writes, createBackup: createAndDie });
    const asked = await waitFor('what is asked for', 60_000, async () =>
      (await askedFor(client, way, 'default')).find(({ metadata }) => metadata.labels?.['downdraft.dev/run']),
    );
    await waitFor('the wait to be told', 30_000, async () =>
      (await downgrades(client, namespace)).some(({ status }) => `${status?.message}`.includes(asked.metadata.name)),
    );
    expect((await downgrades(client, namespace))[0]?.status?.record?.schemaStartedAt).toBeUndefined();
    await play(asked);
    expect(await ended(place, namespace, () => [])).toEqual([]);
    expect(await settled(() => faultsAtEnd(place, installed))).toEqual([]);
    expect(lives).toHaveLength(2);
    const [run] = await downgrades(client, namespace);
    return { asked, status: run!.status! };
  } finally {
    for (const life of lives) life.abort();
    await forget(place, installed);
  }
}

it('a VolumeSnapshot is asked for once, though the controller is killed after it asked, and readyToUse lets the run go on', async () => {
  const ways: Partial<Rules['backup']> = {
    ways: ['VolumeSnapshot'],
    volumeSnapshot: { claim: data.name, namespace: data.namespace },
  };
  const { asked, status } = await downgrade('snapped', ways, 'VolumeSnapshot', (object) =>
    make(place.client, 'VolumeSnapshot', object, { readyToUse: true, restoreSize: '1Gi' }),
  );
  expect(await askedFor(place.client, 'VolumeSnapshot', 'default')).toHaveLength(1);
  const { name } = asked.metadata;
  expect(status.backup).toMatchObject({ way: 'VolumeSnapshot', name, namespace: 'default', bytes: 2 ** 30 });
}, 150_000);

it('a Backup of CloudNativePG that fails gives way to the copy on the server, after the release served again', async () => {
  const ways: Partial<Rules['backup']> = {
    ways: ['CNPGBackup', 'ServerCopy'],
    cnpg: { cluster: pg.name, namespace: pg.namespace },
  };
  const { status } = await downgrade('backed', ways, 'CNPGBackup', (object) =>
    make(place.client, 'CNPGBackup', object, { phase: 'failed', error: 'no space in the bucket' }),
  );
  expect(status.backup).toMatchObject({ way: 'ServerCopy', name: expect.stringMatching(/^downdraft_af_/) });
  expect((status.plan as string[]).at(-1)).toMatch(/Backup default\/downdraft-af-\S+ failed: no space in the bucket/);
}, 150_000);
