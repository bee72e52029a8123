/**
 * Planning: nothing is touched. The target image is asked (does it start, which heads does it need), a runner is started
 * beside the old pods (which reverse scripts are there, what is in the database), and the plan is written down.
 */
import { isCertain } from '../airflow/images.ts';
import { backupVolume, holdsRoom, isCopy } from '../kubernetes/helper-pods.ts';
import { migrationIn } from '../kubernetes/migrations.ts';
import { ownPod } from '../kubernetes/own-pods.ts';
import { digestOf, runningDigests } from '../kubernetes/pods.ts';
import type { Act } from '../model/act.ts';
import { dumpPlace, failedTries } from '../model/backup-names.ts';
import { secondsSince } from '../model/elapsed.ts';
import type { ImageKnowledge } from '../model/image.ts';
import { replacing, same } from '../model/json.ts';
import { nameOf } from '../model/kubernetes.ts';
import type { Plan } from '../model/plan.ts';
import { isMade } from '../model/policy.ts';
import type { Release } from '../model/release.ts';
import type { Proof, Run, RunStatus } from '../model/run.ts';
import type { WaitReason } from '../model/waits.ts';
import type { Workload } from '../model/workload.ts';
import { newerSince } from '../plan/age.ts';
import { approvalInWords, consentOf } from '../plan/consent.ts';
import { knowledgeOf, planDowngrade } from '../plan/plan.ts';
import { isUnlike, proofOfPlan } from '../plan/proof.ts';
import { answersTo, unasked, withAnswers } from '../plan/triggers.ts';
import { failedWays } from './backing-up.ts';
import { tidyGate } from './gates.ts';
import { pausedByOwner } from './paused-by-owner.ts';
import { livingSources } from './sources.ts';
import { unadmitted } from './trials.ts';

/** The next act of planning; undefined when the plan stands and can be carried out. */
export function planning(release: Release, run: Run): Act | undefined {
  return (
    proveCopy(release, run) ??
    askTarget(release, run) ??
    endAnswered(release, run) ??
    askRunner(release, run) ??
    learnRunning(release, run) ??
    waitForAnswers(release, run) ??
    askTriggers(release, run) ??
    learnAge(release, run) ??
    settlePlan(release, run)
  );
}

/**
 * What the running image is, said by the runner. It is kept by the name that its digest runs under: components of one
 * release may have images of their own, and only one of them was asked.
 */
function learnRunning({ runner, pods, workloads }: Release, run: Run): Act | undefined {
  if (runner.state !== 'ready' || run.status.from?.version !== undefined) return undefined;
  const { imageID, inspection } = runner;
  // The copy names its image by digest; people, and the next change, name it as the workload did.
  const image = workloads.find((w) => w.hold?.from)?.hold?.from ?? runner.image;
  const from = { image, ...(imageID ? { imageID } : {}), version: inspection.airflowVersion };
  const digest = digestOf(imageID);
  const [asked = runner.image] =
    [...runningDigests(pods)].find(([, runs]) => digest !== undefined && runs === digest) ?? [];
  return { act: 'record', status: { from }, learned: knowledgeOf(inspection, asked, imageID) };
}

/** Kubernetes' history, read once: what is asked for now will be in it soon. */
function learnAge({ rollouts }: Release, { status: { from, target, newerSince: known } }: Run): Act | undefined {
  if (known || !from || !target || rollouts === 'unread') return undefined;
  return { act: 'record', status: { newerSince: newerSince(rollouts, from.image, target.version) } };
}

function askTarget({ probe }: Release, run: Run): Act | undefined {
  if (run.status.target) return undefined;
  if (probe.state === 'absent') return { act: 'startProbe' };
  if (probe.state === 'told') {
    const { knowledge, fernetKeys } = probe;
    const keys = fernetKeys ? { targetKeys: fernetKeys } : {};
    return { act: 'record', status: { target: knowledge, toVersion: knowledge.version, ...keys }, learned: knowledge };
  }
  return undefined;
}

/** A mesh's proxy keeps the pod of a probe that has answered, and with it the room in a quota that the runner needs. */
function endAnswered({ pods }: Release, run: Run): Act | undefined {
  const probe = run.status.target && ownPod(pods, run, 'probe');
  return probe?.ended && holdsRoom(probe) ? { act: 'endPods', pods: [probe] } : undefined;
}

/** One that stands, but without the volume that the policy by now names for dumps, is made anew while nothing is drained. */
function askRunner({ runner, pods, rules }: Release, run: Run): Act | undefined {
  if (runner.state === 'absent') return { act: 'startRunner' };
  const copy = pods.find((pod) => pod.role === 'runner' && isCopy(pod) && !pod.terminating);
  if (!copy || run.status.drainStartedAt || same(backupVolume(copy.object), dumpPlace(rules, run))) return undefined;
  return { act: 'restartRunner' };
}

/** A pod that failed is tried again after this long, for as long as the request stands. */
const retrySeconds = 20;

function waitForAnswers({ probe, runner, now }: Release, run: Run): Act | undefined {
  const due = (at: string) => secondsSince(at, now) > retrySeconds;
  if (!run.status.target) {
    if (probe.state === 'failed' && due(probe.at)) return { act: 'restartProbe' };
    if (probe.state === 'failed') return { act: 'wait', reason: 'TargetImageNotStarted', message: probe.message };
    const message = probe.state === 'starting' ? probe.message : '';
    return { act: 'wait', reason: 'ProbeRunning', message: message || `asking ${run.to}` };
  }
  if (runner.state === 'failed' && due(runner.at)) return { act: 'restartRunner' };
  if (runner.state === 'failed') return { act: 'wait', reason: 'RunnerNotStarted', message: runner.message };
  if (runner.state !== 'ready')
    return { act: 'wait', reason: 'RunnerStarting', message: runner.state === 'starting' ? runner.message : '' };
  return undefined;
}

/** A copy that sees something else than the running Airflow is not used where an old pod itself can be the runner. */
function proveCopy(release: Release, run: Run): Act | undefined {
  const { proof: known, drainStartedAt } = run.status;
  if (release.proof) return { act: 'record', status: { proof: replacing(known, release.proof) as Proof } };
  if (drainStartedAt || !isUnlike(release.pods, known)) return undefined;
  return livingSources(release, run).some((p) => !p.gated) ? { act: 'restartRunner' } : undefined;
}

/** So long the target is asked about triggers, from when its pod was made; then they are not known. */
const triggersPatienceSeconds = 120;

/**
 * Which waiting triggers the target can take up. Asked in Planning alone, so it costs nothing in the outage, and again when
 * others came while somebody had to agree. An image that can't be asked stops nothing: the plan says that it is not known.
 */
function askTriggers({ runner, triggers, now }: Release, run: Run): Act | undefined {
  if (runner.state !== 'ready' || run.status.drainStartedAt) return undefined;
  const known = run.status.triggers;
  const open = unasked(runner.inspection.triggers, known);
  if (open.length === 0) return undefined;
  const notKnown = (why: string): Act => {
    const given = open.map((asked) => ({ ...asked, notKnown: why }));
    return { act: 'record', status: { triggers: withAnswers(known, given) } };
  };
  if (triggers.state === 'absent') return { act: 'askTriggers', triggers: open };
  if (triggers.state === 'told') {
    const answers = withAnswers(known, answersTo(open, triggers.takeUps));
    return { act: 'record', status: { triggers: answers } };
  }
  if (triggers.state === 'failed') return notKnown(triggers.message);
  const waited = secondsSince(triggers.since, now);
  if (waited > triggersPatienceSeconds) return notKnown(triggers.message);
  return { act: 'wait', reason: 'ProbeRunning', message: triggers.message };
}

function settlePlan(release: Release, run: Run): Act | undefined {
  const { runner } = release;
  const { target } = run.status;
  if (runner.state !== 'ready' || !target) return undefined;
  const plan = planDowngrade(runner.inspection, target, {
    wanted: release.database,
    ...(run.status.plan ? { before: run.status.plan } : {}),
    ...(run.status.triggers ? { takeUps: run.status.triggers } : {}),
    ...(run.status.targetKeys ? { targetKeys: run.status.targetKeys } : {}),
    ...(run.status.newerSince ? { age: { since: run.status.newerSince, now: release.now } } : {}),
    ways: release.rules.backup.ways,
    ...(run.spec.backup ? { named: run.spec.backup } : {}),
    places: release.rules.backup,
    outlook: release.outlook,
    failed: { ...failedWays(run), ...byOldPod(release) },
    proved: proofOfPlan(run.status.proof, isUnlike(release.pods, run.status.proof)),
  });
  if (!same(plan, run.status.plan))
    return { act: 'record', status: { plan: replacing(run.status.plan, plan) as Plan } };
  const other = release.workloads.filter((w) => !asksFor(release, w, target));
  if (other.length > 0)
    return {
      act: 'wait',
      reason: 'WaitingForWorkloads',
      message: `${other.map((w) => `${nameOf(w)} (${w.image})`).join(', ')} still ask for another version; set them to ${run.to} as well`,
    };
  const [first] = release.mode === 'Deny' ? [forbidden(release)] : plan.blockers;
  const missing =
    first ??
    pausedByOwner(release, plan) ??
    migrationIn(release) ??
    unadmitted(release) ??
    unapproved(release, run, plan);
  return missing && blocked(release, run, missing);
}

/** Airflow itself goes on in an old pod that serves as runner, and nobody may be on a database that is copied. */
function byOldPod({ pods }: Release): { ServerCopy?: string; Dump?: string } {
  const old = pods.find((pod) => pod.role === 'runner' && !isCopy(pod));
  if (!old) return {};
  const is = `the runner is pod/${old.name} itself (OldPod)`;
  return { ServerCopy: `${is}, whose Airflow keeps its sessions`, Dump: `${is}, which has no volume for it` };
}

/** What nobody has agreed to yet. Once the copy is made there is nothing left to ask: the plan is the one that was agreed to. */
function unapproved({ namespace, rules, now }: Release, run: Run, plan: Plan): Plan['blockers'][number] | undefined {
  if (plan.steps.length === 0) return undefined;
  const words = approvalInWords(
    consentOf({ plan, rules, spec: run.spec, name: run.name, now, failedTries: failedTries(run) }),
    namespace,
  );
  return words ? { reason: 'AwaitingApproval', message: words } : undefined;
}

/** Held before it was known to be a downgrade, or before the policy said no. */
function forbidden({ namespace }: Release): Plan['blockers'][number] {
  const message = `the DowngradePolicy of namespace ${namespace} forbids downgrades: set the newer image again, or ask who keeps that policy`;
  return { reason: 'PolicyDenies', message };
}

/**
 * A database has one schema: nothing begins before every workload asks for the target, by its very image or by one that
 * is known to need the same head. Not knowing is not agreeing.
 */
function asksFor({ images }: Release, workload: Workload, target: ImageKnowledge): boolean {
  if (workload.image === target.image) return true;
  const known = images[workload.image];
  return isCertain(known) && known.coreHead === target.coreHead;
}

/** The old version writes again from here on: a copy that was made is not that database any more. */
function reopened({ status: { backup } }: Run): Partial<RunStatus> {
  const stale = backup && isMade(backup.way) ? { backup: { ...backup, verifiedAt: null, stale: true } } : {};
  return { drainStartedAt: null, drainedAt: null, ...stale };
}

/**
 * A plan that is blocked touches nothing; what a drain has closed already is opened again. Rows may go away by
 * themselves, so the runner looks again once a minute.
 */
function blocked(release: Release, run: Run, first: Plan['blockers'][number]): Act {
  if (run.status.drainStartedAt) return { act: 'record', status: reopened(run) };
  const opening = tidyGate(release);
  if (opening) return opening;
  const { runner, now } = release;
  const stale = runner.state === 'ready' && secondsSince(runner.inspection.at, now) > 60;
  if (stale) return { act: 'lookAgain', mark: now.toISOString() };
  return { act: 'wait', reason: first.reason as WaitReason, message: first.message };
}
