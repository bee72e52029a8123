/**
 * Settings of the example chart that spare the machine. Each command of Airflow's is a whole Python start, some seconds of
 * a core: the core stories run the chart as it is, the others without what they have no use for.
 */
import { example } from './place.ts';

/** No user; no liveness probe within a story's time; the first startup probe when there can be something to see. */
export const leanValues: Record<string, string> = {
  'createUserJob.enabled': 'false',
  'probes.liveness.initialDelaySeconds': '3600',
  'probes.startup.initialDelaySeconds': '10',
};

/** Values as helm takes them. */
export const setting = (values: Record<string, string>): string[] =>
  Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);

/** All settings for this version. */
export const lean = (version: string, more: Record<string, string> = {}): string[] =>
  example(version, ...setting({ ...leanValues, ...more }));
