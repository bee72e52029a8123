/** A thread that reads Helm's release records, one for each message; started by record-reader.ts. */
import { parentPort } from 'node:worker_threads';
import type { Workload } from '../../release/model/workload.ts';
import { decodeHelmRelease, type HookJob, hookJobsOf, recordLimits, workloadsOf } from './release.ts';

/** The object of the review, and the event whose hooks are looked at. */
export interface Question {
  object: Record<string, unknown>;
  namespace: string;
  event: string;
}

/** What Airflow's workloads and hooks are in it. */
export interface RecordRead {
  workloads: Workload[];
  jobs: HookJob[];
}

parentPort?.on('message', (question: Question) => parentPort?.postMessage(readRecord(question)));

function readRecord({ object, namespace, event }: Question): RecordRead | undefined {
  const release = decodeHelmRelease(object, recordLimits);
  if (!release || release.namespace !== namespace) return undefined;
  return {
    workloads: [...workloadsOf(release, recordLimits)].filter((found) => found !== undefined),
    jobs: [...hookJobsOf(release, event, recordLimits)].filter((found) => found !== undefined),
  };
}
