/**
 * What other charts, and other versions of the official one, render: names, labels of the pods, containers. Read in
 * apache/airflow `chart/` at the commits of 1.11 to 1.20, astronomer/airflow-chart 1.18.8 and airflow-helm/charts 8.9.0;
 * 1.22.0 is in test/manifests/official-chart-shape.json, rendered.
 */
type Is = [profile: string, release: string, component: string, container: string, wave: number, job: boolean];

export interface Rendered {
  chart: string;
  kind: string;
  name: string;
  labels: Record<string, string>;
  containers: string[];
  is?: Is;
}

const tier = (component: string, further: Record<string, string> = {}) => ({
  tier: 'airflow',
  component,
  release: 'af',
  ...further,
});
const app = (component: string) => ({ app: 'airflow', component, release: 'af' });

/** A row of a chart that labels by tier; without `wave` it does not use the database. */
function row(
  chart: string,
  kind: string,
  name: string,
  component: string,
  containers: string[],
  wave?: number,
): Rendered {
  const job = kind === 'Job' || kind === 'CronJob';
  const main = containers[0]!;
  const is: Is | undefined = wave === undefined ? undefined : ['official', 'af', component, main, wave, job];
  return { chart, kind, name, labels: tier(component), containers, ...(is ? { is } : {}) };
}

const groomed = (name: string) => [name, `${name}-log-groomer`];

/** 1.11 (Airflow 2.7) to 1.20; nothing of this changed in between but what was added. */
export const earlier: Rendered[] = [
  row('1.11', 'Deployment', 'af-scheduler', 'scheduler', groomed('scheduler'), 0),
  row('1.11, useStandardNaming', 'Deployment', 'af-airflow-scheduler', 'scheduler', groomed('scheduler'), 0),
  row('1.11, LocalExecutor with persistence', 'StatefulSet', 'af-scheduler', 'scheduler', groomed('scheduler'), 0),
  row('1.11', 'Deployment', 'af-webserver', 'webserver', ['webserver'], 2),
  row('1.11, useStandardNaming', 'Deployment', 'af-airflow-webserver', 'webserver', ['webserver'], 2),
  row('1.11', 'StatefulSet', 'af-triggerer', 'triggerer', groomed('triggerer'), 1),
  row('1.11, triggerer.persistence off', 'Deployment', 'af-triggerer', 'triggerer', groomed('triggerer'), 1),
  row('1.11, opt-in', 'Deployment', 'af-dag-processor', 'dag-processor', groomed('dag-processor'), 1),
  row('1.11', 'StatefulSet', 'af-worker', 'worker', [...groomed('worker'), 'worker-kerberos'], 1),
  row('1.11, workers.persistence off', 'Deployment', 'af-worker', 'worker', groomed('worker'), 1),
  row('1.11', 'Job', 'af-run-airflow-migrations', 'run-airflow-migrations', ['run-airflow-migrations'], 1),
  row('1.11', 'Job', 'af-create-user', 'create-user-job', ['create-user'], 1),
  row('1.11', 'CronJob', 'af-cleanup', 'airflow-cleanup-pods', ['airflow-cleanup-pods'], 0),
  row('1.11', 'Deployment', 'af-flower', 'flower', ['flower']),
  row('1.11', 'Deployment', 'af-statsd', 'statsd', ['statsd']),
  row('1.11', 'Deployment', 'af-pgbouncer', 'pgbouncer', ['pgbouncer', 'metrics-exporter']),
  row('1.11', 'StatefulSet', 'af-redis', 'redis', ['redis']),
  row('1.16, Airflow 3', 'Deployment', 'af-api-server', 'api-server', ['api-server'], 2),
  row('1.16, Airflow 2', 'Deployment', 'af-webserver', 'webserver', ['webserver'], 2),
  {
    ...row('1.19, workers.celery.sets', 'StatefulSet', 'af-worker-big', 'worker', groomed('worker'), 1),
    labels: tier('worker', { 'worker-set': 'big' }),
  },
  row('1.19', 'CronJob', 'af-database-cleanup', 'database-cleanup', ['database-cleanup'], 0),
  row('1.20', 'Deployment', 'af-api-server', 'api-server', ['api-server'], 2),
];

/** apc-airflow, a fork of the official chart under Astronomer's: the same labels, other sidecars. */
export const apcAirflow: Rendered[] = [
  row('Astronomer', 'Deployment', 'af-scheduler', 'scheduler', groomed('scheduler'), 0),
  row('Astronomer', 'Deployment', 'af-triggerer', 'triggerer', groomed('triggerer'), 1),
  row('Astronomer', 'Deployment', 'af-webserver', 'webserver', ['webserver', 'auth-proxy'], 2),
  row('Astronomer', 'Job', 'af-run-airflow-migrations', 'run-airflow-migrations', ['run-airflow-migrations'], 1),
  row('Astronomer', 'StatefulSet', 'af-dag-server', 'dag-server', ['dag-server', 'auth-proxy']),
  row('Astronomer', 'Deployment', 'af-git-sync-relay', 'git-sync-relay', ['git-sync', 'git-daemon']),
];

function communityRow(
  kind: string,
  name: string,
  component: string,
  container: string,
  wave?: number,
  job = false,
): Rendered {
  const is: Is | undefined = wave === undefined ? undefined : ['community', 'af', component, container, wave, job];
  return {
    chart: 'community 8.9.0',
    kind,
    name,
    labels: app(component),
    containers: ['dags-git-sync', container].reverse(),
    ...(is ? { is } : {}),
  };
}

export const community: Rendered[] = [
  communityRow('Deployment', 'af-db-migrations', 'db-migrations', 'db-migrations', 0),
  communityRow('Job', 'af-db-migrations', 'db-migrations', 'db-migrations', 0, true),
  communityRow('Deployment', 'af-scheduler', 'scheduler', 'airflow-scheduler', 0),
  communityRow('Deployment', 'af-web', 'web', 'airflow-web', 2),
  communityRow('Deployment', 'af-triggerer', 'triggerer', 'airflow-triggerer', 1),
  communityRow('StatefulSet', 'af-worker', 'worker', 'airflow-worker', 1),
  communityRow('Deployment', 'af-sync-users', 'sync-users', 'sync-users', 0),
  communityRow('Deployment', 'af-sync-connections', 'sync-connections', 'sync-connections', 0),
  communityRow('Deployment', 'af-sync-pools', 'sync-pools', 'sync-pools', 0),
  communityRow('Deployment', 'af-sync-variables', 'sync-variables', 'sync-variables', 0),
  communityRow('Deployment', 'af-flower', 'flower', 'airflow-flower'),
  communityRow('Deployment', 'af-pgbouncer', 'pgbouncer', 'pgbouncer'),
];

const other = (name: string, labels: Record<string, string>, ...containers: string[]): Rendered => ({
  chart: 'another',
  kind: 'Deployment',
  name,
  labels,
  containers,
});

export const foreign: Rendered[] = [
  other('an application of its own with app: airflow and no component', { app: 'airflow', release: 'af' }, 'scheduler'),
  other('app: airflow and no release', { app: 'airflow', component: 'scheduler' }, 'airflow-scheduler'),
  other('tier: airflow and no release', { tier: 'airflow', component: 'scheduler' }, 'scheduler'),
  other('tier: airflow and an empty release', { tier: 'airflow', component: 'scheduler', release: '' }, 'scheduler'),
  other('tier: airflow and no component', { tier: 'airflow', release: 'af' }, 'scheduler'),
  other('another tier', { tier: 'backend', component: 'scheduler', release: 'af' }, 'scheduler'),
  other('another app', { app: 'shop', component: 'web', release: 'af' }, 'web'),
  other('a component in another spelling', tier('Scheduler'), 'scheduler'),
  other(
    'only recommended labels, as Stackable’s',
    {
      'app.kubernetes.io/name': 'airflow',
      'app.kubernetes.io/component': 'scheduler',
      'app.kubernetes.io/instance': 'af',
    },
    'airflow',
  ),
  other('an empty own label', { 'downdraft.dev/release': '' }, 'scheduler'),
  other('no labels', {}, 'scheduler'),
];
