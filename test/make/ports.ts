/** The world of a review: functions that answer from what a test says, and count how often they are asked. */
import type { Ports } from '../../src/admission/ports.ts';
import type { WorkloadObject } from '../../src/release/objects.ts';
import type { DatabaseState, ImageKnowledge, Run } from '../../src/release/release.ts';
import { makeDatabase, makeImage } from './release.ts';

export interface World {
  database?: DatabaseState;
  /** Default: probes of 3.2.1 and 3.1.8. */
  learned?: Record<string, ImageKnowledge>;
  run?: Run;
  /** What is stored under any name; a function for more than one. */
  stored?: WorkloadObject | ((kind: string, namespace: string, name: string) => WorkloadObject | undefined);
  workloads?: WorkloadObject[];
  /** Ports that throw, by name. */
  failing?: (keyof Ports)[];
  /** Ports that never answer, by name. */
  hanging?: (keyof Ports)[];
  budgetMs?: number;
}

/** Ports on that world; `asked` lists the calls. */
export function makePorts(world: World = {}): Ports & { asked: string[] } {
  const asked: string[] = [];
  const say = async <T>(name: keyof Ports, value: T): Promise<T> => {
    asked.push(name);
    if (world.failing?.includes(name)) throw new Error(`${name} is out of order\nsecond line`);
    if (world.hanging?.includes(name)) return new Promise<T>(() => {});
    return value;
  };
  const stored = typeof world.stored === 'function' ? world.stored : () => world.stored as WorkloadObject | undefined;
  const learned = world.learned ?? {
    'apache/airflow:3.2.1': makeImage('3.2.1'),
    'apache/airflow:3.1.8': makeImage('3.1.8'),
  };
  return {
    asked,
    storedWorkload: (kind, namespace, name) => say('storedWorkload', stored(kind, namespace, name)),
    releaseWorkloads: () => say('releaseWorkloads', world.workloads ?? []),
    database: () => say('database', world.database ?? makeDatabase()),
    run: () => say('run', world.run),
    learnedImages: () => say('learnedImages', learned),
    notReady: () => undefined,
    now: () => new Date('2026-11-21T12:00:00Z'),
    settings: { repositories: ['apache/airflow'], budgetMs: world.budgetMs ?? 3000 },
  };
}
