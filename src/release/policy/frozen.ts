/**
 * The rules by which a run goes. From the drain on they are those that were in force when it began, kept in its record: what
 * a backup is made of, how long it is kept, where the runner runs and what happens on failure must not change while Airflow
 * stands still. Until the schema step a policy can still stop the run: its mode counts as it is now, and of what the record
 * and the policy say about asking the stricter. Afterwards only a person's word (spec.abort) turns it round.
 *
 * Whoever may write the record, in its namespace, must reach no other one by it (places.ts).
 */
import { record } from '../model/json.ts';
import type { Mode, Rules } from '../model/policy.ts';
import type { Release } from '../model/release.ts';
import type { Run } from '../model/run.ts';
import { placesWithin } from './places.ts';
import { mergeRules, neverLoose, readRules } from './rules.ts';

type Counting = Pick<Release, 'mode' | 'rules' | 'policyUnknown'>;

/** What counts for a run in a namespace where the policies say `now`. What the record keeps is checked as a policy is. */
export function rulesFor(now: Rules, run: Run | undefined, namespace: string): Rules {
  const { drainStartedAt, schemaStartedAt, rules } = run?.status ?? {};
  const kept = record(rules);
  if (!drainStartedAt || !kept) return now;
  const { said, fault } = readRules(kept);
  const asking = schemaStartedAt ? [] : [{ approval: now.approval }];
  const counting = { ...said, backup: placesWithin(namespace, said.backup ?? {}, now.backup) };
  return mergeRules([fault === undefined ? counting : neverLoose(counting), ...asking]);
}

/** Where nothing is known of the policies. */
export const carefulRules: Rules = mergeRules([neverLoose({})]);

/** What the policies say of a namespace, or why that can't be had; `kindGone`: the cluster has no such kind any more. */
export type Said = { policy: { mode: Mode; rules: Rules } } | { unknown: string } | { kindGone: true };

/**
 * Mode and rules that count for a release. Nothing is decided while they are not known; but who took the whole kind away
 * takes nothing back of what was begun: a drained release that waited for policies that never come would stay without
 * Airflow, so its run goes on by the rules that it was begun under.
 */
export function countingFor(said: Said, run: Run | undefined, namespace: string): Counting {
  if ('policy' in said) return { mode: said.policy.mode, rules: rulesFor(said.policy.rules, run, namespace) };
  const { drainStartedAt, rules } = run?.status ?? {};
  const kept = record(rules);
  if ('kindGone' in said && drainStartedAt && kept) {
    const { approval = 'Always' } = readRules(kept).said;
    return { mode: 'Hold', rules: rulesFor({ ...carefulRules, approval }, run, namespace) };
  }
  const why = 'unknown' in said ? said.unknown : kindGone;
  const policyUnknown = `what the DowngradePolicies say is not known, and nothing is begun until it is: ${why}`;
  return { mode: 'Hold', rules: rulesFor(carefulRules, run, namespace), policyUnknown };
}

const kindGone =
  'the cluster has no DowngradePolicies any more; bring their kind back: kubectl apply -f manifests/crds/downgradepolicies.yaml';
