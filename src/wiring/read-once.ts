/** A policy of the mirror is read once: a change of it is another object. */
import { type PolicyObject, type ReadPolicy, readPolicy } from '../release/policy/policy.ts';

const known = new WeakMap<PolicyObject, ReadPolicy>();

export function readOnce(policy: PolicyObject): ReadPolicy {
  const read = known.get(policy) ?? readPolicy(policy);
  known.set(policy, read);
  return read;
}
