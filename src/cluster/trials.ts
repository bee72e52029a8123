/** Dry-run CREATEs of pods: nothing is stored. What comes back says whether they would be taken, and whether a gate catches them. */
import { gateWarning } from '../release/airflow/charts.ts';
import { isForRoom } from '../release/downgrade/trials.ts';
import { gateName, nameOf, type PodObject } from '../release/model/kubernetes.ts';
import { shorten } from '../release/model/reasons.ts';
import type { Trial } from '../release/model/release.ts';
import type { Workload } from '../release/model/workload.ts';
import type { Client } from './client/client.ts';
import { ApiError } from './client/errors.ts';
import { byUs, core } from './client/paths.ts';
import { bareTrialPod, trialPod } from './drain-webhook.ts';

/** A pod of each workload, or a bare one of the release where there is none. Never throws: a refusal is an answer. */
export async function tryPods(
  client: Client,
  namespace: string,
  release: string,
  workloads: readonly Workload[],
): Promise<Trial[]> {
  const bare = { workload: `release ${release}`, profile: 'official' as const, pod: bareTrialPod(namespace, release) };
  const tried = workloads.map((w) => ({ workload: nameOf(w), profile: w.profile, pod: trialPod(w.object) }));
  return await Promise.all(
    (tried.length > 0 ? tried : [bare]).map(async ({ workload, profile, pod }) => ({
      workload,
      profile,
      ...(await tryPod(client, namespace, release, pod)),
    })),
  );
}

/** A rule's message may be of any length. */
const longestWords = 500;

async function tryPod(
  client: Client,
  namespace: string,
  release: string,
  body: PodObject,
): Promise<Omit<Trial, 'workload' | 'profile'>> {
  const query = { ...byUs, dryRun: 'All' };
  try {
    const pod = await client.request<PodObject>('POST', core(namespace, 'pods'), { body, query });
    return { gated: pod.spec.schedulingGates?.some((gate) => gate.name === gateName) ?? false };
  } catch (error) {
    const { message } = error as Error;
    const refused = shorten(message.replace(/\s+/g, ' '), longestWords);
    if (!(error instanceof ApiError)) return { gated: false, refused };
    // Webhooks that change pods are asked before anything refuses, so the warning of ours says that it was.
    const gated = error.warnings.includes(gateWarning(release));
    return { gated, refused, ...(isForRoom(error) ? { noRoom: true } : {}) };
  }
}
