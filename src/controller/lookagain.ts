/**
 * What the policies and people say. At each look from what is watched; right before pods are ended and before the schema is
 * changed from the API server itself, so that nobody is overruled by what was known a moment ago.
 */
import { carefulRules, rulesFor } from '../release/frozen.ts';
import { activeRun } from '../release/record.ts';
import type { Release } from '../release/release.ts';
import type { Reads } from './ports.ts';

type Said = Pick<Release, 'mode' | 'rules' | 'policyUnknown'>;

/** What counts in a namespace. Never throws: that it can't be had is an answer, and decisions wait for it. */
export async function observePolicy(asked: ReturnType<Reads['policy']>): Promise<Said> {
  try {
    const { mode, rules } = await asked;
    return { mode, rules };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const policyUnknown = `what the DowngradePolicies say is not known, and nothing is begun until it is: ${why}`;
    return { mode: 'Hold', rules: carefulRules, policyUnknown };
  }
}

/** The same release with its policies and its Downgrade as they are at this moment. */
export async function lookAgain(reads: Reads, release: Release): Promise<Release> {
  const { namespace, name } = release;
  const [said, downgrades] = await Promise.all([
    observePolicy(reads.policyNow(namespace)),
    reads.downgrades(namespace),
  ]);
  const run = activeRun(downgrades, name);
  const { policyUnknown: _, ...before } = release;
  return Object.freeze({ ...before, ...said, rules: rulesFor(said.rules, run, namespace), run });
}
