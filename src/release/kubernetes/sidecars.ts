/**
 * Sidecars that the way to the database needs (Cloud SQL's proxy and its kin). A copy keeps them as native sidecars: init
 * containers that go on, and end by themselves when the main container ends.
 */
import { mainContainers } from '../airflow/charts.ts';
import type { ContainerSpec, PodSpec } from '../model/kubernetes.ts';

/** Groomers and shippers of logs, exporters, git-sync: nothing on the way to a database. */
const unneeded =
  /log-?(groom|ship|tail|rout|clean|rotat|forward)|git-?sync|dags?-sync|exporter|statsd|fluent|filebeat|promtail|vector|logstash|datadog|newrelic|otel|opentelemetry|telegraf|metrics|grafana|alloy/i;

/** The native sidecars that a copy keeps. */
export function keptNative(initContainers: readonly ContainerSpec[]): ContainerSpec[] {
  return initContainers.filter((one) => one.restartPolicy === 'Always' && !isUnneeded(one));
}

/**
 * The further containers that a runner keeps, as native sidecars: those that may be the way to the database, where that is
 * in the pod itself or can't be told from here.
 */
export function proxiesBeside(spec: PodSpec, main: ContainerSpec): ContainerSpec[] {
  if (isLocal(main) === false) return [];
  const others = spec.containers.filter(
    (one) => one.name !== main.name && !mainContainers.has(one.name) && one.image !== main.image && !runsAirflow(one),
  );
  return others.filter((one) => !isUnneeded(one)).map(asNative);
}

function isUnneeded({ name, image = '' }: ContainerSpec): boolean {
  return unneeded.test(name) || unneeded.test(image.replace(/[:@].*$/, '').replace(/^.*\//, ''));
}

/** A second Airflow has the database open for itself; it is drained, and never started in a copy. */
function runsAirflow({ command, args }: ContainerSpec): boolean {
  return [command, args].some(
    (words) => Array.isArray(words) && words.some((word) => /(^|[\s/;&|])airflow\s|^airflow$/.test(`${word}`)),
  );
}

/** No ports of the node, and its own probe of readiness says when the main container may begin. */
function asNative(container: ContainerSpec): ContainerSpec {
  const { readinessProbe, startupProbe, ports, ...rest } = container;
  const ready =
    startupProbe ??
    (readinessProbe && { ...(readinessProbe as object), periodSeconds: 1, failureThreshold: 60, successThreshold: 1 });
  const within = Array.isArray(ports)
    ? ports.map(({ hostPort: _, ...port }: Record<string, unknown>) => port)
    : undefined;
  return {
    ...rest,
    restartPolicy: 'Always',
    ...(within ? { ports: within } : {}),
    ...(ready ? { startupProbe: ready } : {}),
  };
}

const connections = ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN', 'AIRFLOW__CORE__SQL_ALCHEMY_CONN'];

/** Whether the database is named by an address inside the pod; undefined where a Secret or a program says it. */
function isLocal({ env = [] }: ContainerSpec): boolean | undefined {
  const entry = connections.map((name) => env.findLast((e) => e.name === name)).find((e) => e !== undefined);
  const url = entry?.value;
  if (!url || url.includes('$(') || !url.includes('://')) return undefined;
  const rest = url.slice(url.indexOf('://') + 3);
  const query = /[?&](?:host|unix_socket)=([^&]*)/.exec(rest)?.[1];
  const authority = rest.replace(/\?.*$/s, '');
  const host = query ?? /^(\[[^\]]*\]|[^:/]*)/.exec(authority.slice(authority.lastIndexOf('@') + 1))![1]!;
  return /^$|^\/|^%2f|^localhost$|^\[?::1\]?$|^127\.[\d.]+$/i.test(host);
}
