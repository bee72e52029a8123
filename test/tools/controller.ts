/** The real controller loop on the place of test/loop. It can be kept from looking at a namespace, so that a hold lasts. */
import { pino } from 'pino';
import { watch } from '../../src/cluster/client/watch.ts';
import { startLoop } from '../../src/controller/loop.ts';
import type { Writes } from '../../src/controller/ports.ts';
import { reconcile } from '../../src/controller/reconcile.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { keepNamespaces, type NamespaceWrites } from '../../src/wiring/namespaces.ts';
import type { Place } from '../loop/place.ts';
import { releaseName } from '../loop/release.ts';

export interface Controller {
  /** What could not be done and was tried again. */
  troubles: string[];
  /** From now on nothing in this namespace is looked at, as while no replica leads. */
  pause(namespace: string): void;
  resume(namespace: string): void;
}

/** Starts it; it ends with the signal. */
export function startController(place: Place, signal: AbortSignal): Controller {
  const paused = new Set<string>();
  const troubles: string[] = [];
  const [reads, writes] = [place.reads(), place.writes()];
  const settings = {
    repositories: place.config.airflowRepositories,
    now: () => new Date(),
    runner: 'Copy' as const,
    commands: { probe: ['probe'], triggers: ['triggers'], runner: ['runner'] },
    token: 1,
    log: () => {},
    told: new Map<string, string>(),
    failed: new Map(),
    unanswered: new Map(),
    examined: new Map(),
    asked: new Map(),
  };
  const loop = startLoop({
    reconcile: async (key) => (paused.has(key.namespace) ? { act: 'rest' } : reconcile(key, reads, writes, settings)),
    pollMs: 100,
    idleMs: 1000,
    workers: 4,
    signal,
    log: ({ err }) => troubles.push(err instanceof Error ? err.message : String(err)),
  });
  const onChange = ({ object }: { object: WorkloadObject }) => {
    const { namespace = '', labels = {} } = object.metadata;
    if (labels.release) loop.enqueue({ namespace, name: labels.release });
  };
  for (const path of ['/apis/apps/v1/deployments', '/apis/apps/v1/statefulsets', '/api/v1/pods'])
    void watch<WorkloadObject>(place.client, path, { onChange, signal, labelSelector: 'tier=airflow' });
  keepNamespaces(place.views.mirror, place.writes() as Writes & NamespaceWrites, signal, pino({ level: 'silent' }));
  return {
    troubles,
    pause: (namespace) => void paused.add(namespace),
    resume: (namespace) => {
      paused.delete(namespace);
      loop.enqueue({ namespace, name: releaseName });
    },
  };
}
