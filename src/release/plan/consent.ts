/**
 * Consent: whether a plan may be carried out, and if not yet, what is asked and how to say yes.
 *
 * Consent is given to one plan, by its hash. The hash covers what can't be undone: which database, which steps from where
 * to where, what is lost, what may go wrong, what there is to go back to. Counts change by the minute while the newer
 * version still serves, so each loss is approved up to a ceiling, which the words name: a tenth more than was counted. A
 * loss that grows past its ceiling makes another hash and asks again; one that shrinks never does. Rows to convert are no
 * loss, so their number is not covered, only that there is such a step.
 */
import { createHash } from 'node:crypto';
import type { PlannedBackup, PlanStep } from '../model/plan.ts';
import { type BackupWay, isMade, type Rules } from '../model/policy.ts';
import type { RunSpec } from '../model/run.ts';
import { patchOf } from './patch-command.ts';

/** What the older version can't keep. */
export interface Loss {
  what: string;
  count: number;
  /** Up to how many rows the plan's hash stands for. */
  upTo?: number;
}

/** The part of a plan that consent is given to. */
export interface Approvable {
  identity: object;
  steps: readonly PlanStep[];
  losses: readonly Loss[];
  /** What may go wrong and must be accepted; `id` is stable, `what` is for people. */
  hazards?: readonly { id: string; what: string }[];
  backup: PlannedBackup;
}

export interface ConsentQuestion {
  plan: Approvable & { hash: string };
  rules: Rules;
  /** What people wrote into the Downgrade. */
  spec: Pick<RunSpec, 'approved' | 'approvedUntil' | 'backup'>;
  /** Of the Downgrade. */
  name: string;
  /** How often the copy has failed, while nobody has asked for another try. */
  failedTries?: number;
  now: Date;
}

/** `command` and `without` are what follows "kubectl -n NAMESPACE ". */
export type Consent =
  | { state: 'given'; by: 'policy' | 'approval' }
  | {
      state: 'needed';
      why: string[];
      /** Says yes; where a backup must be named, with a placeholder that the API server refuses. */
      command: string;
      /** Says yes to going without a backup, where that is the question. */
      without?: string;
      /** Has the copy tried again that could not be made. */
      again?: string;
    };

/** 12 hex digits that stand for the plan: the same for the same text of facts, in whatever order their fields come. */
export function planHash({ identity, steps, losses, hazards = [], backup }: Approvable): string {
  const covered = {
    identity,
    // Comparing rows changes nothing, so nobody is asked about it.
    steps: steps
      .filter(({ kind }) => kind !== 'verify')
      .map((step) =>
        step.kind === 'core' || step.kind === 'manager'
          ? [step.kind, step.kind === 'manager' ? step.versionTable : '', step.from, step.toRevision]
          : [step.kind],
      ),
    losses: losses.map((loss) => [subject(loss), ceiling(loss)]).sort(byText),
    hazards: hazards.map(({ id }) => id).sort(),
    backup: backup.way,
  };
  return createHash('sha256').update(stable(covered)).digest('hex').slice(0, 12);
}

/**
 * The same plan, its losses with the ceilings of the one before it, if any, where they still hold. A loss that is no longer
 * counted stays with a count of 0, so that the hash stays, too. To be called before planHash.
 */
export function keepCeilings<P extends { losses: readonly Loss[] }>(plan: P, before?: { losses: readonly Loss[] }): P {
  const earlier = before?.losses ?? [];
  const kept = plan.losses.map((loss) => {
    const old = earlier.find((one) => subject(one) === subject(loss));
    return { ...loss, upTo: old && ceiling(old) >= loss.count ? ceiling(old) : ceiling(loss) };
  });
  const gone = earlier.filter((old) => !kept.some((loss) => subject(loss) === subject(old)));
  return { ...plan, losses: [...kept, ...gone.map((loss) => ({ ...loss, count: 0, upTo: ceiling(loss) }))] };
}

/** Whether this plan may be carried out by these rules, with what people wrote. Only to be asked before the schema step. */
export function consentOf(question: ConsentQuestion): Consent {
  const { plan, rules, spec, now } = question;
  const unnamed = backupToName(plan, rules, spec);
  const asked = questions(plan, rules);
  if (!unnamed && asked.length === 0) return { state: 'given', by: 'policy' };
  const ended = expired(spec, now);
  if (!unnamed && spec.approved === plan.hash && !ended) return { state: 'given', by: 'approval' };
  const why = [...lapsed(question, ended), ...asked, ...(unnamed ? [unnamed] : [])];
  if (!unnamed) return { state: 'needed', why, command: patchOf(question.name, { approved: plan.hash }) };
  const command = naming(question, 'Reference', { reference: '<name of the backup>' });
  const again = question.failedTries
    ? patchOf(question.name, { backup: { copyAgain: question.failedTries } })
    : undefined;
  const without = naming(question, 'Waiver', { waivedBy: '<your name>' });
  return { state: 'needed', why, command, without, ...(again ? { again } : {}) };
}

/** status.approval: what is asked and the exact commands; '' when nothing is. */
export function approvalInWords(consent: Consent, namespace: string): string {
  if (consent.state === 'given') return '';
  const { why, command, without, again } = consent;
  const kubectl = `kubectl -n ${namespace}`;
  const instead = without === undefined ? '' : `  or, to go without a backup: ${kubectl} ${without}`;
  const retry =
    again === undefined ? '' : `To try the copy again, once what stood in its way is gone: ${kubectl} ${again}  `;
  return `${why.join('; ')}. ${retry}To agree: ${kubectl} ${command}${instead}`;
}

/** Why a person is asked about this plan, whatever they said before. */
function questions({ losses, hazards = [], backup }: Approvable, rules: Rules): string[] {
  const always = rules.approval === 'Always' ? ['the policy asks about every downgrade'] : [];
  const listed = backup.way === 'None' || rules.backup.ways.includes(backup.way);
  const unlisted = listed ? [] : [`the policy does not list ${backup.way} among the ways of a backup`];
  if (rules.approval === 'Never') return unlisted;
  return [
    ...always,
    ...losses.filter(({ count }) => count > 0).map(lossInWords),
    ...hazards.map(({ what }) => `to be accepted: ${what}`),
    ...unlisted,
    ...withoutBackup(backup, rules),
  ];
}

function lossInWords(loss: Loss): string {
  return `lost: ${loss.what} (an approval covers up to ${ceiling(loss)})`;
}

function withoutBackup({ way, named, why }: PlannedBackup, { backup: { required } }: Rules): string[] {
  if (way === 'Waiver' && named) return [`there will be no backup, on the word of ${named}`];
  if (way !== 'None' || required) return [];
  return [`there will be no backup${why.length > 0 ? `: ${why.join('; ')}` : ''}`];
}

/** No plan is carried out without a backup by oversight: someone names one, or stands for going without. */
function backupToName({ backup }: Approvable, rules: Rules, spec: ConsentQuestion['spec']): string | undefined {
  const { way, why } = backup;
  if (isMade(way)) return undefined;
  if (way === 'Reference' && spec.backup?.reference) return undefined;
  if (way === 'Waiver' && spec.backup?.waivedBy) return undefined;
  if (way === 'None' && !rules.backup.required) return undefined;
  const nothing = rules.backup.ways.length === 0 ? ['the policies agree on no way of a backup'] : [];
  const because = [...nothing, ...why].join('; ');
  return `no copy will be made${because ? ` (${because})` : ''}: name a backup of your own, or who waives it`;
}

function lapsed({ plan, spec }: ConsentQuestion, ended: boolean): string[] {
  if (spec.approved === undefined) return [];
  if (spec.approved !== plan.hash) return [`the plan is ${plan.hash} by now, and ${spec.approved} was approved`];
  return ended ? [`the approval ended at ${spec.approvedUntil}`] : [];
}

/** A date that can't be read has passed. */
function expired({ approvedUntil }: ConsentQuestion['spec'], now: Date): boolean {
  return approvedUntil !== undefined && !(Date.parse(approvedUntil) > now.getTime());
}

/** Names a backup and, where the plan will then still need it, approves that plan in the same write. */
function naming({ plan, rules, name }: ConsentQuestion, way: BackupWay, backup: object): string {
  const named = { ...plan, backup: { way, named: name, why: [] } };
  return patchOf(name, { backup, ...(questions(named, rules).length > 0 ? { approved: planHash(named) } : {}) });
}

/** A loss by its words, without the numbers that stand in them. */
function subject({ what }: Loss): string {
  return what.replaceAll(/(?<![\w.-])\d[\d,._]*(?![\w-])/g, '#');
}

/** A tenth more, rounded up to two digits: 7 → 8, 120 → 140, 1 000 000 → 1 100 000. */
function ceiling({ count, upTo }: Loss): number {
  if (upTo !== undefined) return upTo;
  if (count <= 0) return 0;
  const more = Math.ceil((count * 11) / 10);
  const unit = 10 ** Math.max(0, String(more).length - 2);
  return Math.ceil(more / unit) * unit;
}

/** JSON with the keys of every object in one order: the API server gives them back in its own. */
function stable(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(stable).join(',')}]`;
  const entries = Object.entries(value).filter(([, own]) => own !== undefined);
  return `{${entries
    .map(([key, own]) => `${JSON.stringify(key)}:${stable(own)}`)
    .sort()
    .join(',')}}`;
}

function byText(a: unknown, b: unknown): number {
  const [one, other] = [stable(a), stable(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}
