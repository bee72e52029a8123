/** What the webhook looks at, joined from the mirror of the cluster, the database and the registries. */
import type { Ports } from '../admission/ports.ts';
import type { Client } from '../cluster/client/client.ts';
import { withoutItsText } from '../cluster/client/errors.ts';
import { type Mirror, upToDate } from '../cluster/mirror/mirror.ts';
import { getWorkload } from '../cluster/reads.ts';
import { rightsOf, whoAmI } from '../cluster/rights.ts';
import { imagesBefore } from '../cluster/rollout-history.ts';
import type { Config } from '../config.ts';
import { activeRun, lastReturned } from '../release/kubernetes/downgrade.ts';
import type { DatabaseState } from '../release/model/database.ts';
import type { WorkloadObject } from '../release/model/kubernetes.ts';
import { modeFor } from '../release/policy/policy.ts';
import { databaseOf } from './database.ts';
import type { Registries } from './images.ts';
import { readOnce } from './read-once.ts';
import { atMost, sharing } from './sharing.ts';

export interface Views {
  client: Client;
  mirror: Mirror;
  registry: Registries;
}

/** Of workloads that are not mirrored: anyone can make up names, and a deploy has few that were made this moment. */
const lookupsPerSecond = 50;

/** The webhook's ports. `notReady` says why this replica can't judge yet. */
export function admissionPorts(
  { client, mirror, registry }: Views,
  config: Config,
  notReady: () => string | undefined,
): Ports {
  // Shorter than the budget, so that what the database did is what is said.
  const databaseMs = config.budgetMs * 0.8;
  const missingRights = rightsOf(client);
  const oneReading = sharing<DatabaseState>();
  const mayLook = atMost(lookupsPerSecond);
  const lookUp = async (kind: 'Deployment' | 'StatefulSet', namespace: string, name: string) => {
    if (!mayLook()) throw new Error('too many that are not there were asked for');
    return await discreet(getWorkload(client, kind, namespace, name));
  };
  const fresh = () => upToDate(mirror);
  return {
    // One that is not mirrored was made this moment, or lost the labels by which it is watched.
    storedWorkload: (kind, namespace, name) => fresh().workload(kind, namespace, name) ?? lookUp(kind, namespace, name),
    releaseWorkloads: (namespace, release) => fresh().workloadsOf(namespace, release),
    database: (workload, container) =>
      oneReading(readingOf(workload, container), () => discreet(databaseOf(client, workload, container, databaseMs))),
    run: (namespace, release) => activeRun(fresh().downgradesIn(namespace), release),
    returned: (namespace, release) => lastReturned(fresh().downgradesIn(namespace), release),
    learnedImages: (of) => fresh().learned(of),
    digest: registry.digest,
    ranBefore: async (workload) => await imagesBefore(client, workload),
    registry: registry.version,
    policy: (namespace) => modeFor(fresh().policies(), mirror.labelsOf(namespace), readOnce),
    missingRights: (namespace) => discreet(missingRights(namespace)),
    ownAccount: accountOf(client),
    notReady: () => mirror.missing() ?? notReady(),
    now: () => new Date(),
    settings: {
      repositories: config.airflowRepositories,
      budgetMs: config.budgetMs,
      callersKnown: config.clientCa !== undefined,
    },
  };
}

/** All that the reading of a database depends on. */
function readingOf({ metadata: { namespace, name }, spec }: WorkloadObject, container: string): string {
  const main = spec.template.spec.containers.find((c) => c.name === container);
  return JSON.stringify([namespace, name, container, main?.env, main?.envFrom]);
}

/** A review's answer goes to anybody: an error of the API server's is told without its text. */
async function discreet<T>(looking: Promise<T>): Promise<T> {
  return await looking.catch((error: unknown) => {
    throw withoutItsText(error);
  });
}

/** Asked once: a name does not change while the process runs. What failed is asked again. */
function accountOf(client: Client): () => Promise<string> {
  let known: Promise<string> | undefined;
  return () => {
    known ??= whoAmI(client);
    known.catch(() => {
      known = undefined;
    });
    return known;
  };
}
