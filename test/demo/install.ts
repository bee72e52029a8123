/** downdraft and Airflow 3.2.1, put where the demo begins from. */

import type { Progress } from '../cluster/run/cache.ts';
import { installAirflow, installDowndraft, must, type Place } from '../stories/place.ts';
import { namespaces, ownLabel, release, type Site, versions } from './site.ts';
import { type Show, watchUntil } from './watching.ts';

/** As the README says, or over what an earlier demo installed. */
export async function setUpDowndraft({ place, settings }: Site, onProgress: Progress): Promise<void> {
  await ensureNamespace(place, namespaces.downdraft);
  onProgress('kubectl apply -k manifests, and waiting until it is ready');
  await installDowndraft(place, settings);
}

/**
 * A new release on 3.2.1, shown while it starts. What an earlier demo left is deleted with its namespace, in whatever
 * state: an upgrade that was broken off can't be upgraded by helm, and its database may be half way.
 */
export async function setUpAirflow(site: Site, show: Show, signal: AbortSignal): Promise<void> {
  const { place, values } = site;
  await clearNamespace(place, show);
  await ensureNamespace(place, namespaces.airflow);
  const done = new AbortController();
  const watching = watchUntil(site, 'Airflow', {
    timeoutMs: 900_000,
    helm: [],
    show,
    signal: AbortSignal.any([signal, done.signal]),
    isOver: () => false,
  }).catch((error: unknown) => {
    // The view is only there to be looked at: installAirflow tells what went wrong.
    if (!done.signal.aborted) show(String(error));
  });
  try {
    await installAirflow(place, namespaces.airflow, release, versions.newer, values);
  } finally {
    done.abort();
    await watching;
  }
}

async function clearNamespace(place: Place, show: Show): Promise<void> {
  const namespace = namespaces.airflow;
  if (!(await place.get('namespace', namespace))) return;
  show('deleting the release of the demo before');
  must(await place.kubectl(['delete', 'namespace', namespace, '--wait=false']));
  // Pods may take a minute to end in order; nothing of theirs is needed.
  const soon = ['--all', '--grace-period=2', '--wait=false', '--ignore-not-found'];
  must(await place.kubectl(['-n', namespace, 'delete', 'pods', ...soon]));
  must(await place.kubectl(['wait', '--for=delete', `namespace/${namespace}`, '--timeout=240s']));
}

async function ensureNamespace(place: Place, name: string): Promise<void> {
  if (await place.get('namespace', name)) return;
  const metadata = { name, labels: { [ownLabel]: 'true' } };
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata });
  // create, not apply: the label must outlive the apply of downdraft's own manifest.
  must(await place.kubectl(['create', '-f', '-'], { input }));
}
