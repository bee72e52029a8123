/**
 * Draining: the gate is closed (closing.ts), then the old pods end in waves, each with its own grace. From then on
 * whatever asks for a pod of this release (a ReplicaSet, an autoscaler, a CronJob) gets one that stays Pending.
 */
import { waveOf } from '../airflow/charts.ts';
import { migrationIn } from '../kubernetes/migrations.ts';
import type { Act } from '../model/act.ts';
import { secondsSince } from '../model/elapsed.ts';
import { replacing } from '../model/json.ts';
import type { Rules } from '../model/policy.ts';
import type { Release } from '../model/release.ts';
import type { Run, RunStatus } from '../model/run.ts';
import type { Pod } from '../model/workload.ts';
import { backingUp } from './backing-up.ts';
import { closing } from './closing.ts';

/** How long sessions of others may stay on the database before the run goes on and names them. */
const sessionPatienceSeconds = 30;

/** The next act of the drain and of the backup; ends in the intent to begin the schema step. */
export function draining(release: Release, run: Run): Act {
  if (!run.status.drainStartedAt) return closing(release, run) ?? { act: 'record', status: begin(release, run) };
  const emptying = drain(release);
  if (emptying) return emptying;
  if (!run.status.drainedAt) return { act: 'record', status: { drainedAt: release.now.toISOString() } };
  const waited = secondsSince(run.status.drainedAt, release.now);
  const left = sessionsLeft(release);
  if (left && waited < sessionPatienceSeconds) return { act: 'wait', reason: 'SessionsRemain', message: left };
  // Nobody writes any more: what the plan was made from is looked at once more, and planning.ts judges it again.
  const { runner } = release;
  if (runner.state === 'ready' && runner.inspection.look !== run.status.drainedAt)
    return { act: 'lookAgain', mark: run.status.drainedAt };
  const backup = backingUp(release, run);
  if (backup) return backup;
  const before = runner.state === 'ready' ? runner.inspection.database.versionTables : {};
  return { act: 'record', status: { schemaStartedAt: release.now.toISOString(), before } };
}

/** The gate is proved. The rules that are in force now are kept, in the place of those of an earlier drain. */
function begin({ now, rules }: Release, { status }: Run): Partial<RunStatus> {
  return { drainStartedAt: now.toISOString(), gating: null, rules: replacing(status.rules, rules) as Rules };
}

function sessionsLeft({ sessions, sessionsUnseen }: Release): string | undefined {
  if (sessionsUnseen) return `who is still on the database can't be seen: ${sessionsUnseen}`;
  const who = sessions.map((s) => `${s.user}@${s.client}${s.application ? ` (${s.application})` : ''}`);
  return who.length > 0 ? `still on the database: ${who.slice(0, 5).join(', ')}` : undefined;
}

/** Brings the release to no running pod but the runner's; undefined when it is there. Also keeps it there later on. */
export function drain(release: Release): Act | undefined {
  if (release.gate === 'absent') return { act: 'createGate' };
  if (release.gate !== 'inForce') {
    const { written, refused } = release.gate;
    return { act: 'wait', reason: refused ? 'GateNotProven' : 'Draining', message: written };
  }
  const migration = migrationIn(release);
  if (migration) return { act: 'wait', ...migration };
  if (release.runner.state === 'ready' && inService(release)) return { act: 'isolateRunner' };
  const running = release.pods.filter((p) => ['airflow', 'stray'].includes(p.role) && !p.gated && !p.ended);
  if (running.length === 0) return undefined;
  const wave = Math.min(...running.map((p) => waveOf(p.component)));
  const due = running.filter((p) => waveOf(p.component) === wave && !p.terminating);
  if (due.length > 0) return { act: 'endPods', pods: due };
  const ending = running.filter((p) => p.terminating);
  const overdue = ending.filter((p) => isOverdue(p, release.now));
  if (overdue.length > 0)
    return { act: 'wait', reason: 'PodNotTerminating', message: overdueInWords(release, overdue) };
  return { act: 'wait', reason: 'Draining', message: `waiting for ${ending.map(describe).join(', ')} to end` };
}

/** A runner that is an old pod still belongs to its ReplicaSet and Service until its component label is taken off. */
function inService({ pods }: Release): boolean {
  return pods.some((p) => p.role === 'runner' && p.object.metadata.labels?.component !== undefined);
}

/** So long after its grace a pod that ends as it should is gone. */
const overdueSeconds = 120;

/** Kubernetes writes into deletionTimestamp when the grace is over. */
function isOverdue({ object }: Pod, now: Date): boolean {
  return secondsSince(object.metadata.deletionTimestamp ?? '', now) > overdueSeconds;
}

function overdueInWords({ namespace }: Release, pods: Pod[]): string {
  const which = pods.map(({ name, object: { metadata, spec } }) => {
    const kept = metadata.finalizers?.length ? `kept by finalizers ${metadata.finalizers.join(', ')}` : '';
    return `pod/${name} (${kept || `on node ${spec.nodeName ?? 'unknown'}`})`;
  });
  const force = `kubectl -n ${namespace} delete pod ${pods[0]!.name} --force --grace-period=0`;
  return `${which.slice(0, 5).join(', ')} has not ended ${overdueSeconds} s after its grace, and nothing goes on while it may write: see whether its node answers or who should take the finalizer off; once it is certain that nothing of it runs any more: ${force}`;
}

function describe(pod: Pod): string {
  const grace = pod.object.spec.terminationGracePeriodSeconds;
  return `pod/${pod.name}${grace ? ` (grace ${grace} s)` : ''}`;
}
