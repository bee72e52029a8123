/**
 * The rules by which a run goes. From the drain on they are those that were in force when it began, kept in its record: what
 * a backup is made of, how long it is kept, where the runner runs and what happens on failure must not change while Airflow
 * stands still. Until the schema step a policy can still stop the run: its mode counts as it is now, and of what the record
 * and the policy say about asking the stricter. Afterwards only a person's word (spec.abort) turns it round.
 *
 * Whoever may write the record, in its namespace, must reach no other one by it (places.ts).
 */
import { placesWithin } from './places.ts';
import type { Run } from './release.ts';
import { mergeRules, neverLoose, type Rules, readRules } from './rules.ts';
import { record } from './unknown.ts';

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
