/**
 * Whether a copy sees what the Airflow that it was made of sees, asked of both in one look.
 *
 * The key is made for that look and is in no record: a Downgrade is read by many, and who has digests and their key can try
 * weak passwords at leisure. Only the names of settings that differ are kept.
 */
import { randomBytes } from 'node:crypto';
import { isCopy } from '../../release/kubernetes/helper-pods.ts';
import { mainContainerOf } from '../../release/kubernetes/main-container.ts';
import { ownPod } from '../../release/kubernetes/own-pods.ts';
import type { Release } from '../../release/model/release.ts';
import type { Proof, Run } from '../../release/model/run.ts';
import type { Pod } from '../../release/model/workload.ts';
import { compareDigests, originalsOf, unproved } from '../../release/plan/proof.ts';
import type { Reads } from '../ports.ts';

/** So many old pods are asked: each may take half a minute. */
const mostAsked = 2;

/** Release → what came of its last comparison: it is asked for once, though the record may have to wait. */
export type Proofs = Map<string, Proof>;

/** Compares once for each copy, before anything is drained; undefined when there is nothing to compare, or it was. */
export async function observeProof(
  reads: Pick<Reads, 'digestSettings'>,
  seen: Pick<Release, 'namespace' | 'name' | 'run' | 'pods' | 'runner'>,
  { proofs = new Map() }: { proofs?: Proofs },
): Promise<Proof | undefined> {
  const { namespace, name, run, pods, runner } = seen;
  const copy = run && runner.state === 'ready' && ownPod(pods, run, 'runner');
  if (!copy || !isCopy(copy) || run.status.drainStartedAt || run.status.proof?.of === copy.uid) return undefined;
  const known = proofs.get(`${namespace}/${name}`);
  if (known?.of === copy.uid) return known;
  const proof = await compared(reads, { namespace, pods, run }, copy);
  proofs.set(`${namespace}/${name}`, proof);
  return proof;
}

async function compared(
  reads: Pick<Reads, 'digestSettings'>,
  { namespace, pods, run }: { namespace: string; pods: Pod[]; run: Run },
  copy: Pod,
): Promise<Proof> {
  const { copied } = run.status.pods?.runner ?? {};
  const originals = copied ? originalsOf(pods, copied).slice(0, mostAsked) : [];
  const key = randomBytes(32).toString('hex');
  const ask = async (pod: Pod, of: 'airflow' | 'runner') => ({
    pod,
    said: await reads.digestSettings(namespace, pod.name, mainContainerOf(pod.object), of, key),
  });
  const [first, ...others] = originals;
  if (!first) return unproved(copy, 'the pod that it was made of does not run any more, nor does one like it');
  const [own, said] = await Promise.all([ask(copy, 'runner'), ask(first, 'airflow')]);
  let old = said;
  for (const other of others) if ('fault' in old.said) old = await ask(other, 'airflow');
  return compareDigests(own, old);
}
