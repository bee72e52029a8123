/**
 * The proof that a copy sees what the Airflow that it was copied from sees: both tell keyed digests of the settings by which
 * a downgrade goes (src/inside/downdraft/digests.py). What comes of comparing them is kept, the digests are not. Pure.
 */
import { isCopy } from '../kubernetes/helper-pods.ts';
import { mainStatusOf } from '../kubernetes/main-container.ts';
import { digestOf } from '../kubernetes/pods.ts';
import { nameOf } from '../model/kubernetes.ts';
import type { Reason } from '../model/reasons.ts';
import type { CopiedPod, Proof } from '../model/run.ts';
import { type Digests, digested } from '../model/runner.ts';
import type { Pod } from '../model/workload.ts';

type Told = { told: Digests } | { fault: string };

/** Compares what both said. */
export function compareDigests(copy: { pod: Pod; said: Told }, old: { pod: Pod; said: Told }): Proof {
  const names = { of: copy.pod.uid, copy: copy.pod.name };
  for (const { pod, said } of [copy, old])
    if ('fault' in said) return { ...names, why: `pod/${pod.name}: ${said.fault.slice(0, mostCharacters)}` };
  const [a, b] = [copy, old].map(({ said }) => (said as { told: Digests }).told) as [Digests, Digests];
  return { ...names, pod: old.pod.name, differ: digested.filter((name) => a[name] !== b[name]) };
}

const mostCharacters = 300;

/** Nobody is left who could be compared with. */
export function unproved({ uid, name }: Pod, why: string): Proof {
  return { of: uid, copy: name, why };
}

/** The pods that a copy can be compared with: the one that it was made of, else those of the same owner and image. */
export function originalsOf(pods: readonly Pod[], copied: CopiedPod): Pod[] {
  const runs = (p: Pod) => p.role === 'airflow' && !p.gated && !p.ended && !p.terminating && mainOf(p)?.state?.running;
  const alike = (p: Pod) =>
    copied.owner !== undefined &&
    copied.digest !== undefined &&
    copied.owner === ownerOf(p) &&
    copied.digest === digestOf(mainOf(p)?.imageID);
  const found = pods.filter((p) => runs(p) && (p.uid === copied.uid || alike(p)));
  return found.sort(
    (a, b) => Number(b.uid === copied.uid) - Number(a.uid === copied.uid) || (a.name < b.name ? -1 : 1),
  );
}

/** What is kept of a pod that is copied. */
export function copiedPod(pod: Pod): CopiedPod {
  const [owner, digest] = [ownerOf(pod), digestOf(mainOf(pod)?.imageID)];
  return { uid: pod.uid, ...(owner ? { owner } : {}), ...(digest ? { digest } : {}) };
}

function mainOf({ object }: Pod) {
  return mainStatusOf(object);
}

function ownerOf({ owner }: Pod): string | undefined {
  return owner && nameOf(owner);
}

/**
 * Settings by which a copy must not be used. Another login on the same database is none: Vault gives each pod its own. But
 * another host is one, although nodes may have poolers of their own: a restored clone answers with the same identity.
 */
export function differing(proof: Proof | undefined): string[] {
  return (proof?.differ ?? []).filter((name) => name !== 'credentials');
}

/** Whether the runner that stands is the copy that sees something else. */
export function isUnlike(pods: readonly Pod[], proof: Proof | undefined): boolean {
  return differing(proof).length > 0 && pods.some((p) => p.uid === proof?.of && isCopy(p) && !p.terminating);
}

/** What differs, in words; nothing but names. */
export function differenceInWords(proof: Proof): string {
  const names = differing(proof).map((name) => (name === 'host' ? 'sql_alchemy_conn (host or port)' : name));
  return `the copy pod/${proof.copy} sees another ${names.join(', ')} than the Airflow that runs in pod/${proof.pod}: its environment is made at start, by its command, its entry point or its image, and not alike in a copy`;
}

/** What the plan says of it; `unlike`: the copy is what there is. */
export function proofOfPlan(
  proof: Proof | undefined,
  unlike: boolean,
): { notes: string[]; blockers: { reason: Reason; message: string }[] } {
  if (!proof) return { notes: [], blockers: [] };
  if (proof.differ === undefined)
    return {
      notes: [
        `it is not proved that the copy sees the settings of the running Airflow, only that its database is the one that is meant: ${proof.why}; where pod/${proof.copy} is deleted, another one is compared`,
      ],
      blockers: [],
    };
  if (unlike) {
    const message = `${differenceInWords(proof)}, and the runner can't live in an old pod here; set the newer image again, with these settings in the env of its pods as they are there, wait until they run, and then ask for the older image again`;
    return { notes: [], blockers: [{ reason: 'SettingsDiffer', message }] };
  }
  if (differing(proof).length > 0) return { notes: [`no copy is used: ${differenceInWords(proof)}`], blockers: [] };
  const login = proof.differ.includes('credentials');
  return {
    notes: login ? [`the copy connects with other credentials than pod/${proof.pod}, to the same database`] : [],
    blockers: [],
  };
}
