/** Which workloads and pods are Airflow's, of which release, by each chart's own labels and container names. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { databaseContainers, recognize, selectorOf, waveOf } from '../../src/release/airflow/charts.ts';
import type { Metadata, PodSpec } from '../../src/release/model/kubernetes.ts';
import { annotation, label } from '../../src/release/model/kubernetes.ts';
import { apcAirflow, community, earlier, foreign, type Rendered } from './charts/rendered.ts';

interface Shape {
  kind: string;
  name: string;
  labels?: Record<string, string>;
  podLabels?: Record<string, string>;
  initContainers?: { name: string }[];
  containers?: { name: string }[];
}

/** What chart 1.22.0 really renders, by executor. */
const official = JSON.parse(readFileSync(new URL('../manifests/official-chart-shape.json', import.meta.url), 'utf8'))
  .executors as Record<string, Shape[]>;

/** Component → main container, wave, and whether it is a Job's pod; those that are not here do not use the database. */
const expected: Record<string, [container: string, wave: number, job: boolean]> = {
  scheduler: ['scheduler', 0, false],
  worker: ['worker', 1, false],
  triggerer: ['triggerer', 1, false],
  'dag-processor': ['dag-processor', 1, false],
  'api-server': ['api-server', 2, false],
  webserver: ['webserver', 2, false],
  'airflow-cleanup-pods': ['airflow-cleanup-pods', 0, true],
  'database-cleanup': ['database-cleanup', 0, true],
  'run-airflow-migrations': ['run-airflow-migrations', 1, true],
  'create-user-job': ['create-user', 1, true],
};

const job = { ownerReferences: [{ kind: 'Job', name: 'j', uid: 'u', controller: true }] };

/** The pod that such an object makes. */
function podOf({
  kind,
  podLabels,
  labels = {},
  initContainers = [],
  containers = [],
}: Shape): [Partial<Metadata>, PodSpec] {
  const owned = kind === 'Job' || kind === 'CronJob' ? job : {};
  return [
    { labels: podLabels ?? labels, ...owned },
    { initContainers, containers },
  ];
}

const told = (metadata: Partial<Metadata>, ...names: string[]) =>
  recognize(metadata, { containers: names.map((name) => ({ name })) });

describe.each(Object.entries(official))('the official chart 1.22.0 with %s', (_, objects) => {
  const running = objects.filter((o) => o.containers !== undefined);

  it.each(running.map((o) => [`${o.kind} ${o.name}`, o] as const))('%s', (_, object) => {
    const component = object.labels?.component ?? '';
    const [container, wave, isJob] = expected[component] ?? [];
    const seen = recognize(...podOf(object));
    if (container === undefined) expect(seen).toBeUndefined();
    else expect(seen).toEqual({ profile: 'official', release: 'af', component, container, wave, job: isJob });
    // The object itself says the same as its pods, whatever further labels it has.
    if (seen && !isJob) expect(recognize({ labels: object.labels! }, podOf(object)[1])).toEqual(seen);
  });

  it('has nothing that uses the database under a name that is not known', () => {
    const notOurs = running.filter((o) => !recognize(...podOf(o))).map((o) => o.labels?.component);
    expect(notOurs.every((component) => ['redis', 'pgbouncer', 'statsd', 'flower'].includes(component!))).toBe(true);
  });
});

const rows = (rendered: readonly Rendered[]) =>
  rendered.map((r) => [`${r.chart}: ${r.kind} ${r.name}`, r] as [string, Rendered]);

describe('charts by their labels and names', () => {
  it.each([...rows(earlier), ...rows(apcAirflow), ...rows(community)])('%s', (_, { labels, containers, kind, is }) => {
    const seen = told({ labels, ...(kind === 'Job' || kind === 'CronJob' ? job : {}) }, ...containers);
    expect(seen && [seen.profile, seen.release, seen.component, seen.container, seen.wave, seen.job]).toEqual(is);
  });

  it('useStandardNaming changes names and no labels: the same release either way', () => {
    const named = earlier.filter((r) => r.chart.startsWith('1.11') && /^af-(airflow-)?webserver/.test(r.name));
    expect(named.map((r) => r.name)).toEqual(['af-webserver', 'af-airflow-webserver']);
    expect(new Set(named.map((r) => told({ labels: r.labels }, ...r.containers)?.release))).toEqual(new Set(['af']));
  });
});

describe("a workload of the one chart with the other's label", () => {
  it.each([
    ['sync-users', 'community'],
    ['web', 'community'],
    ['webserver', 'official'],
    ['scheduler', 'official'],
    ['redis', undefined],
  ])('%s is still known', (component, profile) => {
    const labels = { app: 'airflow', tier: 'airflow', release: 'af', component };
    expect(told({ labels }, 'x')?.profile).toBe(profile);
  });
});

describe('not ours', () => {
  it.each(rows(foreign))('%s', (_, { labels, containers }) => {
    expect(told({ labels }, ...containers)).toBeUndefined();
  });

  it('an object without containers, as a forged review may have it', () => {
    expect(
      recognize({ labels: { tier: 'airflow', component: 'scheduler', release: 'af' } }, undefined),
    ).toBeUndefined();
    expect(told({ labels: { tier: 'airflow', component: 'scheduler', release: 'af' } })).toBeUndefined();
  });

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('a component named %s', (component) => {
    expect(told({ labels: { tier: 'airflow', component, release: 'af' } }, 'x')).toBeUndefined();
    expect(told({ labels: { app: 'airflow', component, release: 'af' } }, 'x')).toBeUndefined();
    expect(waveOf(component)).toBe(1);
  });
});

describe('anything else with the label downdraft.dev/release', () => {
  const own = { [label.release]: 'prod' };

  it.each<[string, Partial<Metadata>, string[], [string, string, number]]>([
    ['one container is the main one', { labels: own }, ['thing'], ['', 'thing', 1]],
    ['a known name is preferred to the first', { labels: own }, ['proxy', 'scheduler'], ['', 'scheduler', 1]],
    ['a known name of the community chart too', { labels: own }, ['proxy', 'airflow-web'], ['', 'airflow-web', 1]],
    ['the annotation tells', { labels: own, annotations: { [annotation.container]: 'b' } }, ['a', 'b'], ['', 'b', 1]],
    [
      'an annotation that names none is no answer',
      { labels: own, annotations: { [annotation.container]: 'z' } },
      ['a', 'b'],
      ['', 'a', 1],
    ],
    ['the component orders the drain', { labels: { ...own, component: 'scheduler' } }, ['x'], ['scheduler', 'x', 0]],
    [
      'also by its recommended label',
      { labels: { ...own, 'app.kubernetes.io/component': 'api-server' } },
      ['x'],
      ['api-server', 'x', 2],
    ],
    ['also by the community name', { labels: { ...own, component: 'web' } }, ['x'], ['web', 'x', 2]],
    [
      'before the chart’s own labels',
      { labels: { ...own, tier: 'airflow', release: 'af', component: 'scheduler' } },
      ['scheduler'],
      ['scheduler', 'scheduler', 0],
    ],
  ])('%s', (_, metadata, names, [component, container, wave]) => {
    expect(told(metadata, ...names)).toEqual({
      profile: 'labelled',
      release: 'prod',
      component,
      container,
      wave,
      job: false,
    });
  });

  it('a Job of it is a Job', () => {
    expect(told({ labels: own, ...job }, 'migrate')).toMatchObject({ job: true });
  });
});

describe('the pods of a release', () => {
  it.each([
    ['official', { tier: 'airflow', release: 'af' }],
    ['community', { app: 'airflow', release: 'af' }],
    ['labelled', { 'downdraft.dev/release': 'af' }],
  ] as const)('of profile %s are selected by what NetworkPolicies know them by', (profile, selector) => {
    expect(selectorOf(profile, 'af')).toEqual(selector);
  });

  it('the containers that open the database: main, further main ones, those that wait; no groomer and no sidecar', () => {
    const names = (...of: string[]) => of.map((name) => ({ name }));
    const spec = {
      containers: names('git-sync', 'worker', 'worker-log-groomer', 'triggerer'),
      initContainers: names('wait-for-airflow-migrations', 'git-sync-init', 'check-db', 'wait-for-db-migrations'),
    };
    expect(databaseContainers(spec, 'worker').map((c) => c.name)).toEqual([
      'worker',
      'triggerer',
      'wait-for-airflow-migrations',
      'check-db',
      'wait-for-db-migrations',
    ]);
  });

  it('a task pod of the KubernetesExecutor is a worker with another main container', () => {
    const labels = { tier: 'airflow', component: 'worker', release: 'af', kubernetes_executor: 'True', dag_id: 'd' };
    expect(told({ labels }, 'base')).toMatchObject({ component: 'worker', container: 'base', wave: 1, job: false });
  });
});
