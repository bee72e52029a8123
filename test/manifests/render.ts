/** What kustomize makes of manifests/, as objects. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { ensureBinaries } from '../cluster/build/binaries.ts';

// biome-ignore lint/suspicious/noExplicitAny: manifests are read by path, and a wrong path fails the test that took it
export type Manifest = any;

/** Renders manifests/ with the test cluster's kubectl. */
export async function renderManifests(): Promise<Manifest[]> {
  const kubectl = join(await ensureBinaries(), 'kubectl');
  const { stdout } = await promisify(execFile)(kubectl, ['kustomize', 'manifests'], { timeout: 30_000 });
  return parseAllDocuments(stdout).map((document) => document.toJS());
}

/** The one object of this kind and name; throws when there is none. */
export function pick(manifests: Manifest[], kind: string, name = 'downdraft'): Manifest {
  const found = manifests.find((m) => m.kind === kind && m.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name} in manifests/`);
  return found;
}
