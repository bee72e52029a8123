/**
 * Act: carries out what `next` decided. One function per act, each safe to repeat: the controller may be killed before
 * or after any write in here.
 */
import { notMade } from '../../release/downgrade/backing-up.ts';
import { jobOf } from '../../release/downgrade/misfits.ts';
import { ordersOf } from '../../release/downgrade/orders.ts';
import { BackupRefused } from '../../release/downgrade/snapshots.ts';
import { downgradeFor } from '../../release/kubernetes/downgrade.ts';
import { holdPatch, resumePatch } from '../../release/kubernetes/hold.ts';
import type { Act, RunAct } from '../../release/model/act.ts';
import { nameOf } from '../../release/model/kubernetes.ts';
import type { BackupObject, Release } from '../../release/model/release.ts';
import type { Run } from '../../release/model/run.ts';
import { runnerFolder } from '../../release/model/runner.ts';
import type { Part } from '../../release/model/step-kinds.ts';
import type { Pod, Workload } from '../../release/model/workload.ts';
import type { ActSettings, Recording, Ways, Writes } from '../ports.ts';
import { finish } from '../report/show.ts';
import { dropExpired } from './expired.ts';
import { askTriggers, endStrays, startProbe } from './pods.ts';
import { dismiss, startRunner } from './runner.ts';

/** Carries out one act. Throws what the API server or the container answers; nothing is retried here. */
export async function carryOut(act: Act, release: Release, ways: Ways, settings: ActSettings): Promise<void> {
  const { writes } = ways;
  const { namespace, name, run } = release;
  switch (act.act) {
    case 'rest':
    case 'wait':
      return;
    case 'startRun':
      return writes.createDowngrade(downgradeFor(release, act.to));
    case 'createGate':
      return writes.createGate(namespace, name);
    case 'deleteGate':
      return writes.deleteGate(namespace, name);
    case 'restore':
      return restore(release, act.workload, writes);
    case 'unhold':
      return writes.patchWorkload(act.workload.object, resumePatch(act.workload.kind, act.workload.object));
    case 'hold':
      return writes.patchWorkload(
        act.workload.object,
        holdPatch(act.workload.kind, act.workload.object, {
          since: release.now.toISOString(),
          by: 'downdraft',
          from: release.workloads.find((w) => w.hold?.from)?.hold?.from ?? '',
        }),
      );
    case 'endPods':
      return each(act.pods, (pod) => writes.deletePod(namespace, pod.name, pod.uid));
    case 'ungate':
      return each(act.pods, (pod) => writes.ungatePod(namespace, pod.name, pod.uid));
    case 'endMisfits':
      return each(act.pods, (pod) => endMisfit(release, pod, writes));
    case 'dismissHelpers':
      return each(release.pods, (pod) => dismiss(pod, namespace, writes));
    case 'deleteRecord':
      return writes.deleteDowngrade(namespace, act.surplus.run, act.surplus);
    case 'dropCopy':
      return dropExpired(act.expired, release, writes);
    default:
      return carryOutForRun(act, release, needed(run), ways, settings);
  }
}

async function carryOutForRun(
  act: RunAct,
  release: Release,
  run: Run,
  { reads, writes }: Ways,
  settings: ActSettings,
): Promise<void> {
  const { namespace } = release;
  const record: Recording = async (status) =>
    void (await writes.patchDowngradeStatus(namespace, run.name, { record: status }, run));
  switch (act.act) {
    case 'record':
      return record(act.status);
    case 'startProbe':
      return startProbe(release, run, { writes, record }, settings.commands.probe);
    case 'endStrays':
      return endStrays(act.pods, release, run, writes);
    case 'askTriggers':
      return askTriggers(act.triggers, release, run, { writes, record }, settings.commands.triggers);
    case 'restartProbe':
      return each(release.pods, async (p) => p.role === 'probe' && writes.deletePod(namespace, p.name, p.uid));
    case 'restartRunner':
      return each(release.pods, (p) => (p.role === 'runner' ? dismiss(p, namespace, writes) : undefined));
    case 'startRunner':
      return startRunner(release, run, { reads, writes, record }, settings);
    case 'isolateRunner':
      return each(release.pods, async (p) => {
        if (p.role === 'runner') await writes.labelPod(namespace, p.name, p.uid, { component: null });
      });
    case 'lookAgain':
      return tellRunner(release, writes, 'look', act.mark);
    case 'askBackup':
      return askBackup(act.object, run, record, writes);
    case 'order':
      return order(release, run, act.part, writes, settings.token);
    case 'finish':
      return finish(act, release, run, { reads, writes });
    default:
      act satisfies never;
  }
}

/** What the API server takes from nobody will not be taken later: the next way is, and the old version serves meanwhile. */
async function askBackup(object: BackupObject, { status }: Run, record: Recording, writes: Writes): Promise<void> {
  try {
    await writes.createBackup(object);
  } catch (error) {
    if (!(error instanceof BackupRefused) || !status.backup) throw error;
    await record(notMade(status.backup, error.message));
  }
}

/** The orders carry what was planned, on which database, and by whose authority; the same orders twice are one. */
async function order(release: Release, run: Run, part: Part, writes: Writes, token: number): Promise<void> {
  const { plan } = run.status;
  if (!plan) throw new Error(`downgrade ${run.name} wants the runner to work without a plan`);
  const orders = { token, identity: plan.identity, ...ordersOf(run, part) };
  await tellRunner(release, writes, 'orders.json', JSON.stringify(orders));
}

/** The template of before the hold. Throws when Kubernetes' history does not have it any more. */
async function restore({ templates }: Release, workload: Workload, writes: Writes): Promise<void> {
  if (templates === 'unread')
    throw new Error(`the templates of before were not read, so that of ${nameOf(workload)} is not known`);
  const template = templates[nameOf(workload)];
  if (!template)
    throw new Error(
      `the template that ${nameOf(workload)} had before is not in its history any more (revisionHistoryLimit); set its image back to ${workload.hold?.from || 'the newer one'} by hand`,
    );
  await writes.restoreTemplate(workload.object, template);
}

async function tellRunner({ namespace, runner }: Release, writes: Writes, file: string, text: string): Promise<void> {
  if (runner.state !== 'ready') throw new Error('the runner is not ready');
  await writes.writeFile(namespace, runner.pod, runner.container, `${runnerFolder}/${file}`, text);
}

async function endMisfit(release: Release, pod: Pod, writes: Writes): Promise<void> {
  const [{ namespace }, job] = [release, jobOf(release, pod)];
  return job ? writes.deleteJob(namespace, job.name, job.uid) : writes.deletePod(namespace, pod.name, pod.uid);
}

async function each(pods: Pod[], act: (pod: Pod) => unknown): Promise<void> {
  for (const pod of pods) await act(pod);
}

function needed(run: Run | undefined): Run {
  if (!run) throw new Error('this act needs a run');
  return run;
}
