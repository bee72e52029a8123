/** The world of a review: functions that answer from what a test says, and count how often they are asked. */
import type { Ports } from '../../src/admission/ports.ts';
import type { DigestAnswer, RegistryAnswer } from '../../src/release/airflow/images.ts';
import { holdOf } from '../../src/release/kubernetes/hold.ts';
import { digestOf } from '../../src/release/kubernetes/pods.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { DatabaseState } from '../../src/release/model/database.ts';
import type { ImageKnowledge } from '../../src/release/model/image.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import type { Mode } from '../../src/release/model/policy.ts';
import type { ReturnedRun, Run } from '../../src/release/model/run.ts';
import { makeDatabase, makeImage } from './release.ts';

export interface World {
  /** Missing: as the manifests have it. */
  ownAccount?: string | undefined;
  database?: DatabaseState;
  /** Default: probes of 3.2.1 and 3.1.8. */
  learned?: Record<string, ImageKnowledge>;
  /** Which digest a name has in its registry; default: the one that was asked. */
  digest?: Record<string, DigestAnswer>;
  /** Images that Kubernetes' history has for any workload; default: what every hold names. */
  history?: string[];
  run?: Run;
  returned?: ReturnedRun;
  /** What is stored under any name; a function for more than one. Default: what is among `workloads`. */
  stored?: WorkloadObject | ((kind: string, namespace: string, name: string) => WorkloadObject | undefined);
  /** All that is stored, of any release and namespace. */
  workloads?: WorkloadObject[];
  /** By image reference. */
  registry?: Record<string, RegistryAnswer>;
  mode?: Mode;
  missingRights?: string[];
  /** Ports that throw, by name. */
  failing?: (keyof Ports)[];
  /** Ports that never answer, by name. */
  hanging?: (keyof Ports)[];
  budgetMs?: number;
  /** Callers may be told everything. */
  callersKnown?: boolean;
}

/** As the manifests have it. */
export const ownAccount = 'system:serviceaccount:downdraft:downdraft';

/** Ports on that world, as it is when they are asked; `asked` lists the calls. */
export function makePorts(world: World = {}): Ports & { asked: string[] } {
  const asked: string[] = [];
  const say = async <T>(name: keyof Ports, value: T): Promise<T> => {
    asked.push(name);
    if (world.failing?.includes(name)) throw new Error(`${name} is out of order\nsecond line`);
    if (world.hanging?.includes(name)) return new Promise<T>(() => {});
    return value;
  };
  return {
    asked,
    storedWorkload: (kind, namespace, name) => say('storedWorkload', storedIn(world, kind, namespace, name)),
    releaseWorkloads: (namespace, release) => say('releaseWorkloads', releaseIn(world, namespace, release)),
    database: () => say('database', world.database ?? makeDatabase()),
    run: () => say('run', world.run),
    returned: () => say('returned', world.returned),
    learnedImages: () => say('learnedImages', Object.values(world.learned ?? probed)),
    digest: (image) => say('digest', world.digest ? world.digest[image] : digestIn(world.learned ?? probed, image)),
    ranBefore: (workload) => say('ranBefore', world.history ?? [holdOf(workload)?.from ?? '']),
    registry: (image) => say('registry', world.registry?.[image]),
    policy: () => say('policy', { mode: world.mode ?? 'Hold', by: world.mode ? ['platform'] : [] }),
    missingRights: () => say('missingRights', world.missingRights ?? []),
    ownAccount: () => say('ownAccount', world.ownAccount ?? ownAccount),
    notReady: () => undefined,
    now: () => new Date('2026-11-21T12:00:00Z'),
    settings: {
      repositories: ['apache/airflow'],
      budgetMs: world.budgetMs ?? 3000,
      callersKnown: world.callersKnown ?? false,
    },
  };
}

function digestIn(learned: Record<string, ImageKnowledge>, image: string): DigestAnswer {
  const digest = digestOf(Object.hasOwn(learned, image) ? learned[image]?.imageID : undefined);
  return digest ? { digest } : undefined;
}

const probed = { 'apache/airflow:3.2.1': makeImage('3.2.1'), 'apache/airflow:3.1.8': makeImage('3.1.8') };

function storedIn({ stored, workloads = [] }: World, kind: string, namespace: string, name: string) {
  if (typeof stored === 'function') return stored(kind, namespace, name);
  const named = (w: WorkloadObject) => w.metadata.namespace === namespace && w.metadata.name === name;
  return stored ?? workloads.find((w) => w.kind === kind && named(w));
}

/** As the mirror finds them: by namespace and by what their labels say. */
function releaseIn({ workloads = [] }: World, namespace: string, release: string) {
  return workloads.filter((w) => w.metadata.namespace === namespace && readWorkload(w)?.release === release);
}
