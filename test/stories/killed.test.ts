/**
 * Stories 2 and 7: the same downgrade by helm rollback, while the controller is killed (SIGKILL) once in phase after phase, and
 * the run ends as if it had not been; then by kubectl set image on each workload, with `runner: OldPod`, where the reverse
 * scripts run in an old pod itself. Rows S0-4, S0-10, G37, G41: no hook of the chart runs in any of them. (kubectl apply:
 * hostile.test.ts.)
 *
 * They fail when (tried once):
 *   killed      next.ts resumes before what the database says is recorded (tried on the world in memory, where the
 *               controller dies before and after each of its writes; the same on a real API server: test/loop)
 *   rollback    hold() forgets StatefulSets (tried on golden reviews)
 *   set image   planning.ts does not wait for every workload, since they change one after the other (seen here: the drain
 *               began while the triggerer still asked for 3.2.1)
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { killIn } from './killing.ts';
import { lean } from './lean.ts';
import { onNode } from './node.ts';
import {
  chart,
  downgradesOf,
  headsOf,
  installDowndraft,
  must,
  setImage,
  untilOver,
  untilServes,
  workloadsOf,
} from './place.ts';
import { record, tooEarly, tooLate } from './recorder.ts';

const namespace = 'killed';
const minutes = 60_000;
const newer = { core: '1d6611b6ab7c', fab: '02ca36b0235b' };
const older = { core: '509b94a1042d', fab: '6709f7a774b9' };
const quick = { DOWNDRAFT_LEASE_SECONDS: '3' };
const place = onNode([namespace], quick);

const heads = () => headsOf(place, namespace, 'af');

/** Helm's history has 3.1.8, in which nothing was ever migrated, and 3.2.1. */
beforeAll(async () => {
  const unmigrated = lean('3.1.8', { 'migrateDatabaseJob.enabled': 'false' });
  must(await place.helm(['install', 'af', chart, '-n', namespace, '--create-namespace', ...unmigrated]));
  await upgrade(async () => {
    // A StatefulSet does not replace a pod that was never Ready.
    must(await place.kubectl(['-n', namespace, 'delete', 'pod', 'af-triggerer-0', '--grace-period=1']));
  });
}, 15 * minutes);

async function upgrade(migrated = async () => {}): Promise<void> {
  must(await place.helm(['upgrade', 'af', chart, '-n', namespace, '--timeout', '8m', ...lean('3.2.1')]));
  await migrated();
  await untilServes(place, namespace, 'af', '3.2.1');
  expect(await heads()).toEqual(newer);
}

/** Of each, the kubelet waits longer before it starts the container anew: these are the ones in which a run can stay. */
const phases = ['Planning', 'Draining', 'Downgrading', 'Resuming'];

async function expectDowngraded(downgrade: DowngradeObject): Promise<void> {
  expect(downgrade.status).toMatchObject({ phase: 'Done', reason: 'Downgraded' });
  await untilServes(place, namespace, 'af', '3.1.8');
  expect(await heads()).toEqual(older);
}

describe('stories 2 and 7', () => {
  it(
    'G20, G28, G37: helm rollback; killed in Planning, in Draining, in Downgrading where that is seen, and in Resuming',
    async () => {
      const recorder = record(place.cluster.kubeconfig, namespace, 'af');
      const said = await place.helm(['rollback', 'af', '1', '-n', namespace, '--wait', '--timeout', '8m']);
      expect(must(said)).toContain('downdraft holds deployment/af-api-server: the database is at 3.2.x (1d6611b6ab7c)');
      // Not sooner: a webhook that dies while helm still writes is another story.
      const stop = killIn(place, namespace, phases);
      const downgrade = await untilOver(place, namespace, 'af', 0, 10 * minutes);
      const killedIn = await stop();
      await expectDowngraded(downgrade);
      const lives = recorder.lives();
      recorder.stop();
      console.log(`killed in ${killedIn.join(', ')}`);
      expect(killedIn).toEqual(expect.arrayContaining(['Planning', 'Draining', 'Resuming']));
      expect(await downgradesOf(place, namespace, 'af')).toHaveLength(1);
      expect(tooEarly(lives, '3.1.8', downgrade.status!.record!)).toEqual([]);
      expect(tooLate(lives, '3.2.1', downgrade.status!.record!)).toEqual([]);
    },
    15 * minutes,
  );

  it(
    'S0-5, S0-6: kubectl set image, runner OldPod: it begins with the last workload, in an old pod, and ends the same',
    async () => {
      await Promise.all([upgrade(), installDowndraft(place, { ...quick, DOWNDRAFT_RUNNER: 'OldPod' })]);
      const recorder = record(place.cluster.kubeconfig, namespace, 'af');
      const last = 'statefulset/af-triggerer';
      for (const name of workloadsOf('af').filter((one) => one !== last)) {
        const said = await setImage(place, namespace, name, '3.1.8');
        expect(must(said)).toContain(`Warning: downdraft holds ${name}`);
      }
      const shown = async () => (await downgradesOf(place, namespace, 'af')).at(-1)?.status;
      await waitFor('the run says whom it waits for', 2 * minutes, async () => {
        const status = await shown();
        return status?.reason === 'WaitingForWorkloads' && String(status.message).includes(last);
      });
      must(await setImage(place, namespace, last, '3.1.8'));
      // Airflow keeps its sessions in such a pod, so that nothing can be copied: someone goes without, by name.
      const asked = await waitFor('the question', 5 * minutes, async () => {
        return /or, to go without a backup: kubectl (.*)$/.exec(String((await shown())?.approval ?? '')) ?? undefined;
      });
      const typed = ['-c', `kubectl ${asked[1]!.replace('<your name>', 'Ada')}`];
      await run('sh', typed, { env: { ...process.env, ...place.cluster.env } });
      const over = await untilOver(place, namespace, 'af', 1);
      await expectDowngraded(over);
      const lives = recorder.lives();
      recorder.stop();
      expect(lives.filter((l) => l.pod.endsWith('-runner'))).toEqual([]);
      expect(tooEarly(lives, '3.1.8', over.status!.record!)).toEqual([]);
      const late = tooLate(lives, '3.2.1', over.status!.record!);
      expect(late.map((l) => l.pod.replace(/-[a-z0-9]+-[a-z0-9]+$/, ''))).toEqual(['af-api-server']);
      expect(await place.list('pods', namespace, '-l', 'downdraft.dev/role')).toEqual([]);
    },
    20 * minutes,
  );
});
