/**
 * Pods are held by a scheduling gate, which can only be set when they are created: they stay Pending, run nothing and wake
 * no cluster autoscaler, until the controller takes the gate off or deletes them.
 *
 * /gate   pods of Jobs of a held release, while the database does not fit their image
 * /drain  every pod of a release that is being drained; the controller's webhook configuration says which release
 */
import fastJsonPatch from 'fast-json-patch';
import { databaseContainers, gateWarning, recognize } from '../release/airflow/charts.ts';
import type { PodObject } from '../release/model/kubernetes.ts';
import { annotation, gateName, label } from '../release/model/kubernetes.ts';
import { judgeWithin, storedRelease } from './observe.ts';
import type { Ports } from './ports.ts';
import { type Answer, allowed, patched, type ReviewRequest } from './review.ts';

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

/** Image of the pod by whose dry-run CREATE the gate is proved where no workload is left to try. It has no component. */
const trialImage = 'downdraft.dev/none';

/** Gates every pod that uses the database; asks nobody. Runner and probe are let through by their role. */
export function drain(request: ReviewRequest): Answer {
  const pod = podOf(request);
  if (!pod || pod.metadata.labels?.[label.role] !== undefined) return allowed('NotAirflow');
  const trial = pod.spec.containers?.[0]?.image === trialImage;
  const recognized = recognize(pod.metadata, pod.spec);
  if (!trial && !recognized) return allowed('NotAirflow');
  const { labels = {} } = pod.metadata;
  const release = recognized?.release ?? labels[label.release] ?? labels.release ?? '';
  const warnings = [gateWarning(release)];
  return patched(gatePatch(pod), { verdict: 'hold', reason: 'Draining' }, warnings);
}

function podOf({ operation, kind, subResource, object }: ReviewRequest): PodObject | undefined {
  if (operation !== 'CREATE' || kind !== 'Pod' || subResource !== '') return undefined;
  return object.metadata && object.spec ? (object as unknown as PodObject) : undefined;
}

/** Adds the gate and the label by which gated pods are found; empty when both are there. */
function gatePatch(pod: PodObject) {
  const gates = pod.spec.schedulingGates ?? [];
  const schedulingGates = gates.some((g) => g.name === gateName) ? gates : [...gates, { name: gateName }];
  const labels = { ...pod.metadata.labels, [label.gated]: 'true' };
  return fastJsonPatch.compare(pod, {
    ...pod,
    metadata: { ...pod.metadata, labels },
    spec: { ...pod.spec, schedulingGates },
  });
}
