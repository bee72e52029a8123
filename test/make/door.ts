/**
 * The door of a world in memory: every write of a workload, whoever's it is, and every new pod goes through the real
 * webhooks and is then stored. They are asked about more than the API server would ask (no matchConditions here): what
 * must not be asked about shows on the real one, in test/admission/matchconditions.test.ts.
 */

import fastJsonPatch from 'fast-json-patch';
import type { Ports } from '../../src/admission/ports.ts';
import { type Answer, readReview } from '../../src/admission/review.ts';
import { drain } from '../../src/admission/webhooks/drain.ts';
import { validate } from '../../src/admission/webhooks/held.ts';
import { mutate } from '../../src/admission/webhooks/workloads.ts';
import { ApiError } from '../../src/cluster/client/errors.ts';
import { activeRun, lastReturned } from '../../src/release/kubernetes/downgrade.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { ownAccount } from './ports.ts';
import { makeReview } from './review.ts';
import type { World } from './world-parts.ts';
import { asStored } from './writes.ts';

/** Creates or updates an object, as `kubectl apply` does; nothing is stored when it is refused. */
export async function apply(world: World, object: WorkloadObject): Promise<Answer> {
  const { kind, metadata } = object;
  const at = world.workloads.findIndex((w) => w.kind === kind && w.metadata.name === metadata.name);
  const before = at < 0 ? undefined : structuredClone(world.workloads[at]!);
  // What a tool does not render stays as it is stored: a three-way merge takes nothing off that it did not put there.
  const { answer, admitted } = await enter(world, structuredClone(object), before, 'jane');
  if (!admitted) return answer;
  if (before) world.workloads[at] = asStored(admitted, before);
  else world.workloads.push(asStored(admitted, undefined));
  return answer;
}

/** A write of the controller, under our own account. Throws what the API server answers when it is denied. */
export async function admitOwn(world: World, object: WorkloadObject, before: WorkloadObject): Promise<WorkloadObject> {
  const { answer, admitted } = await enter(world, object, before, ownAccount);
  if (admitted) return admitted;
  const { code, message } = answer.status!;
  throw new ApiError(code, 'Forbidden', `admission webhook "workloads.downdraft.dev" denied the request: ${message}`);
}

/** Both halves, as they are called for one request; `admitted` is missing when either refused. */
async function enter(world: World, object: WorkloadObject, before: WorkloadObject | undefined, username: string) {
  const review = (of: WorkloadObject) =>
    readReview(
      makeReview({ operation: before ? 'UPDATE' : 'CREATE', object: of, oldObject: before ?? null, username }),
    );
  const answer = await mutate(review(object), portsOf(world));
  if (!answer.allowed) return { answer };
  const patched = patchedBy(object, answer);
  const last = validate(review(patched));
  return last.allowed ? { answer, admitted: patched } : { answer: last };
}

/** A new pod of a release that is being drained, as the gate leaves it. */
export function drained(pod: PodObject): PodObject {
  return patchedBy(pod, drain(reviewOf(pod)));
}

function reviewOf(object: PodObject) {
  return readReview(makeReview({ operation: 'CREATE', object }));
}

function patchedBy<T>(object: T, { patch }: Answer): T {
  return fastJsonPatch.applyPatch(object, patch, false, false).newDocument;
}

function portsOf(world: World): Ports {
  const { reads } = world;
  return {
    storedWorkload: async (kind, namespace, name) =>
      (await reads.workloads(namespace)).find((w) => w.kind === kind && w.metadata.name === name),
    releaseWorkloads: async (namespace, release) =>
      (await reads.workloads(namespace)).filter((w) => readWorkload(w)?.release === release),
    database: (workload, container) => reads.database(workload, container),
    run: async (namespace, release) => activeRun(await reads.downgrades(namespace), release),
    returned: async (namespace, release) => lastReturned(await reads.downgrades(namespace), release),
    learnedImages: async (of) => (await reads.learnedImages(of)).map(({ knowledge }) => knowledge),
    digest: (image, workload) => reads.digest(image, workload),
    ranBefore: async (workload) =>
      Object.values(await reads.ranBefore(workload.metadata.namespace ?? '', [workload])).flat(),
    registry: (image, workload) => reads.registry(image, workload),
    policy: async (namespace) => ({ ...(await reads.policy(namespace)), by: ['platform'] }),
    missingRights: async () => [],
    ownAccount: async () => ownAccount,
    notReady: () => undefined,
    now: () => world.now,
    settings: { repositories: ['apache/airflow'], budgetMs: 3000, callersKnown: false },
  };
}
