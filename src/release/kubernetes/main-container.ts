/** The one container of a pod that counts: it is found by its name, and how it fares by its own state, not by the pod's. */
import { mainContainers, recognize } from '../airflow/charts.ts';
import { annotation, type ContainerStatus, type PodObject } from '../model/kubernetes.ts';

/**
 * The name of the main container: as the pod says itself, as its labels tell, else one that a chart names so (a pod that
 * was taken out of its Service has lost a label), else the first that no injector is known to add. Sidecars may stand first.
 */
export function mainContainerOf({ metadata, spec }: PodObject): string {
  const names = spec.containers.map(({ name }) => name);
  const said = metadata.annotations?.[annotation.container];
  if (said !== undefined && names.includes(said)) return said;
  const recognized = recognize(metadata, spec)?.container;
  const known = recognized ?? names.find((name) => mainContainers.has(name));
  return known ?? names.find((name) => !addedByInjectors.test(name)) ?? names[0] ?? '';
}

/** Containers that the usual injectors add to a pod at its CREATE. */
export const addedByInjectors =
  /^(istio-(proxy|init|validation)|linkerd-(proxy|init|network-validator|debug)|vault-agent(-init)?|consul-(dataplane|connect-[\w-]+)|kuma-(sidecar|init|validation)|daprd|datadog-(init-[\w-]+|lib-[\w-]+-init))$/;

/** What kubelet says of the main container; undefined before it says anything. */
export function mainStatusOf(pod: PodObject): ContainerStatus | undefined {
  const main = mainContainerOf(pod);
  return pod.status?.containerStatuses?.find(({ name }) => name === main);
}
