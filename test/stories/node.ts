/** Where stories happen: one real node for all of a run (setup.ts), on which each has namespaces of its own. */

import { afterAll, beforeAll, inject } from 'vitest';
import { installAirflow, installDowndraft, must, type Place, placeOf, type Reached } from './place.ts';

/** What stories use of the node, as plain data. */
export interface SharedNode extends Reached {
  id: string;
  /** What a command begins with to run in the node's network. */
  enter: string[];
  /** The URL that restarts the API server, and answers when it is ready. */
  restart: string;
}

export type NodePlace = Place<SharedNode>;

declare module 'vitest' {
  interface ProvidedContext {
    node: SharedNode;
  }
}

/** The most that the beginning of a story takes on a busy machine. */
const BEGINNING = 15 * 60_000;

/**
 * For a whole file: the node with downdraft as the README says, and with these further settings. Afterwards the story's
 * namespaces are gone, before the next begins. What an earlier story changed of the installation is put back here.
 */
export function onNode(namespaces: string[], environment: Record<string, string> = {}): NodePlace {
  const place = placeOf(inject('node'));
  beforeAll(async () => await installDowndraft(place, environment), BEGINNING);
  afterAll(async () => await clear(place, namespaces), BEGINNING);
  return place;
}

/** For a whole file: the node, and release af in a namespace of its own; `settings` are further ones of the chart. */
export function onStage(
  namespace: string,
  version: string,
  environment: Record<string, string> = {},
  settings: (place: NodePlace) => Promise<string[]> = async () => [],
): NodePlace {
  const place = onNode([namespace], environment);
  beforeAll(async () => await installAirflow(place, namespace, 'af', version, await settings(place)), BEGINNING);
  return place;
}

/** Nothing that pods still do is waited for. */
async function clear(place: NodePlace, namespaces: string[]): Promise<void> {
  must(await place.kubectl(['delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait=false']));
  for (const namespace of namespaces)
    must(await place.kubectl(['-n', namespace, 'delete', 'pods', '--all', '--grace-period=1', '--wait=false']));
  const names = namespaces.map((name) => `namespace/${name}`);
  must(await place.kubectl(['wait', '--for=delete', ...names, '--timeout=300s']));
}

/** Restarts the API server, with the same data; answers when it is ready. */
export async function restartApiServer({ cluster }: NodePlace): Promise<void> {
  const response = await fetch(cluster.restart, { method: 'POST' });
  if (!response.ok) throw new Error(await response.text());
}
