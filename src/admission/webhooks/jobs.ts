/** /gate: pods of Jobs of a held release, while the database does not fit their image. */
import { databaseContainers, recognize } from '../../release/airflow/charts.ts';
import { annotation } from '../../release/model/kubernetes.ts';
import { gatePatch, podOf } from '../gate.ts';
import { judgeWithin, storedRelease } from '../judging/evaluate.ts';
import type { Ports } from '../ports.ts';
import { type Answer, allowed, patched, type ReviewRequest } from '../review.ts';

/**
 * Gates a Job's pod while its release is held and its image does not fit. Without a held workload there is no run that
 * would ever let the pod go, and a fresh install or an upgrade must not wait for anyone.
 */
export async function gate(request: ReviewRequest, ports: Ports): Promise<Answer> {
  const pod = podOf(request);
  const recognized = pod && recognize(pod.metadata, pod.spec);
  if (!pod || !recognized?.job) return allowed('NotAirflow');
  const { release, container } = recognized;
  const { namespace } = request;
  const name = request.name || pod.metadata.name || pod.metadata.generateName || `${release}-${recognized.component}`;
  const subject = {
    workload: { kind: 'Pod', namespace, name, release },
    image: databaseContainers(pod.spec, container)[0]?.image ?? '',
    declaredVersion: pod.metadata.annotations?.[annotation.version],
    // What could not be looked at may be a release of which nothing is held: nobody would let its pod go.
    lenient: true,
    connection: async (signal: AbortSignal) => {
      const workloads = await storedRelease(ports, { namespace, release }, signal);
      return workloads.find((w) => w.hold)?.object;
    },
  };
  const verdict = await judgeWithin(subject, ports);
  if (verdict.verdict === 'allow') return allowed(verdict.reason);
  const warnings = [`downdraft holds ${verdict.message}`];
  return patched(gatePatch(pod), { verdict: 'hold', reason: verdict.reason }, warnings);
}
