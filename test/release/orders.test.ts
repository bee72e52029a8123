/** What the runner is told to do for a backup, and for the return by it. */
import { expect, it } from 'vitest';
import { ordersOf } from '../../src/release/downgrade/orders.ts';
import { runnerPod } from '../../src/release/kubernetes/helper-pods.ts';
import type { Plan } from '../../src/release/model/plan.ts';
import type { Backup } from '../../src/release/model/run.ts';
import type { Part } from '../../src/release/model/step-kinds.ts';
import { makePod } from '../make/pod.ts';
import { makeRun } from '../make/release.ts';

const at = '2026-11-21T12:00:05.000Z';
const until = '2026-11-28T12:00:05.000Z';
const verifiedAt = at;
const uid = makeRun().uid;
const dump: Backup = { way: 'Dump', name: 'd', startedAt: at, keepUntil: until };
const copy: Backup = { way: 'ServerCopy', name: 'c', startedAt: at };

it.each<[string, Part, Backup, object[]]>([
  ['a dump, with its term', 'copy', dump, [{ kind: 'dump', name: 'd', run: uid, keepUntil: until }]],
  ['a verified dump is loaded', 'return', { ...dump, verifiedAt }, [{ kind: 'restore', name: 'd', run: uid }]],
  ['one that is not verified never is', 'return', dump, [{ kind: 'migrate' }]],
  [
    'a snapshot is no work of the runner',
    'return',
    { ...dump, way: 'VolumeSnapshot', verifiedAt },
    [{ kind: 'migrate' }],
  ],
  ['a copy', 'copy', copy, [{ kind: 'copy', name: 'c', run: uid }]],
  [
    'a copy of an earlier drain is dropped first',
    'copy',
    { ...copy, stale: true },
    [
      { kind: 'dropCopy', name: 'c' },
      { kind: 'copy', name: 'c', run: uid },
    ],
  ],
])('S2-9: %s', (_, part, backup, steps) => {
  const plan = { steps: [] as Plan['steps'], backup: { way: backup.way } } as Plan;
  expect(ordersOf(makeRun({ status: { plan, backup, drainedAt: at } }), part).steps).toEqual(steps);
});

it('the runner has the volume for dumps where its program is told, beside all that the old pod had', () => {
  const source = makePod();
  const wanted = { run: 'af-1', namespace: 'air', release: 'af', profile: 'official', command: ['runner'] } as const;
  const plain = runnerPod(source, { ...wanted, command: ['runner'] });
  const { spec } = runnerPod(source, { ...wanted, command: ['runner'], dumps: { claim: 'backups', subPath: 'x' } });
  const [before, after] = [plain.spec.containers[0]!, spec.containers[0]!];
  expect(after.env).toEqual([...(before.env ?? []), { name: 'DOWNDRAFT_BACKUP_DIR', value: '/downdraft/backup' }]);
  const mount = { name: 'downdraft-backup', mountPath: '/downdraft/backup', subPath: 'x' };
  expect(after.volumeMounts).toEqual([...(before.volumeMounts ?? []), mount]);
  const volume = { name: 'downdraft-backup', persistentVolumeClaim: { claimName: 'backups' } };
  expect(spec.volumes).toEqual([...(plain.spec.volumes ?? []), volume]);
});
