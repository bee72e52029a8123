/** What is asked of others as a backup, and what their word counts for. */
import { describe, expect, it } from 'vitest';
import { askedObject, makingOf, quantity } from '../../src/release/downgrade/snapshots.ts';
import type { BackupObject } from '../../src/release/model/release.ts';
import { makeRun } from '../make/release.ts';

const run = makeRun({ status: { drainedAt: '2026-11-21T12:00:05.000Z' } });
const places = {
  volumeSnapshot: { claim: 'data-db-0', namespace: 'db', className: 'fast' },
  cnpg: { cluster: 'pg', method: 'plugin', plugin: 'barman' },
};
const snapshot = askedObject(run, 'VolumeSnapshot', places, 'air');
const backup = askedObject(run, 'CNPGBackup', places, 'air');
const stored = (object: BackupObject, status?: Record<string, unknown>): BackupObject => ({
  ...structuredClone(object),
  ...(status ? { status } : {}),
});

describe('what is asked for', () => {
  it('a VolumeSnapshot, as the API wants it', () => {
    expect(snapshot).toEqual({
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshot',
      metadata: {
        name: 'downdraft-af-x7k2q-af-x7k2q-20261121120005',
        namespace: 'db',
        labels: { 'downdraft.dev/run': 'af-x7k2q', 'app.kubernetes.io/managed-by': 'downdraft' },
        annotations: { 'downdraft.dev/run-uid': 'uid-af-x7k2q' },
      },
      spec: { source: { persistentVolumeClaimName: 'data-db-0' }, volumeSnapshotClassName: 'fast' },
    });
  });

  it('a Backup of CloudNativePG, in the namespace of the release', () => {
    expect(backup).toMatchObject({
      apiVersion: 'postgresql.cnpg.io/v1',
      kind: 'Backup',
      metadata: { namespace: 'air' },
    });
    expect(backup.spec).toEqual({
      cluster: { name: 'pg' },
      method: 'plugin',
      pluginConfiguration: { name: 'barman' },
    });
  });

  it('by a name that a label takes, however long that of the run is; another drain has another', () => {
    const long = makeRun({
      name: `${'a'.repeat(63)}-d9fb6d`,
      uid: '0b1e7c1a-3f5d-4b8e-9d2e-7f1c2a3b4c5d',
      status: run.status,
    });
    const { name } = askedObject(long, 'CNPGBackup', places, 'air').metadata;
    expect(name).toMatch(/^[a-z0-9-]{1,63}$/);
    const later = { ...long, status: { drainedAt: '2026-11-21T12:00:06.000Z' } };
    expect(askedObject(later, 'CNPGBackup', places, 'air').metadata.name).not.toBe(name);
  });

  it('of nothing, when no policy says of what', () => {
    expect(() => askedObject(run, 'CNPGBackup', {}, 'air')).toThrow('no policy says of what');
  });
});

describe('what its maker says', () => {
  const error = { message: 'driver is away' };
  it.each<[string, BackupObject, BackupObject, object]>([
    ['nothing yet', snapshot, stored(snapshot), { state: 'working' }],
    ['not ready yet', snapshot, stored(snapshot, { readyToUse: false }), { state: 'working' }],
    ['ready is only true', snapshot, stored(snapshot, { readyToUse: 'true' }), { state: 'working' }],
    ['an error, which may pass', snapshot, stored(snapshot, { readyToUse: false, error }), { state: 'erring' }],
    ['ready, with an error from before', snapshot, stored(snapshot, { readyToUse: true, error }), { state: 'ready' }],
    ['ready, with its size', snapshot, stored(snapshot, { readyToUse: true, restoreSize: '1Gi' }), { bytes: 2 ** 30 }],
    ['pending', backup, stored(backup, { phase: 'pending' }), { message: expect.stringMatching(/is pending$/) }],
    ['no archive', backup, stored(backup, { phase: 'walArchivingFailing', error: 'no WAL' }), { state: 'working' }],
    ['completed', backup, stored(backup, { phase: 'completed' }), { state: 'ready' }],
    ['failed', backup, stored(backup, { phase: 'failed', error: 'no bucket' }), { state: 'failed' }],
  ])('%s', (_, asked, object, making) => {
    const way = asked === snapshot ? 'VolumeSnapshot' : 'CNPGBackup';
    expect(makingOf(way, object, asked)).toMatchObject(making);
  });

  it.each<[string, BackupObject]>([
    ['of another run', { ...stored(snapshot), metadata: { ...snapshot.metadata, annotations: {} } }],
    ['of another volume', { ...stored(snapshot), spec: { source: { persistentVolumeClaimName: 'other' } } }],
  ])('counts for nothing %s, ready or not', (_, object) => {
    expect(makingOf('VolumeSnapshot', { ...object, status: { readyToUse: true } }, snapshot)).toMatchObject({
      state: 'failed',
    });
  });
});

it.each<[unknown, number | undefined]>([
  ['10Gi', 10 * 2 ** 30],
  ['1500M', 1_500_000_000],
  ['1e9', 1_000_000_000],
  ['5', 5],
  [5, 5],
  ['', undefined],
  ['much', undefined],
  ['5 Gi', undefined],
  [undefined, undefined],
])('the size %j is %j bytes', (text, bytes) => {
  expect(quantity(text)).toBe(bytes);
});
