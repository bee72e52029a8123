/** What the webhook looks at, joined from cluster and database. */
import type { Ports } from '../admission/ports.ts';
import type { Client } from '../cluster/client.ts';
import { clusterReads, getWorkload } from '../cluster/reads.ts';
import type { Config } from '../config.ts';
import { activeRun, type DowngradeObject } from '../release/record.ts';
import { readWorkload } from '../release/workload.ts';
import { databaseOf } from './database.ts';

/** The webhook's ports. `notReady` says why this replica can't judge yet. */
export function admissionPorts(client: Client, config: Config, notReady: () => string | undefined): Ports {
  const reads = clusterReads({ client, namespace: config.namespace });
  // Shorter than the budget, so that what the database did is what is said.
  const databaseMs = config.budgetMs * 0.8;
  return {
    storedWorkload: (kind, namespace, name) => getWorkload(client, kind, namespace, name),
    releaseWorkloads: async (namespace, release) =>
      (await reads.workloads(namespace)).filter((w) => readWorkload(w)?.release === release),
    database: (workload, container) => databaseOf(client, workload, container, databaseMs),
    run: async (namespace, release) =>
      activeRun((await reads.downgrades(namespace)) as unknown as DowngradeObject[], release),
    learnedImages: () => reads.learnedImages(),
    notReady,
    now: () => new Date(),
    settings: { repositories: config.airflowRepositories, budgetMs: config.budgetMs },
  };
}
