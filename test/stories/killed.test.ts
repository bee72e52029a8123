/**
 * Story 7: the controller is killed (SIGKILL) once in each phase, on the real node, and the run ends as if it had not
 * been. And the same downgrade with `runner: OldPod`, where the reverse scripts run in an old pod itself.
 *
 * It fails when next.ts resumes before what the database says is recorded (tried once on the world in memory, where the
 * controller dies before and after each of its writes); the same on a real API server and database: test/loop.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { run } from '../cluster/command.ts';
import { waitFor } from '../cluster/wait.ts';
import {
  chart,
  downgradesOf,
  example,
  headsOf,
  installDowndraft,
  must,
  onStage,
  type Place,
  untilOver,
  untilServes,
} from './place.ts';
import { record, tooEarly, tooLate } from './recorder.ts';

const namespace = 'air';
const minutes = 60_000;
let place: Place;

onStage(
  'stories: killed',
  namespace,
  '3.2.1',
  (started) => {
    place = started;
  },
  { DOWNDRAFT_LEASE_SECONDS: '3' },
);

/** Kills the leader's process on the host, as a node's out-of-memory killer would. Answers the pod's name. */
async function killLeader(): Promise<string> {
  const lease = await place.get<{ spec: { holderIdentity?: string } }>('lease', 'downdraft', 'downdraft');
  const holder = lease?.spec.holderIdentity?.split('_')[0];
  if (!holder) return '';
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (!environmentOf(pid).includes(`POD_NAME=${holder}\0`)) continue;
    process.kill(Number(pid), 'SIGKILL');
    return holder;
  }
  return '';
}

/** A process may end while it is looked at. */
function environmentOf(pid: string): string {
  try {
    return `${readFileSync(`/proc/${pid}/environ`, 'utf8')}\0`;
  } catch {
    return '';
  }
}

describe('story 7', () => {
  it(
    'G20, G28, S2-31: killed once in each phase, it always ends in the same place',
    async () => {
      const recorder = record(place.cluster.kubeconfig, namespace, 'af');
      must(await place.helm(['upgrade', 'af', chart, '-n', namespace, '--no-hooks', ...example('3.1.8')]));
      const killedIn: string[] = [];
      await waitFor(
        'the downgrade is over',
        10 * minutes,
        async () => {
          const status = (await downgradesOf(place, namespace, 'af')).at(-1)?.status;
          const phase = String(status?.phase ?? '');
          if (['Planning', 'Draining', 'Downgrading', 'Resuming'].includes(phase) && !killedIn.includes(phase))
            if (await killLeader()) killedIn.push(phase);
          return status?.record?.completedAt !== undefined;
        },
        20,
      );
      await untilServes(place, namespace, 'af', '3.1.8');
      const lives = recorder.lives();
      recorder.stop();
      console.log(`killed in ${killedIn.join(', ')}`);
      expect(killedIn).toEqual(expect.arrayContaining(['Planning', 'Draining', 'Resuming']));
      const all = await downgradesOf(place, namespace, 'af');
      expect(all.map((d) => d.status?.record?.outcome)).toEqual(['Downgraded']);
      expect(await headsOf(place, namespace, 'af')).toEqual({ core: '509b94a1042d', fab: '6709f7a774b9' });
      expect(tooEarly(lives, '3.1.8', all[0]!.status!.record!)).toEqual([]);
      expect(tooLate(lives, '3.2.1', all[0]!.status!.record!)).toEqual([]);
    },
    15 * minutes,
  );

  it(
    'S0-5, S0-6, S1-18: with runner OldPod the reverse scripts run in an old pod, and it ends in the same place',
    async () => {
      must(await place.helm(['upgrade', 'af', chart, '-n', namespace, '--timeout', '8m', ...example('3.2.1')]));
      await untilServes(place, namespace, 'af', '3.2.1');
      const before = (await downgradesOf(place, namespace, 'af')).length;
      await installDowndraft(place, { DOWNDRAFT_LEASE_SECONDS: '3', DOWNDRAFT_RUNNER: 'OldPod' });
      const recorder = record(place.cluster.kubeconfig, namespace, 'af');
      must(await place.helm(['upgrade', 'af', chart, '-n', namespace, '--no-hooks', ...example('3.1.8')]));
      // Airflow keeps its sessions in such a pod, so that nothing can be copied: someone goes without, by name.
      const asked = await waitFor('the question', 5 * minutes, async () => {
        const status = (await downgradesOf(place, namespace, 'af')).at(-1)?.status;
        return /or, to go without a backup: kubectl (.*)$/.exec(String(status?.approval ?? '')) ?? undefined;
      });
      const typed = ['-c', `kubectl ${asked[1]!.replace('<your name>', 'Ada')}`];
      await run('sh', typed, { env: { ...process.env, ...place.cluster.env } });
      const over = await untilOver(place, namespace, 'af', before);
      expect(over.status).toMatchObject({ phase: 'Done', reason: 'Downgraded' });
      await untilServes(place, namespace, 'af', '3.1.8');
      const lives = recorder.lives();
      recorder.stop();
      expect(await headsOf(place, namespace, 'af')).toEqual({ core: '509b94a1042d', fab: '6709f7a774b9' });
      expect(lives.filter((l) => l.pod.endsWith('-runner'))).toEqual([]);
      expect(tooEarly(lives, '3.1.8', over.status!.record!)).toEqual([]);
      const late = tooLate(lives, '3.2.1', over.status!.record!);
      expect(late.map((l) => l.pod.replace(/-[a-z0-9]+-[a-z0-9]+$/, ''))).toEqual(['af-api-server']);
      expect(await place.list('pods', namespace, '-l', 'downdraft.dev/role')).toEqual([]);
    },
    20 * minutes,
  );
});
