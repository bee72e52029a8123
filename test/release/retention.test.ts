/** S2-14: what an earlier run left on the database's server, and when it goes. */
import { describe, expect, it } from 'vitest';
import { next } from '../../src/release/downgrade/next.ts';
import {
  dropDue,
  dropping,
  expired,
  keptRecords,
  nobodyLeft,
  notDropped,
  surplus,
} from '../../src/release/downgrade/retention.ts';
import { type DowngradeObject, newDowngrade } from '../../src/release/kubernetes/downgrade.ts';
import { readPod } from '../../src/release/kubernetes/pods.ts';
import { asideName } from '../../src/release/model/backup-names.ts';
import type { Expired } from '../../src/release/model/release.ts';
import type { Backup, RunStatus } from '../../src/release/model/run.ts';
import { makePod } from '../make/pod.ts';
import { makeRelease, makeRun, makeWorkloads } from '../make/release.ts';

const started = '2026-11-20T12:00:00Z';
const over = '2026-11-20T12:10:00Z';
const until = '2026-11-27T12:05:00Z';
const later = '2026-11-27T13:00:00Z';
const way = 'ServerCopy' as const;
const verified: Backup = { way, name: 'c', startedAt: started, verifiedAt: started, keepUntil: until };
const begun: Backup = { way, name: 'c', startedAt: started };

function made(record: RunStatus, { name = 'af-x7k2q', release = 'af' } = {}): DowngradeObject {
  const object = newDowngrade({ namespace: 'air', release, to: 'apache/airflow:3.1.8', heldSince: started });
  return { ...object, metadata: { ...object.metadata, name, uid: `uid-${name}` }, status: { record } };
}

const done = (backup: Backup, more: RunStatus = {}): RunStatus => ({
  completedAt: over,
  outcome: 'Downgraded',
  backup,
  ...more,
});

describe('when it is due', () => {
  it.each<[string, RunStatus, string | undefined]>([
    ['a verified copy: at the end of its term', done(verified), until],
    ['a term that was over before the run was: as soon as that is', done({ ...verified, keepUntil: started }), over],
    ['0 hours: as soon as the run is over', done({ ...verified, keepUntil: started }), over],
    ['never while the run goes on', { backup: { ...verified, keepUntil: started } }, undefined],
    ['never while a begun copy may still be finished', { backup: begun }, undefined],
    ['begun and not verified: as soon as the run is over', done(begun), over],
    ['begun, then a person gave a reference', done({ ...begun, way: 'Reference', verifiedAt: started }), over],
    ['without a term: never', done({ way, name: 'c', startedAt: started, verifiedAt: started }), undefined],
    ['with a term that nobody can read: never', done({ ...verified, keepUntil: 'next week' }), undefined],
    ['dropped: never again', done({ ...verified, droppedAt: until }), undefined],
    ['a dump: never by us', done({ ...verified, way: 'Dump' }), undefined],
    ['a VolumeSnapshot: never by us', done({ ...verified, way: 'VolumeSnapshot' }), undefined],
    ['begun, then a dump was made: the copy goes', done({ ...verified, way: 'Dump', name: 'd', left: 'c' }), over],
    ['no copy', done({ way: 'Waiver', startedAt: started, verifiedAt: started }), undefined],
    ['no backup', { completedAt: over }, undefined],
  ])('%s', (_, record, at) => {
    expect(dropDue(made(record))?.toISOString()).toBe(at?.replace('Z', '.000Z'));
  });

  it.each<[string, string, string]>([
    ['10 minutes after it failed', '2026-11-27T12:05:00Z', '2026-11-27T12:15:00Z'],
    ['then twice as late', '2026-11-27T12:25:00Z', '2026-11-27T12:45:00Z'],
    ['but every hour at the least', '2026-11-30T12:00:00Z', '2026-11-30T13:00:00Z'],
    ['a failure from before its time counts for nothing', '2026-11-20T12:00:00Z', until],
  ])('is tried again %s', (_, triedAt, at) => {
    expect(dropDue(made(done({ ...verified, triedAt })))).toEqual(new Date(at));
  });
});

describe('what is dropped next', () => {
  const of = (...objects: DowngradeObject[]) => expired(objects, 'af', new Date(later))?.database;

  it.each<[string, DowngradeObject[], string | undefined]>([
    ['nothing of no runs', [], undefined],
    ['nothing before its time', [made(done({ ...verified, keepUntil: '2026-11-27T13:00:01Z' }))], undefined],
    ['nothing of another release', [made(done(begun), { release: 'bf' })], undefined],
    ['the copy', [made(done(verified))], 'c'],
    ['after the return what it put aside', [made(done(verified, { outcome: 'Returned' }))], asideName(makeRun())],
    ['before the schema step it is the copy', [made(done(verified, { outcome: 'Canceled' }))], 'c'],
    ['migrated up after a waiver: the copy that was begun', [made(done(begun, { outcome: 'Returned' }))], 'c'],
    [
      'of several the one that is due for longest',
      [made(done({ ...verified, name: 'late' }), { name: 'af-1' }), made(done({ ...begun, name: 'long' }))],
      'long',
    ],
  ])('%s', (_, objects, database) => {
    expect(of(...objects)).toBe(database);
  });

  it('says whose it is, on which server, and why it failed when it was tried', () => {
    const plan = { identity: { database: 'airflow', oid: '1', cluster: '73' } } as NonNullable<RunStatus['plan']>;
    const tried = { ...verified, triedAt: until, failure: 'still on c: pid 7' };
    expect(expired([made(done(tried, { plan }))], 'af', new Date(later))).toEqual({
      run: 'af-x7k2q',
      uid: 'uid-af-x7k2q',
      database: 'c',
      cluster: '73',
      verified: true,
      failure: 'still on c: pid 7',
    });
    const failedToCopy = { ...begun, failure: 'No space left on device' };
    expect(expired([made(done(failedToCopy))], 'af', new Date(later))).toEqual({
      run: 'af-x7k2q',
      uid: 'uid-af-x7k2q',
      database: 'c',
      cluster: '',
      verified: false,
    });
  });
});

describe('when the controller does it', () => {
  const due: Expired = { run: 'af-x7k2q', uid: 'uid-af-x7k2q', database: 'c', cluster: '73', verified: true };
  const ending = readPod(makePod({ name: 'af-runner', role: 'runner', terminating: true }), {});

  it('where it would rest otherwise', () => {
    expect(next(makeRelease())).toEqual({ act: 'rest' });
    expect(next(makeRelease({ expired: due }))).toEqual({ act: 'dropCopy', expired: due });
  });

  it('not while a run is active, while something is held, or before the gate is gone', () => {
    const run = makeRun();
    expect(next(makeRelease({ expired: due, run })).act).not.toBe('dropCopy');
    const objects = makeWorkloads({ image: 'apache/airflow:3.1.8', held: true });
    expect(next(makeRelease({ expired: due, objects })).act).toBe('startRun');
    expect(next(makeRelease({ expired: due, gate: 'inForce' }))).toEqual({ act: 'deleteGate' });
  });

  it('not while a runner could still be making it: it is waited for', () => {
    expect(next(makeRelease({ expired: due, pods: [ending] }))).toMatchObject({ act: 'wait' });
    expect(next(makeRelease({ expired: due, pods: [{ ...ending, ended: true }] })).act).toBe('dropCopy');
  });

  it('of a release that is gone it is said once, and by hand', () => {
    const gone = { workloads: [], expired: due };
    expect(dropping(makeRelease(gone))?.act).toBe('dropCopy');
    const failure = notDropped(due, nobodyLeft('af'));
    expect(dropping(makeRelease({ ...gone, expired: { ...due, failure } }))).toBeUndefined();
    expect(dropping(makeRelease({ expired: { ...due, failure } }))?.act).toBe('dropCopy');
    expect(failure).toMatch(/^database c could not be dropped: no workload of release af is left .*by hand$/);
  });
});

describe('records of a release', () => {
  const way = (backup: Partial<Backup>): RunStatus => done({ startedAt: started, way: 'Waiver', ...backup });
  const nothing = way({});
  const day = (n: number) => new Date(Date.UTC(2026, 0, n)).toISOString();
  const numbered = (n: number, record: RunStatus) => {
    const object = made(record, { name: `af-${n}` });
    return { ...object, metadata: { ...object.metadata, creationTimestamp: day(n), resourceVersion: `${n}` } };
  };
  /** The oldest says `record`; above it as many that say nothing as are kept. */
  const withOldest = (record: RunStatus, more = keptRecords) =>
    Array.from({ length: more + 1 }, (_, n) => numbered(n + 1, n === 0 ? record : nothing)).reverse();
  const due = (objects: DowngradeObject[], at = later) => surplus(objects, 'af', new Date(at))?.run;

  it.each<[string, RunStatus, string | undefined]>([
    ['that had no backup', { completedAt: over }, 'af-1'],
    ['with the word of a person', way({ way: 'Reference', named: 'x' }), 'af-1'],
    ['whose copy is dropped', way({ ...verified, droppedAt: until }), 'af-1'],
    ['whose dump is past its term', way({ ...verified, way: 'Dump' }), 'af-1'],
    ['whose snapshot is past its term', way({ ...verified, way: 'VolumeSnapshot' }), 'af-1'],
    ['whose copy is there', way({ ...verified, keepUntil: '2027-01-01T00:00:00Z' }), undefined],
    ['whose copy is past its term, and not dropped yet', way(verified), undefined],
    ['whose copy was begun', way(begun), undefined],
    ['that left a copy, then took a dump', way({ ...verified, way: 'Dump', left: 'c' }), undefined],
    ['whose dump is in its term', way({ ...verified, way: 'Dump', keepUntil: '2027-01-01T00:00:00Z' }), undefined],
    ['whose dump has a term that nobody can read', way({ ...verified, way: 'Dump', keepUntil: 'x' }), undefined],
    ['whose Backup has no term', way({ way: 'CNPGBackup', name: 'b' }), undefined],
    ['that is not over', { backup: begun }, undefined],
  ])('the oldest beyond the newest that are kept, %s', (_, record, name) => {
    expect(due(withOldest(record))).toBe(name);
  });

  it('the newest are kept, whatever they say', () => {
    expect(due(withOldest(nothing, keptRecords - 1))).toBeUndefined();
  });

  it('go from the oldest on, past those that stay, each as it was read', () => {
    const all = [...withOldest(way(begun), keptRecords + 3)].sort(() => 0);
    expect(surplus(all, 'af', new Date(later))).toEqual({ run: 'af-2', uid: 'uid-af-2', resourceVersion: '2' });
    expect(surplus(all, 'other', new Date(later))).toBeUndefined();
  });

  it('that people made are theirs', () => {
    const theirs = withOldest(nothing).map((o) => ({ ...o, metadata: { ...o.metadata, labels: {} } }));
    expect(due(theirs)).toBeUndefined();
  });

  it('go last, when nothing else is to be done', () => {
    const old = { run: 'af-1', uid: 'u' };
    expect(next(makeRelease({ surplus: old }))).toEqual({ act: 'deleteRecord', surplus: old });
    expect(next(makeRelease({ surplus: old, gate: 'inForce' })).act).toBe('deleteGate');
    expect(next(makeRelease({ surplus: old, run: makeRun() })).act).not.toBe('deleteRecord');
  });
});
