/**
 * A cluster that is there already, named by a context of the person's own kubeconfig.
 *
 * 1. Nothing is installed where it could meet anything that isn't the demo's (whatStandsInTheWay).
 * 2. The context is copied into a kubeconfig of its own, which is all that kubectl, helm and the demo then know: what
 *    a person switches to meanwhile changes nothing. It is deleted when this process exits.
 */

import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../cluster/run/command.ts';
import { must, type Place, placeOf, root } from '../stories/place.ts';
import type { Images } from './arguments.ts';
import { namespaces, ownLabel, release, type Site } from './site.ts';

/** Makes the site. Throws one line when kubectl, helm or the context is missing, or the API server does not answer. */
export async function openTheirs(context: string, images: Images): Promise<Site> {
  for (const [tool, args] of [
    ['kubectl', ['version', '--client']],
    ['helm', ['version', '--short']],
  ] as const) {
    await run(tool, [...args], { env: process.env }).catch((error) => {
      throw new Error(`--context needs ${tool}, which does not run here`, { cause: error });
    });
  }
  const view = ['config', 'view', '--raw', '--flatten', '--minify', '--context', context];
  const { stdout } = await run('kubectl', view, { env: process.env });
  const dir = await mkdtemp(join(tmpdir(), 'downdraft-demo-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const kubeconfig = join(dir, 'kubeconfig');
  await writeFile(kubeconfig, stdout, { mode: 0o600 });
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const place = placeOf({ dir, kubeconfig, env, images: { downdraft: images.downdraft ?? '' } });
  must(await place.kubectl(['version', '--request-timeout=15s']));
  return {
    place,
    kubeconfig,
    ...namesOf(images),
    shell: [],
    flags: ['--context', context],
    stop: `npm run demo -- --context ${context} --stop`,
  };
}

function namesOf({ airflow, postgres }: Images): Pick<Site, 'values' | 'settings'> {
  const values = [
    ...(airflow ? ['--set', `images.airflow.repository=${airflow}`] : []),
    ...(postgres ? ['--set', `postgresql.image=${postgres}`] : []),
  ];
  // Only of these does downdraft believe that a tag is Airflow's version.
  return { values, settings: airflow ? { DOWNDRAFT_AIRFLOW_REPOSITORIES: airflow } : {} };
}

/** What will be put where, before anything is. */
export function intentions(context: string): string {
  return [
    `Into the cluster of the context ${context} will go:`,
    `  downdraft     namespace ${namespaces.downdraft}, CRD downgrades.downdraft.dev, cluster roles, webhook configurations`,
    `  Airflow       namespace ${namespaces.airflow}, release ${release}`,
    'and into no other namespace anything.',
    '',
  ].join('\n');
}

interface Named {
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
}

/** Why nothing may be installed there, in one line each; empty when nothing is in the way. */
export async function whatStandsInTheWay(place: Place): Promise<string[]> {
  const found: string[] = [];
  for (const name of Object.values(namespaces)) {
    const namespace = await place.get<Named>('namespace', name);
    if (namespace && !isOwn(namespace)) found.push(`the namespace ${name} is there and was not made by the demo`);
  }
  const crd = await place.get<Named>('crd', 'downgrades.downdraft.dev');
  const own = await place.get<Named>('namespace', namespaces.downdraft);
  if (crd && !own) found.push('downdraft is installed there already, in another namespace');
  const args = ['get', 'deployments,statefulsets', '--all-namespaces', '-l', 'tier=airflow', '-o', 'json'];
  const { items } = JSON.parse(must(await place.kubectl(args))) as { items: Named[] };
  const others = new Set(items.map(({ metadata }) => metadata.namespace).filter((name) => name !== namespaces.airflow));
  if (others.size > 0) {
    found.push(`Airflow runs in ${[...others].join(', ')}, and downdraft would guard it, too; try another cluster`);
  }
  return found;
}

function isOwn({ metadata }: Named): boolean {
  return metadata.labels?.[ownLabel] === 'true';
}

/** Takes away all that the demo installed, nothing that it did not make. Answers what was taken away. */
export async function removeTheirs({ place }: Site, onProgress: (message: string) => void): Promise<string[]> {
  const removed: string[] = [];
  const own = async (name: string) => {
    const namespace = await place.get<Named>('namespace', name);
    return namespace !== undefined && isOwn(namespace);
  };
  if (await own(namespaces.airflow)) {
    onProgress(`deleting the namespace ${namespaces.airflow}`);
    must(await place.kubectl(['delete', 'namespace', namespaces.airflow, '--timeout=300s']));
    removed.push(`namespace ${namespaces.airflow}`);
  }
  if (await own(namespaces.downdraft)) {
    onProgress('deleting downdraft');
    const manifests = join(root, 'manifests');
    must(await place.kubectl(['delete', '-k', manifests, '--ignore-not-found', '--timeout=300s']));
    removed.push('downdraft (its namespace, CRD, cluster roles and webhook configurations)');
  }
  return removed;
}
