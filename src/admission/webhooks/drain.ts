/**
 * /drain: every pod of a release that uses the database, while that release is being drained; the controller's webhook
 * configuration says which release.
 */
import { gateWarning, recognize } from '../../release/airflow/charts.ts';
import { label } from '../../release/model/kubernetes.ts';
import { gatePatch, podOf } from '../gate.ts';
import { type Answer, allowed, patched, type ReviewRequest } from '../review.ts';

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
