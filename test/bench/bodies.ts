/**
 * The reviews that are sent: updates of a Deployment's image, as the API server sends them, with object and old object.
 * They are filled up to their size with what fills real ones: environment, managed fields, the annotation of kubectl apply.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { makeReview } from '../make/review.ts';
import { desiredImage, releaseCount, storedWorkload } from './world.ts';

export const sizes = { '8 KB': 8 * 1024, '1 MB': 1024 * 1024 } as const;
export type Size = keyof typeof sizes;

/** Different bodies of each size; every one is about another release. */
const bodyCount: Record<Size, number> = { '8 KB': 500, '1 MB': 16 };

/** Writes the bodies of one size into a new folder below `folder`, and answers it. */
export async function writeBodies(folder: string, size: Size, verdict: keyof typeof desiredImage): Promise<string> {
  const dir = join(folder, `${verdict}-${size.replace(' ', '')}`);
  await mkdir(dir);
  const count = bodyCount[size];
  // Told once: every release's name has the same length, so the same filling makes the same size.
  const filling = fillingOf(sizes[size], verdict);
  for (let i = 0; i < count; i++) {
    const body = JSON.stringify(reviewOf(Math.floor((i * releaseCount) / count), verdict, filling));
    await writeFile(join(dir, `${String(i).padStart(4, '0')}.json`), body);
  }
  return dir;
}

interface Filling {
  variables: number;
  /** Characters of a note that makes up the rest. */
  rest: number;
}

function fillingOf(bytes: number, verdict: keyof typeof desiredImage): Filling {
  const sizeWith = (filling: Filling) => JSON.stringify(reviewOf(0, verdict, filling)).length;
  let [fits, tooMany] = [0, Math.ceil(bytes / 100)];
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (sizeWith({ variables: middle, rest: 0 }) <= bytes) fits = middle;
    else tooMany = middle;
  }
  // The note stands in both objects.
  return { variables: fits, rest: Math.max(0, Math.floor((bytes - sizeWith({ variables: fits, rest: 0 })) / 2)) };
}

/** The review of release number `at`. */
function reviewOf(at: number, verdict: keyof typeof desiredImage, filling: Filling) {
  const oldObject = dress(storedWorkload(at, 'scheduler'), filling);
  const object = dress(storedWorkload(at, 'scheduler'), filling, desiredImage[verdict]);
  const uid = `705ab4f5-6393-41e8-b7cc-${String(at).padStart(12, '0')}`;
  return makeReview({ object, oldObject, uid, username: 'system:serviceaccount:argocd:argocd-application-controller' });
}

function dress(workload: WorkloadObject, { variables, rest }: Filling, image?: string): WorkloadObject {
  const { containers, initContainers = [] } = workload.spec.template.spec;
  if (image) for (const container of [...initContainers, ...containers]) container.image = image;
  const environment = Array.from({ length: variables }, (_, i) => ({
    name: `AIRFLOW__SECTION_${String(i).padStart(4, '0')}__OPTION`,
    value: `a value of ordinary length, number ${String(i).padStart(4, '0')}`,
  }));
  containers[0]!.env = [...(containers[0]!.env ?? []), ...environment];
  const annotations: Record<string, string> = { note: '.'.repeat(rest) };
  // Charts are installed without it; what is large enough to matter comes from a Git repository, by kubectl or a tool.
  if (variables > 100) annotations['kubectl.kubernetes.io/last-applied-configuration'] = JSON.stringify(workload.spec);
  Object.assign(workload.metadata, {
    annotations,
    creationTimestamp: '2026-11-01T08:00:00Z',
    managedFields: [
      {
        manager: 'helm',
        operation: 'Update',
        apiVersion: 'apps/v1',
        time: '2026-11-01T08:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:spec': fieldsOf(workload.spec) },
      },
    ],
  });
  return workload;
}

/** As the API server writes down who set which field. */
function fieldsOf(value: unknown): Record<string, unknown> {
  if (Array.isArray(value)) return { '.': {}, ...Object.fromEntries(value.flatMap(itemOf)) };
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [`f:${key}`, fieldsOf(field)]));
}

function itemOf(item: unknown): [string, unknown][] {
  if (typeof item !== 'object' || item === null || !('name' in item)) return [];
  return [[`k:${JSON.stringify({ name: item.name })}`, { '.': {}, ...fieldsOf(item) }]];
}
