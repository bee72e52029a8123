/**
 * A real cluster of one node: a control plane with containerd, kubelet, kube-proxy, DNS and a registry. Needs root.
 *
 * 1. All of it runs in a network of its own (netns.ts); the host reaches the API server and the registry in it.
 * 2. Images come from the cluster's registry alone; those asked for are made first, where missing (images.ts).
 * 3. stop() takes away everything, containers first; what a crash leaves, the next start takes away (leftovers.ts).
 */

import { ensureImages, type ImageName } from '../build/images.ts';
import { ensurePackages, nodeAbsence } from '../build/packages.ts';
import { startRegistry } from '../build/registry.ts';
import { type ControlPlane, type Place, startControlPlane } from '../plane/controlplane.ts';
import type { Progress } from '../run/cache.ts';
import type { Daemon } from '../run/folder.ts';
import { deleteContainers, startContainerd } from './containerd.ts';
import { startDns } from './dns.ts';
import { startKubelet } from './kubelet.ts';
import { clearNodeLeftovers } from './leftovers.ts';
import { makeNetwork, type Network } from './netns.ts';

/** As for a control plane; `images`: what pods will ask for. */
export interface NodeOptions {
  onProgress?: Progress;
  purpose?: string;
  keep?: boolean;
  images?: ImageName[];
}

/** A running cluster of one node. */
export interface NodeCluster extends ControlPlane {
  /** The registry as the host names it (host:port), and as images in pods do. */
  registry: string;
  registryInside: string;
  /** The address under which the host reaches what listens in the node's network. */
  address: string;
  /** What a command begins with to run in the node's network. */
  enter: string[];
  /** Each image's name as pods write it, e.g. `postgres:15`. */
  images: Record<string, string>;
}

const REGISTRY_PORT = 5000;

/**
 * Starts a cluster; resolves when its node is Ready and its DNS answers.
 * Throws with nodeAbsence()'s sentence where no node can run, else with the log of what failed; nothing is left then.
 */
export async function startNode(options: NodeOptions = {}): Promise<NodeCluster> {
  const { onProgress = () => {}, purpose = 'node', keep = false } = options;
  const absence = nodeAbsence();
  if (absence) throw new Error(absence);
  await ensurePackages(onProgress);
  const wanted: ImageName[] = ['pause', ...(options.images ?? [])];
  await ensureImages(undefined, onProgress, wanted);
  let network: Network | undefined;
  const place: Place = {
    prepare: async (id) => {
      network = await makeNetwork(id);
      return network;
    },
    undo: clearNodeLeftovers,
  };
  const plane = await startControlPlane({ onProgress, purpose, keep, place });
  return await joinNode(plane, network!, wanted, onProgress);
}

async function joinNode(
  plane: ControlPlane,
  network: Network,
  wanted: ImageName[],
  onProgress: Progress,
): Promise<NodeCluster> {
  const { id, dir, bin } = plane;
  const { enter, address } = network;
  // containerd is the first: it ends last.
  const daemons: Daemon[] = [];
  let socket: string | undefined;
  const stop = async () => {
    // The kubelet first: it would start the containers anew.
    for (const daemon of daemons.splice(1).reverse()) await daemon.end();
    try {
      if (socket) await deleteContainers(socket);
    } finally {
      socket = undefined;
      for (const daemon of daemons.splice(0)) await daemon.end();
      await plane.stop();
    }
  };
  try {
    onProgress('starting the node');
    const containerd = await startContainerd(id, dir, enter);
    daemons.push(containerd.daemon);
    socket = containerd.socket;
    const registry = `${address}:${REGISTRY_PORT}`;
    daemons.push(await startRegistry(dir, bin, { listen: `0.0.0.0:${REGISTRY_PORT}`, probe: registry, enter }));
    const images = await ensureImages(registry, onProgress, wanted);
    daemons.push(await startDns(plane, network));
    daemons.push(...(await startKubelet(plane, enter, socket)));
    const registryInside = `127.0.0.1:${REGISTRY_PORT}`;
    return { ...plane, registry, registryInside, address, enter, images, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
