/**
 * What a verdict needs is looked at within one time budget: the stored workload, the run, the learned images and the
 * policy side by side, then the database by the stored workload's own connection and, where its name does not tell, the
 * image's registry. Whatever fails or takes too long is "not observed", which is a hold and never an allow.
 */
import { tagOf } from '../../release/airflow/images.ts';
import { holdOf } from '../../release/kubernetes/hold.ts';
import { mainContainerIn, readWorkload } from '../../release/kubernetes/workloads.ts';
import type { DatabaseState } from '../../release/model/database.ts';
import type { ImageKnowledge } from '../../release/model/image.ts';
import { nameOf, type WorkloadObject } from '../../release/model/kubernetes.ts';
import type { Reason } from '../../release/model/reasons.ts';
import type { Run } from '../../release/model/run.ts';
import type { Workload } from '../../release/model/workload.ts';
import { type Decision, decide, ifResumable } from '../../release/verdict/decide.ts';
import { judge } from '../../release/verdict/judge.ts';
import type { Question, Verdict } from '../../release/verdict/question.ts';
import type { Ports, Told } from '../ports.ts';
import { said } from '../said.ts';
import { knowledgeOf } from './images.ts';
import { firstLine, type Look, looker } from './looking.ts';

/** Whose image is judged, against which stored workload's database. */
export interface Subject {
  workload: Question['workload'];
  image: string;
  /** Images of further containers that open the database. */
  others?: readonly string[];
  declaredVersion: string | undefined;
  /** Main image before the hold, if there is one. */
  from?: string | undefined;
  connectionChanged?: boolean;
  /** A new workload; one of a release that is under way is judged although nothing of it is stored. */
  created?: boolean;
  /** Held or refused only on certain knowledge, unless something of the release is held or under way. */
  lenient?: boolean;
  /** Nothing is held for it, so no rights to resume it are needed. */
  onlyRefused?: boolean;
  /** Looks up the workload whose connection is used; undefined when there is none. */
  connection(signal: AbortSignal): Told<WorkloadObject | undefined>;
  /** Why it is let through when there is none. */
  otherwise?: Reason;
}

/** The stored workloads of a release that use its database. */
export async function storedRelease(
  ports: Ports,
  { namespace, release }: { namespace: string; release: string },
  signal: AbortSignal,
): Promise<Workload[]> {
  const stored = await ports.releaseWorkloads(namespace, release, signal);
  return stored.map(readWorkload).filter((w): w is Workload => w?.release === release);
}

/** Whether that is our own account's name. Never throws: who can't be told is anybody. */
export async function isOwn(username: string, ports: Ports): Promise<boolean> {
  const { look, done } = looker(ports);
  try {
    return username !== '' && (await look('our own account', (signal) => ports.ownAccount(signal))) === username;
  } catch {
    return false;
  } finally {
    done();
  }
}

/** Judges an image for a subject. Never throws: what can't be looked at is a hold, DatabaseUnreadable. */
export async function judgeWithin(subject: Subject, ports: Ports): Promise<Decision> {
  const { look, done } = looker(ports);
  try {
    return await decided(subject, ports, look);
  } finally {
    done();
  }
}

/** What a verdict goes by, but for database and images. */
interface Around {
  stored: WorkloadObject | undefined;
  run: Run | undefined;
  returned: Question['returned'];
  learned: readonly ImageKnowledge[];
}

/** Observed once, judged once, decided once. */
async function decided(subject: Subject, ports: Ports, look: Look): Promise<Decision> {
  const { workload } = subject;
  let policy: Awaited<ReturnType<Ports['policy']>> = { mode: 'Hold', by: [] };
  let around: Around | undefined;
  let verdict: Verdict;
  try {
    // On its own and first: whatever fails after it, a policy that only observes must not hold.
    policy = await look('the DowngradePolicies', (signal) => ports.policy(workload.namespace, signal));
    around = await lookAround(subject, ports, look);
    verdict = await judged(subject, around, ports, look);
  } catch (error) {
    verdict = notObserved(subject, error);
  }
  const fresh = subject.lenient === true && !isConcerned(around);
  const decision = decide(verdict, { workload, mode: policy.mode, policies: policy.by, fresh });
  // Of what is not stored anyone could make up any number, each a dozen questions to the API server.
  const asks = decision.verdict === 'hold' && !subject.onlyRefused && Boolean(around?.stored ?? around?.run);
  return asks ? ifResumable(decision, workload, await missingRights(workload.namespace, ports, look)) : decision;
}

async function lookAround({ workload, connection }: Subject, ports: Ports, look: Look): Promise<Around> {
  const { namespace, release } = workload;
  const [stored, run, returned, learned] = await Promise.all([
    look('the stored workload', (signal) => connection(signal)),
    look('whether a downgrade is under way', (signal) => ports.run(namespace, release, signal)),
    look('whether one was returned before', (signal) => ports.returned(namespace, release, signal)),
    look('what is known of images', (signal) => ports.learnedImages(workload, signal)),
  ]);
  return { stored, run, returned, learned };
}

/** Something of the release is held or under way. */
function isConcerned(around: Around | undefined): boolean {
  return around?.run !== undefined || (around?.stored !== undefined && holdOf(around.stored) !== undefined);
}

async function judged(subject: Subject, around: Around, ports: Ports, look: Look): Promise<Verdict> {
  const { workload, image, others = [], from, connectionChanged = false } = subject;
  const { stored, run, returned } = around;
  if (!stored && !(subject.created && run)) return { verdict: 'allow', reason: subject.otherwise ?? 'NothingHeld' };
  const know = (of: string) => knowledgeOf(of, { subject, ...around }, ports, look);
  const patienceMs = subject.lenient && !isConcerned(around) ? briefMs : undefined;
  const [database, known, ...rest] = await Promise.all([
    databaseFor(subject, stored, run, ports, look, patienceMs),
    know(image),
    ...others.map(know),
  ]);
  const question = { workload, image: known, others: rest, database, run, returned, from, connectionChanged };
  return judgeBack(question, stored, ports, look);
}

/** Not knowing our rights is no reason to refuse: the controller says what it is not allowed. */
async function missingRights(namespace: string, ports: Ports, look: Look): Promise<string[]> {
  try {
    const missing = await look('our own rights', (signal) => ports.missingRights(namespace, signal));
    return missing.length > 0 ? [said(ports, missing.join(', '), 'do all that it takes (its log names it)')] : [];
  } catch {
    return [];
  }
}

/**
 * What ran before a hold may come back, whatever else is not known. What the hold's annotation says of it is anyone's word:
 * where the verdict hangs on it, Kubernetes' own history must have that image for the workload.
 */
async function judgeBack(
  question: Question,
  stored: WorkloadObject | undefined,
  ports: Ports,
  look: Look,
): Promise<Verdict> {
  const verdict = judge(question);
  if (verdict.verdict !== 'allow' || question.from !== question.image.image) return verdict;
  const otherwise = judge({ ...question, from: undefined });
  if (otherwise.verdict === 'allow') return verdict;
  const ran = stored ? await look('what it ran before', (signal) => ports.ranBefore(stored, signal)) : [];
  return ran.includes(question.from) ? verdict : otherwise;
}

async function databaseFor(
  { connectionChanged }: Subject,
  stored: WorkloadObject | undefined,
  run: Run | undefined,
  ports: Ports,
  look: Look,
  patienceMs: number | undefined,
): Promise<DatabaseState> {
  if (!stored)
    return { state: 'unreadable', why: `no workload of the release is stored, and ${run?.name} is under way` };
  if (connectionChanged) return { state: 'unreadable', why: 'the change names another connection' };
  const state = await look('the database', (s) => ports.database(stored, containerOf(stored), s), patienceMs);
  return state.state === 'read' ? state : { ...state, why: said(ports, state.why, 'its events say why') };
}

function containerOf(stored: WorkloadObject): string {
  return mainContainerIn(stored) ?? stored.spec.template.spec.containers[0]?.name ?? '';
}

/** A first installation, whose database is not up yet, must not be kept waiting for it. */
const briefMs = 500;

function notObserved({ workload, image }: Subject, error: unknown): Verdict {
  const why = `${firstLine(error)}, so whether ${tagOf(image)} fits the database is not known`;
  const message = `${nameOf(workload)}: ${why}; running pods are not affected, no action needed unless it lasts`;
  return { verdict: 'hold', reason: 'DatabaseUnreadable', message };
}
