/** What the leader keeps true of namespaces: the label on those with Airflow in them, and what each DowngradePolicy shows. */
import type { Logger } from 'pino';
import { type Mirror, upToDate } from '../cluster/mirror/mirror.ts';
import { type PolicyWrites, reportPolicies } from '../controller/report/policies.ts';
import { label } from '../release/model/kubernetes.ts';

export interface NamespaceWrites extends PolicyWrites {
  labelNamespace(namespace: string): Promise<void>;
}

/** Changes come in bursts; one look serves them all. */
const settleMs = 500;

const againMs = 10_000;

/** Keeps both until the signal, at each change of a workload, namespace or policy. Nothing is written by what may be old. */
export function keepNamespaces(mirror: Mirror, writes: NamespaceWrites, signal: AbortSignal, logger: Logger): void {
  let timer: NodeJS.Timeout | undefined;
  const soon = (ms: number) => {
    if (timer || signal.aborted) return;
    timer = setTimeout(() => void look(), ms);
  };
  const look = async () => {
    timer = undefined;
    try {
      await labelAll(upToDate(mirror), writes);
      await reportPolicies(
        { policies: async () => upToDate(mirror).policies(), namespaces: async () => mirror.namespaces() },
        writes,
        (fields, message) => logger.info(fields, message),
      );
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ err: error }, 'could not write what namespaces or policies show, trying again');
      soon(againMs);
    }
  };
  const seen = new Set(mirror.releases().map((r) => r.namespace));
  mirror.onChange((what, object, type) => {
    // Workloads change all the time; only one in a namespace without any before matters here.
    const { namespace = '' } = object.metadata;
    if (what === 'workload' && seen.has(namespace)) return;
    if (what === 'workload') seen.add(namespace);
    if (what === 'namespace' && type === 'DELETED') seen.delete(object.metadata.name);
    soon(settleMs);
  }, signal);
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  soon(0);
}

async function labelAll(mirror: Mirror, writes: NamespaceWrites): Promise<void> {
  const wanted = new Set(mirror.releases().map((r) => r.namespace));
  for (const namespace of wanted) {
    const labels = mirror.labelsOf(namespace);
    if (labels && labels[label.airflow] === undefined) await writes.labelNamespace(namespace);
  }
}
