/**
 * What the policies and people say. At each look from what is watched; right before pods are ended and before the schema is
 * changed from the API server itself, so that nobody is overruled by what was known a moment ago.
 */
import { activeRun } from '../../release/kubernetes/downgrade.ts';
import type { Release } from '../../release/model/release.ts';
import { wordsOfThrown } from '../../release/model/thrown.ts';
import { countingFor, type Said } from '../../release/policy/frozen.ts';
import type { Reads } from '../ports.ts';

/** What counts in a namespace by what is watched. Never throws: that it can't be had is an answer. */
export async function observePolicy(reads: Pick<Reads, 'policy' | 'policyNow'>, namespace: string): Promise<Said> {
  try {
    return { policy: await reads.policy(namespace) };
  } catch (error) {
    // A watch that was lost does not tell why: for good, or for a moment.
    const now = await observePolicyNow(reads, namespace);
    return 'kindGone' in now ? now : { unknown: wordsOfThrown(error) };
  }
}

async function observePolicyNow(reads: Pick<Reads, 'policyNow'>, namespace: string): Promise<Said> {
  try {
    return { policy: await reads.policyNow(namespace) };
  } catch (error) {
    return (error as { status?: number }).status === 404 ? { kindGone: true } : { unknown: wordsOfThrown(error) };
  }
}

/** The same release with its policies and its Downgrade as they are at this moment. */
export async function lookAgain(reads: Reads, release: Release): Promise<Release> {
  const { namespace, name } = release;
  const [said, downgrades] = await Promise.all([observePolicyNow(reads, namespace), reads.downgrades(namespace)]);
  const run = activeRun(downgrades, name);
  const { policyUnknown: _, ...before } = release;
  return Object.freeze({ ...before, ...countingFor(said, run, namespace), run });
}
