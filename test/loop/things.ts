/** Objects of any kind that a tenant may store. */
import { apps, batch, core, downgradesOf } from '../../src/cluster/client/paths.ts';
import type { PodSpec, WorkloadObject } from '../../src/release/model/kubernetes.ts';

/** One of them. */
export type Thing = { kind: string; metadata: WorkloadObject['metadata']; spec: Record<string, unknown> };

/** The path of all of a kind in a namespace, or of the one of that name. */
export function pathOf(kind: string, namespace: string, ...name: string[]): string {
  const plural = `${kind.toLowerCase()}s`;
  switch (kind) {
    case 'Pod':
      return core(namespace, plural, ...name);
    case 'Downgrade':
      return downgradesOf(namespace, ...name);
    case 'DowngradePolicy':
      return ['/apis/downdraft.dev/v1alpha1/downgradepolicies', ...name].join('/');
    case 'Job':
    case 'CronJob':
      return batch(namespace, plural, ...name);
    default:
      return apps(namespace, plural, ...name);
  }
}

interface Spec {
  template?: { spec: PodSpec };
  jobTemplate?: { spec: Spec };
}

/** The pod that an object makes, whatever its kind. */
export function podSpecOf({ kind, spec }: Thing): PodSpec | undefined {
  if (kind === 'Pod') return spec as unknown as PodSpec;
  const { jobTemplate, template } = spec as Spec;
  return (jobTemplate?.spec ?? { template }).template?.spec;
}
