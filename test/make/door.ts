/** The door of a world in memory: a person's or a tool's write goes through the real webhook and is then stored. */
import fastJsonPatch from 'fast-json-patch';
import { mutate } from '../../src/admission/mutate.ts';
import type { Ports } from '../../src/admission/ports.ts';
import { type Answer, readReview } from '../../src/admission/review.ts';
import type { WorkloadObject } from '../../src/release/objects.ts';
import { activeRun, lastTurned } from '../../src/release/record.ts';
import { readWorkload } from '../../src/release/workload.ts';
import { makeReview } from './review.ts';
import type { World } from './world.ts';
import { asStored } from './writes.ts';

/** Creates or updates an object, as `kubectl apply` does; nothing is stored when it is refused. */
export async function apply(world: World, object: WorkloadObject): Promise<Answer> {
  const { kind, metadata } = object;
  const at = world.workloads.findIndex((w) => w.kind === kind && w.metadata.name === metadata.name);
  const oldObject = at < 0 ? null : structuredClone(world.workloads[at]!);
  // What a tool does not render stays as it is stored: a three-way merge takes nothing off that it did not put there.
  const desired = structuredClone(object);
  const operation = oldObject ? 'UPDATE' : 'CREATE';
  const answer = await mutate(readReview(makeReview({ operation, object: desired, oldObject })), portsOf(world));
  if (!answer.allowed) return answer;
  const patched = fastJsonPatch.applyPatch(desired, answer.patch, false, false).newDocument as WorkloadObject;
  if (oldObject) world.workloads[at] = asStored(patched, oldObject);
  else world.workloads.push(asStored(patched, undefined));
  return answer;
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
    turned: async (namespace, release) => lastTurned(await reads.downgrades(namespace), release),
    learnedImages: () => reads.learnedImages(),
    registry: (image, workload) => reads.registry(image, workload),
    policy: async (namespace) => ({ ...(await reads.policy(namespace)), by: ['platform'] }),
    missingRights: async () => [],
    notReady: () => undefined,
    now: () => world.now,
    settings: { repositories: ['apache/airflow'], budgetMs: 3000 },
  };
}
