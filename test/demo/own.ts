/**
 * The demo's own cluster: a node that outlives the demo, so that the next one is quick.
 *
 * 1. A kept one that still answers is taken again: its registry gets the images anew (this project's may have changed).
 * 2. One that does not (a reboot, a demo that was killed) is cleared, and a new one started.
 */

import { join } from 'node:path';
import { ensureBinaries } from '../cluster/build/binaries.ts';
import { ensureImages, type ImageName } from '../cluster/build/images.ts';
import { startNode } from '../cluster/node/node.ts';
import type { Progress } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';
import { startedIn } from '../cluster/run/folder.ts';
import { clearCluster, type KnownCluster, listClusters } from '../cluster/run/leftovers.ts';
import { isAlive } from '../cluster/run/proc.ts';
import { placeOf, type Reached } from '../stories/place.ts';
import { purpose, type Site } from './site.ts';

/** What pods of the demo run. */
export const images: ImageName[] = ['pause', 'postgres', 'airflow-3.2.1', 'airflow-3.1.8', 'downdraft'];

const REGISTRY_PORT = 5000;

/** The demo's clusters: one, unless something went wrong. */
export async function ownClusters(): Promise<KnownCluster[]> {
  return (await listClusters()).filter(({ owner }) => owner.purpose === purpose);
}

/** The kept cluster when it still works, else a new one. Throws what did not start. */
export async function openOwn(onProgress: Progress): Promise<{ site: Site; again: boolean }> {
  const bin = await ensureBinaries(onProgress);
  for (const known of await ownClusters()) {
    const wrong = await whatIsWrong(known, bin);
    if (wrong === undefined) return { site: siteOf(await takeAgain(known, bin, onProgress), bin), again: true };
    onProgress(`clearing the cluster of an earlier demo: ${wrong}`);
    await clearCluster(known.id, known.dir);
  }
  const cluster = await startNode({ purpose, keep: true, images, onProgress });
  return { site: siteOf(cluster, bin), again: false };
}

function siteOf(cluster: Reached, bin: string): Site {
  const shell = [`export KUBECONFIG=${cluster.kubeconfig}`, `export PATH=${bin}:$PATH`];
  const { kubeconfig } = cluster;
  return {
    place: placeOf(cluster),
    kubeconfig,
    values: [],
    settings: {},
    shell,
    flags: [],
    stop: 'npm run demo -- --stop',
  };
}

/** Why a kept cluster can't be used, in a few words; undefined when it can. */
async function whatIsWrong({ dir }: KnownCluster, bin: string): Promise<string | undefined> {
  const newest = new Map((await startedIn(dir)).map((started) => [started.name, started]));
  // The last two that a start begins: without them it never got to its end.
  for (const name of ['kubelet', 'kube-proxy']) if (!newest.has(name)) return `${name} was never started`;
  for (const started of newest.values()) if (!(await isAlive(started))) return `${started.name} has ended`;
  const node = ['get', 'node', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'];
  try {
    const { stdout } = await run('kubectl', [...node, '--request-timeout=15s'], {
      env: environment(dir, bin),
      timeoutMs: 30_000,
    });
    return stdout.trim() === 'True' ? undefined : 'its node is not Ready';
  } catch {
    return 'its API server does not answer';
  }
}

async function takeAgain({ dir }: KnownCluster, bin: string, onProgress: Progress): Promise<Reached> {
  const kubeconfig = join(dir, 'kubeconfig');
  const { stdout } = await run(
    'kubectl',
    ['config', 'view', '-o', 'jsonpath={.clusters[?(@.name=="downdraft")].cluster.server}'],
    {
      env: environment(dir, bin),
    },
  );
  // Registry and API server are in the same network.
  const registry = `${new URL(stdout.trim()).hostname}:${REGISTRY_PORT}`;
  const references = await ensureImages(registry, onProgress, images);
  return { dir, kubeconfig, env: environment(dir, bin), images: references };
}

/** As startControlPlane makes it. */
function environment(dir: string, bin: string): NodeJS.ProcessEnv {
  const home = join(dir, 'home');
  return {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    KUBECONFIG: join(dir, 'kubeconfig'),
    KUBECACHEDIR: join(home, 'kube'),
    HELM_CACHE_HOME: join(home, 'helm/cache'),
    HELM_CONFIG_HOME: join(home, 'helm/config'),
    HELM_DATA_HOME: join(home, 'helm/data'),
  };
}
