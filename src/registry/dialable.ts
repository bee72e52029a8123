/** Which registry may be asked for whom. */
import type { WorkloadObject } from '../release/model/kubernetes.ts';
import { placeOf } from './reference.ts';
import { Unreadable } from './unreadable.ts';

/** A review's word is not enough to dial a host: one that stored containers are pulled from may be asked. */
export function mayDial(image: string, { spec }: WorkloadObject): boolean {
  const { containers, initContainers = [] } = spec.template.spec;
  const host = hostOf(image);
  return host !== undefined && [...containers, ...initContainers].some((c) => c.image && hostOf(c.image) === host);
}

function hostOf(image: string): string | undefined {
  try {
    return placeOf(image).host;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}
